"""Where versions lie: each in a Python environment of its own, side by side, and a link ``current`` to the one in use.

::

    /opt/clawgate/0.1.0/    an environment
    /opt/clawgate/0.2.0/    another
    /opt/clawgate/current → 0.2.0
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_LINK = "current"


def environment_in_use() -> Path:
    """The environment of this program, without links."""
    return Path(sys.prefix).resolve()


def link_beside(environment: Path) -> Path:
    """Where the link to an environment is, or would be."""
    return environment.parent / _LINK


def lasting_prefix() -> Path:
    """The prefix that service files name: the link when it leads here, so that an upgrade changes no service file."""
    here = environment_in_use()
    link = link_beside(here)
    return link if link.is_symlink() and link.resolve() == here else Path(sys.prefix)


def switch(link: Path, environment: Path) -> None:
    """Have the link lead to another environment, at once.

    Raises:
        OSError: the folder cannot be written.
    """
    fresh = link.with_name(f".{_LINK}-{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(environment.name if environment.parent == link.parent else environment)
    fresh.replace(link)
