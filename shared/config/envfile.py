"""The ``.env`` file: secrets a person types in. Mode 600 or refused (policy G7); some names must not exist (N9)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from shared.errors import ConfigError
from shared.secrets.files import require_private

FORBIDDEN: Mapping[str, str] = {
    "ANTHROPIC_API_KEY": (
        "Claude Code would ignore the OAuth login and spend prepaid credit: rename it to ANTHROPIC_API_KEY_FALLBACK"
    ),
    "ANTHROPIC_AUTH_TOKEN": "it would take precedence over the OAuth login: remove it",
}


def read_env(path: Path) -> dict[str, str]:
    """Read a private ``.env`` file; a missing file is an empty one.

    Raises:
        ConfigError: the mode is not 600, or a forbidden name is present.
    """
    if not path.exists():
        return {}
    require_private(path)
    from dotenv import dotenv_values

    values = {name: value for name, value in dotenv_values(path, interpolate=False).items() if value}
    refuse_forbidden(values, where=str(path))
    return values


def refuse_forbidden(values: Mapping[str, str], *, where: str) -> None:
    """Refuse names whose mere presence would spend money or bypass a login.

    Raises:
        ConfigError: names the place, the reason and the fix.
    """
    for name, reason in FORBIDDEN.items():
        if values.get(name):
            raise ConfigError(f"{where}: {name} must not be set. {reason}", code="config.forbidden_key")
