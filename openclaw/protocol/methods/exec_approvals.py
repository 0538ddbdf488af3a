"""``exec.approvals.*``: what people allowed for good, shown as the original's approvals file.

There is no such file here. Commands are judged by policies/exec.toml; on top of it people allow exact argument lists.
Those appear as entries of the allowlist, and an entry that is taken away is revoked. Nothing is added this way: an
entry of the original allows a program with any arguments, which this gateway never does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final, Literal

from pydantic import Field

from openclaw.approvals.models import StoredGrant
from openclaw.protocol.errors import invalid
from openclaw.protocol.frames import NonEmpty, Wire, compact
from openclaw.protocol.registry import Call, Method
from openclaw.protocol.scopes import ADMIN
from openclaw.sessions import AGENT_ID
from shared.clock import unix_ms

DEFAULTS: Final = {"security": "allowlist", "ask": "on-miss", "askFallback": "deny", "autoAllowSkills": False}
"""How this gateway decides, in the original's words."""


class Entry(Wire):
    """One entry of an allowlist."""

    id: str | None = None
    pattern: str
    last_used_at: int | None = None
    last_used_command: str | None = None
    last_resolved_path: str | None = None


class Defaults(Wire):
    """How commands are decided."""

    security: str | None = None
    ask: str | None = None
    ask_fallback: str | None = None
    auto_allow_skills: bool | None = None


class AgentRules(Defaults):
    """The same for one agent, with its allowlist."""

    allowlist: list[Entry] = Field(default_factory=list)


class File(Wire):
    """The original's exec-approvals.json."""

    version: Literal[1]
    socket: dict[str, str] | None = None
    defaults: Defaults = Defaults()
    agents: dict[str, AgentRules] = Field(default_factory=dict)


class SetParams(Wire):
    """``exec.approvals.set``."""

    file: File
    base_hash: NonEmpty | None = None


def pattern_of(grant: StoredGrant) -> str:
    """The allowed words on one line; a hole is shown as a star."""
    words = grant.grant["words"]
    return " ".join(word if isinstance(word, str) else f"{word.get('prefix', '')}*" for word in words)


def snapshot(path: str, grants: Sequence[StoredGrant]) -> dict[str, Any]:
    """What clients see. The hash covers what can be edited, so that mere use of an entry is no conflict."""
    entries = [
        compact(
            id=grant.grant_id,
            pattern=pattern_of(grant),
            lastUsedAt=unix_ms(grant.last_used_at) if grant.last_used_at else None,
        )
        for grant in grants
    ]
    facts = json.dumps([DEFAULTS, [grant.grant_id for grant in grants]])
    return {
        "path": path,
        "exists": True,
        "hash": hashlib.sha256(facts.encode()).hexdigest(),
        "file": {"version": 1, "defaults": DEFAULTS, "agents": {AGENT_ID: {"allowlist": entries}}},
    }


async def _get(call: Call, _params: object) -> object:
    services = call.services
    return snapshot(str(services.folder / f"{services.name}.db"), await services.approvals.grants())


def _require_unchanged(name: str, rules: Defaults) -> None:
    asked = rules.model_dump(by_alias=True, exclude_none=True, exclude={"allowlist"})
    for key, value in asked.items():
        if value != DEFAULTS[key]:
            raise invalid(f"{name}.{key} is {DEFAULTS[key]!r} by policies/exec.toml and is not changed by clients")


async def _set(call: Call, params: SetParams) -> object:
    approvals = call.services.approvals
    grants = await approvals.grants()
    current = snapshot("", grants)
    if params.base_hash is None:
        raise invalid("exec approvals base hash required; re-run exec.approvals.get and retry")
    if params.base_hash != current["hash"]:
        raise invalid("exec approvals changed since last load; re-run exec.approvals.get and retry")
    _require_unchanged("defaults", params.file.defaults)
    kept: set[str] = set()
    for agent, rules in params.file.agents.items():
        if agent != AGENT_ID and rules.allowlist:
            raise invalid(f"there is no agent {agent!r} here: entries belong to {AGENT_ID!r}")
        _require_unchanged(f"agents.{agent}", rules)
        kept |= {entry.id or entry.pattern for entry in rules.allowlist}
    unknown = kept - {grant.grant_id for grant in grants}
    if unknown:
        raise invalid(
            f"{min(unknown)!r} is not added: a program would be allowed with any arguments. Add a rule to"
            ' policies/exec.toml, or answer "always" when the agent asks for the very command'
        )
    for grant in grants:
        if grant.grant_id not in kept:
            await approvals.revoke(grant.grant_id)
    return await _get(call, params)


METHODS = (
    Method("exec.approvals.get", ADMIN, _get),
    Method("exec.approvals.set", ADMIN, _set, params=SetParams),
)
