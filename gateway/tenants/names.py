"""Which names a tenant can have: its name is a folder, a socket, a user of the machine and a policy file."""

from __future__ import annotations

from typing import Final, Literal

from gateway.users import user_name_of
from shared.config.toml import policy_names
from shared.errors import GatewayError
from shared.ids import parse_name

TenantKind = Literal["nanoclaw", "openclaw"]

_TAKEN: Final = frozenset({"gateway", "up", "local", "policies", "logs", "logins", "sandbox"})
"""Processes, folders of the state directory, and the ledger's name for callers of the model API."""


def decide_name(name: str, kind: TenantKind) -> str:
    """Why a tenant of this kind cannot be called so; empty when it can."""
    try:
        parse_name("tenant", name)
        user_name_of(name)
    except GatewayError as error:
        return error.detail
    if name in _TAKEN:
        return f"{name} is a name of Clawgate's own: choose another"
    if name in policy_names() and name != kind:
        return f"{name}.toml is a policy file of another meaning: choose another name"
    return ""
