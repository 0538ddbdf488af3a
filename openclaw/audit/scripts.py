"""The two scripts that the owner's commands name in an original's place: thin wrappers around our own commands.

They are written at each start, read-only; where the tenant is started by root they are root's.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from shared.config.paths import Paths
from shared.secrets.files import write_private

SCRIPTS: Final = {"quick-audit.sh": "quick-audit", "quick-harden.sh": "quick-harden"}
"""File name, and the command of ``openclaw security`` that it calls."""


def script(paths: Paths, tenant: str, command: str, program: Path) -> str:
    """A script's text.

    Args:
        paths: the installation's; named in it, since whoever calls it may have another environment.
        tenant: whose.
        command: of ``openclaw security``.
        program: the ``openclaw`` command beside this program.
    """
    return (
        "#!/bin/sh\n"
        "# Written by Clawgate at each start; changes are lost. See docs/audit.md.\n"
        f'export CLAWGATE_RUNTIME="${{CLAWGATE_RUNTIME:-{paths.runtime}}}"\n'
        f"program={shlex.quote(str(program))}\n"
        '[ -x "$program" ] || program=openclaw\n'
        f'exec "$program" security {command} --tenant {shlex.quote(tenant)}'
        f' --state {shlex.quote(str(paths.state))} "$@"\n'
    )


def install_scripts(paths: Paths, tenant: str, program: Path | None = None) -> None:
    """Write both where they differ. Blocks.

    Raises:
        OSError: the folder cannot be written.
    """
    program = program or Path(sys.prefix) / "bin" / "openclaw"
    for name, command in SCRIPTS.items():
        place, text = paths.openclaw_script(tenant, name), script(paths, tenant, command, program)
        for folder in _folders(place, paths.tenant(tenant)):
            folder.mkdir(mode=0o755, exist_ok=True)
        if place.is_symlink() or not place.is_file() or place.read_text(encoding="utf-8") != text:
            write_private(place, text, mode=0o555)


def _folders(place: Path, root: Path) -> Iterator[Path]:
    """The folders between, outermost first."""
    for folder in reversed(place.parents):
        if folder.is_relative_to(root):
            yield folder
