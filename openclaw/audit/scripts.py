"""The two scripts that the owner's commands name in an original's place: links to one file of this program.

The program is root's wherever root installed it, in the image too; a tenant owns the links, and never what they run.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from shared.config.paths import Paths

SCRIPTS: Final = ("quick-audit.sh", "quick-harden.sh")
"""File names; without the ending they are commands of ``openclaw security``."""

PROGRAM: Final = Path(__file__).parent / "quick.sh"


def install_scripts(paths: Paths, tenant: str) -> None:
    """Put both links where they are missing or are something else. Blocks.

    Raises:
        OSError: the folder cannot be written.
    """
    for name in SCRIPTS:
        place = paths.openclaw_script(tenant, name)
        for folder in _folders(place, paths.tenant(tenant)):
            folder.mkdir(mode=0o755, exist_ok=True)
        if not place.is_symlink() or place.readlink() != PROGRAM:
            beside = place.with_name(f".{name}.{secrets.token_hex(4)}")
            beside.symlink_to(PROGRAM)
            beside.replace(place)


def _folders(place: Path, root: Path) -> Iterator[Path]:
    """The folders between, outermost first."""
    for folder in reversed(place.parents):
        if folder.is_relative_to(root):
            yield folder
