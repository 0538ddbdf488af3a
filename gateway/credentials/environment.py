"""What ``.env`` and the vault say together: the gateway's and the tenants' own secrets and settings.

One rule: a name in the vault goes before the same name in ``.env``. The vault's ``openclaw/DISCORD_BOT_TOKEN`` is
``OPENCLAW_DISCORD_BOT_TOKEN``; ``gateway/NAME`` is ``NAME``. Sign-ins lie in the vault too, under names in lower case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from gateway.credentials.vault import open_vault
from shared.config.envfile import read_env, refuse_forbidden
from shared.config.paths import Paths
from shared.errors import ConfigError, GatewayError

OWN = "gateway"
"""The vault's tenant for names as ``.env`` has them."""

WRITTEN_BACK = ("THREADS_ACCESS_TOKEN", "INSTAGRAM_ACCESS_TOKEN")
"""Sign-ins that ``.env`` shows. They are taken from there once, while there is none; a copy would only grow old."""

_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
_NANOCLAW = "NANOCLAW_"


@dataclass(frozen=True, slots=True)
class Origin:
    """One value's place, and whether it counts.

    Attributes:
        tenant: the vault's; ``gateway`` for ``.env``.
        name: as it is stored.
        effective: the name it counts under.
        shadowed_by: what goes before it, in words; empty when it counts.
    """

    place: Literal["vault", ".env"]
    tenant: str
    name: str
    effective: str
    shadowed_by: str = ""


def is_setting(name: str) -> bool:
    """Whether a name in the vault is one that ``.env`` could have; sign-ins are in lower case."""
    return _NAME.fullmatch(name) is not None


def prefix_of(tenant: str) -> str:
    """What a tenant's names begin with in ``.env``."""
    return f"{tenant.upper().replace('-', '_')}_"


def effective_name(tenant: str, name: str) -> str:
    """The ``.env`` name that a vault entry stands for."""
    return name if tenant == OWN or name.startswith(prefix_of(tenant)) else f"{prefix_of(tenant)}{name}"


def origins(stored: Iterable[tuple[str, str]], file: Iterable[str]) -> list[Origin]:
    """Where every value comes from and which of them count; pure.

    Args:
        stored: tenant and name of the vault's settings.
        file: the names of ``.env``.
    """
    claims = _claims(stored, file)
    first = _first(claims)
    return [replace(claim, shadowed_by=_shadow(claim, first)) for claim in claims]


def _claims(stored: Iterable[tuple[str, str]], file: Iterable[str]) -> list[Origin]:
    """Every value, the ones that go first in front: a tenant's own entry, the gateway's entry, the file."""
    sealed = sorted(stored, key=lambda entry: (entry[0] == OWN, entry))
    claims = [Origin("vault", tenant, name, effective_name(tenant, name)) for tenant, name in sealed]
    return claims + [Origin(".env", OWN, name, name) for name in file]


def _first(claims: Iterable[Origin]) -> dict[str, Origin]:
    first: dict[str, Origin] = {}
    for claim in claims:
        first.setdefault(claim.effective, claim)
    return first


def _shadow(claim: Origin, first: Mapping[str, Origin]) -> str:
    # NanoClaw reads its own prefix first, then the plain name.
    winner = first.get(f"{_NANOCLAW}{claim.effective}") or first[claim.effective]
    if winner is claim:
        return ""
    return f".env {winner.name}" if winner.place == ".env" else f"vault {winner.tenant}/{winner.name}"


def load_env(paths: Paths) -> dict[str, str]:
    """Everything ``.env`` and the vault set, by ``.env`` name.

    Reads files: call it in a thread where an event loop runs.

    Raises:
        ConfigError: ``.env`` is not private, a name must not be set, or a vault entry cannot be opened.
    """
    file = read_env(paths.env_file)
    try:
        stored = open_vault(paths).values(lambda _tenant, name: is_setting(name))
    except ConfigError:
        raise
    except GatewayError as error:
        raise ConfigError(
            f"a secret in the vault cannot be read, and without it nothing starts: {error.detail}. "
            "See: clawgate secrets list",
            code=error.code,
        ) from None
    values = {
        name: file[name] if origin.place == ".env" else _text(stored[origin.tenant, origin.name], origin)
        for name, origin in _first(_claims(stored, file)).items()
    }
    refuse_forbidden(values, where="the vault (clawgate secrets unset NAME)")
    return values


def _text(value: bytes, origin: Origin) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise ConfigError(
            f"the vault's {origin.tenant}/{origin.name} is not text: set it again with `clawgate secrets set`",
            code="secrets.not_text",
        ) from None
