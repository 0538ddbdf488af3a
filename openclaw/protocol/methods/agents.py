"""Methods about agents, models, tools, skills, nodes and jobs: what this gateway has, in the protocol's shapes."""

from __future__ import annotations

import asyncio
from typing import Any

from openclaw.agent.models import context_tokens
from openclaw.agent.tool_policy import profiles_of
from openclaw.agent.workspace.names import SKILLS
from openclaw.agent.workspace.skills import Skill, list_skills
from openclaw.protocol.errors import invalid
from openclaw.protocol.frames import NonEmpty, Wire
from openclaw.protocol.registry import Call, Method
from openclaw.protocol.scopes import PAIRING, READ
from openclaw.sessions import AGENT_ID, MAIN_KEY
from shared.clock import unix_ms

_PROFILES = (("minimal", "Minimal"), ("coding", "Coding"), ("messaging", "Messaging"), ("full", "Full"))


def _agents(call: Call, _params: object) -> object:
    name = call.services.policy.agent.name
    return {
        "defaultId": AGENT_ID,
        "mainKey": MAIN_KEY,
        "scope": "per-sender",
        "agents": [{"id": AGENT_ID, "name": name, "identity": {"name": name}}],
    }


class IdentityParams(Wire):
    """``agent.identity.get``."""

    agent_id: NonEmpty | None = None
    session_key: NonEmpty | None = None


def _identity(call: Call, params: IdentityParams) -> object:
    _only_agent(params.agent_id)
    name = call.services.policy.agent.name
    return {"agentId": AGENT_ID, "name": name, "avatar": name[:1].upper()}


def _only_agent(agent_id: str | None) -> None:
    if agent_id not in (None, AGENT_ID):
        raise invalid(f'unknown agent id "{agent_id}"')


def _models(call: Call, _params: object) -> object:
    """The agent's own models first, then whatever else the catalogue offers."""
    models = call.services.runs.loop.models
    own = [models.catalog.find(ref) for ref in models.refs if context_tokens(ref) is not None]
    rows: dict[str, dict[str, Any]] = {}
    for model in (*own, *models.catalog.listed()):
        row: dict[str, Any] = {"id": model.id, "name": model.id, "provider": model.provider}
        row |= {"contextWindow": model.context, "reasoning": model.reasoning, "input": ["text"]}
        rows.setdefault(model.ref, row)
    return {"models": list(rows.values())}


class CatalogParams(Wire):
    """``tools.catalog``."""

    agent_id: NonEmpty | None = None
    include_plugins: bool = True


def _catalog(call: Call, params: CatalogParams) -> object:
    _only_agent(params.agent_id)
    groups: dict[str, list[dict[str, Any]]] = {}
    for tool in call.services.runs.loop.tools.tools:
        row = {"id": tool.spec.name, "label": tool.label, "description": tool.spec.description, "source": "core"}
        profiles = profiles_of(tool.spec.name, tool.group)
        groups.setdefault(tool.group, []).append({**row, "defaultProfiles": profiles})
    return {
        "agentId": AGENT_ID,
        "profiles": [{"id": key, "label": label} for key, label in _PROFILES],
        "groups": [{"id": name, "label": name, "source": "core", "tools": tools} for name, tools in groups.items()],
    }


def _nodes(call: Call, _params: object) -> object:
    return {"ts": unix_ms(call.services.clock.now()), "nodes": []}


def _node_pairs(_call: Call, _params: object) -> object:
    return {"pending": [], "paired": []}


class SkillsParams(Wire):
    """``skills.status``."""

    agent_id: NonEmpty | None = None


async def _skills(call: Call, params: SkillsParams) -> object:
    _only_agent(params.agent_id)
    own, managed = call.services.folder / "workspace" / SKILLS, call.services.folder / SKILLS
    skills = await asyncio.to_thread(list_skills, (own, managed))
    return {
        "workspaceDir": str(own.parent),
        "managedSkillsDir": str(managed),
        "skills": [_skill(skill, is_own=skill.folder.is_relative_to(own)) for skill in skills],
    }


def _skill(skill: Skill, *, is_own: bool) -> dict[str, Any]:
    missing: dict[str, list[str]] = {"bins": list(skill.missing), "anyBins": [], "env": [], "config": [], "os": []}
    return {
        "name": skill.name,
        "description": skill.description or skill.problem,
        "source": "openclaw-workspace" if is_own else "openclaw-managed",
        "bundled": False,
        "filePath": str(skill.folder / "SKILL.md"),
        "baseDir": str(skill.folder),
        "skillKey": skill.folder.name,
        "always": False,
        "disabled": not skill.shown and not skill.missing and not skill.problem,
        "blockedByAllowlist": False,
        "eligible": not skill.missing and not skill.problem,
        "requirements": {key: [] for key in missing},
        "missing": missing,
        "configChecks": [],
        "install": [],
    }


METHODS = (
    Method("agents.list", READ, _agents),
    Method("agent.identity.get", READ, _identity, params=IdentityParams),
    Method("models.list", READ, _models),
    Method("tools.catalog", READ, _catalog, params=CatalogParams),
    Method("node.list", READ, _nodes),
    Method("node.pair.list", PAIRING, _node_pairs),
    Method("skills.status", READ, _skills, params=SkillsParams),
)
