"""Development mode (policy N18, ``DEV_MOUNT=true``): files of the worker image come from the checkout, read-only.

What the image has in ``/etc/claude-code`` (managed settings and skills) is covered by mounts, so that the next worker
sees an edit without an image build. The command line itself is the container's command; there is no wrapper script.
"""

from __future__ import annotations

from pathlib import Path

from gateway.workers.spec import MANAGED_DIR, Mount
from shared.errors import ConfigError

NAME = "DEV_MOUNT"
_TRUE, _FALSE = frozenset({"true", "1", "yes", "on"}), frozenset({"", "false", "0", "no", "off"})


def checkout_of(value: str, package: Path) -> Path | None:
    """The checkout to work from, or None when development mode is off.

    Args:
        value: of ``DEV_MOUNT``.
        package: a file of an installed package, two folders below the checkout.

    Raises:
        ConfigError: the value is neither true nor false, or this is not a checkout.
    """
    word = value.strip().lower()
    if word in _FALSE:
        return None
    if word not in _TRUE:
        raise ConfigError(f"{NAME}={value} is neither true nor false", code="config.setting")
    root = package.resolve().parent.parent
    if not ((root / "pyproject.toml").is_file() and (root / "nanoclaw").is_dir() and (root / "tests").is_dir()):
        raise ConfigError(
            f"{NAME}=true needs a checkout of the source, and {root} is an installed package: "
            "run it from a clone (make setup, then .venv/bin/clawgate), or unset it",
            code="config.not_a_checkout",
        )
    return root


def development_mounts(checkout: Path | None) -> tuple[Mount, ...]:
    """Mounts over the image's own files; none when development mode is off."""
    if checkout is None:
        return ()
    managed = checkout / "gateway" / "workers" / "image" / "managed"
    return (
        Mount(managed / "settings.json", f"{MANAGED_DIR}/managed-settings.json", read_only=True),
        Mount(managed / "skills", f"{MANAGED_DIR}/.claude/skills", read_only=True),
    )
