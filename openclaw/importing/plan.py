"""What becomes of each thing of an original's state directory: decided before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from openclaw.config.document import HELD
from openclaw.config.snapshot import Source
from openclaw.cron.models import JobSpec
from openclaw.importing.settings import Settings, decide_settings
from openclaw.importing.source import OldSession, OldState
from openclaw.protocol.errors import problems
from openclaw.sessions import canonical_key
from shared.errors import Invalid
from shared.importing import Item

_SIGN_INS: Final[Mapping[str, str]] = {"openai-codex": "codex", "github-copilot": "copilot"}
"""The original's provider → ours."""

_JOB_STATE: Final = frozenset({"jobId", "id", "state", "createdAtMs", "updatedAtMs", "createdAt", "updatedAt"})


@dataclass(frozen=True, slots=True)
class Target:
    """What is there already."""

    has_config: bool = False
    devices: frozenset[str] = frozenset()
    sessions: frozenset[str] = frozenset()
    allowed: frozenset[str] = frozenset()
    workspace: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Plan:
    """All there is to do, and the report about it.

    Attributes:
        config: text of ``openclaw.json``; empty when ours stays.
        variables: for the tenant's ``.env``.
        secrets: by the gateway's name, for its vault.
        sign_ins: provider → file, for ``clawgate auth import``.
        jobs: scheduled jobs in the protocol's spelling, by the original's id.
    """

    config: str = ""
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    sign_ins: Mapping[str, Path] = field(default_factory=dict)
    sessions: tuple[OldSession, ...] = ()
    devices: tuple[Mapping[str, Any], ...] = ()
    allow: tuple[str, ...] = ()
    jobs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    items: tuple[Item, ...] = ()


def decide_import(state: OldState, source: Source, target: Target) -> Plan:
    """Say what becomes of everything. Asking again after it was done finds all of it there already."""
    items = [Item("problem", str(n), "dropped", text) for n, text in enumerate(state.problems, start=1)]
    settings = _settings(state, source, target, items)
    secrets = dict(settings.secrets) if settings else {}
    variables = {}
    for name, value in state.env.items():
        if name in HELD:
            continue
        if settings is not None and f"${{{name}}}" in settings.text:
            variables[name] = value
            items.append(Item("variable", name, "maps", "into the tenant's .env"))
        else:
            items.append(Item("variable", name, "dropped", "the configuration does not name it"))
    sign_ins = dict(_sign_ins(state, items))
    sessions = tuple(_sessions(state, target, items))
    devices = tuple(_devices(state, target, items))
    allow = tuple(_allow(state, target, items))
    jobs = dict(_jobs(state, items))
    items += _files(state, target)
    items += _approvals(state)
    items += [Item("agent", name, "dropped", "there is one agent here, main") for name in state.agents]
    for name in ("skills", "memory", "canvas", "settings", "identity", "hooks", "extensions"):
        if (state.root / name).is_dir():
            items.append(Item("files", name, "dropped", "nothing here reads it; the workspace is taken over"))
    text = settings.text if settings else ""
    return Plan(text, variables, secrets, sign_ins, sessions, devices, allow, jobs, tuple(items))


def _settings(state: OldState, source: Source, target: Target, items: list[Item]) -> Settings | None:
    if state.config is None:
        return None
    if target.has_config:
        items.append(Item("setting", "openclaw.json", "kept", f"{source.path} is there and stays as it is"))
        return None
    settings = decide_settings(state.config, state.env, source)
    items += settings.items
    return settings


def _sign_ins(state: OldState, items: list[Item]) -> Iterator[tuple[str, Path]]:
    found: set[str] = set()
    for name, profile in state.profiles.items():
        provider = _SIGN_INS.get(str(profile.get("provider")), "")
        if not provider:
            note = f"provider {profile.get('provider')!r} has no route here; nothing of it was read"
            items.append(Item("sign-in", name, "dropped", note))
        elif provider not in found:
            found.add(provider)
            note = "kept by the gateway; the original has to sign in again after the first refresh here"
            items.append(Item("sign-in", name, "changes", note))
            yield provider, state.profiles_file
        else:
            items.append(Item("sign-in", name, "dropped", f"one sign-in at {provider} is taken over"))
    if "copilot" not in found and state.copilot_file.is_file():
        note = "the short-lived token serves until it ends; sign in with `clawgate auth login copilot`"
        items.append(Item("sign-in", "github-copilot.token.json", "changes", note))
        yield "copilot", state.copilot_file


def _sessions(state: OldState, target: Target, items: list[Item]) -> Iterator[OldSession]:
    for session in state.sessions:
        try:
            key = canonical_key(session.key)
        except Invalid:
            items.append(Item("session", session.key, "dropped", "its name is none that can be used here"))
            continue
        if key in target.sessions:
            items.append(Item("session", key, "kept", "a conversation of this name is here already"))
        elif session.transcript is None:
            items.append(Item("session", key, "dropped", "its transcript is gone"))
        else:
            note = "what both sides said goes on; steps of tools and pictures stay behind"
            items.append(Item("session", key, "changes", note))
            yield OldSession(key, session.session_id, session.entry, session.transcript)


def _devices(state: OldState, target: Target, items: list[Item]) -> Iterator[Mapping[str, Any]]:
    for device_id, record in state.devices.items():
        if device_id in target.devices:
            items.append(Item("device", device_id[:12], "kept", "it is paired here already"))
        elif record.get("deviceId") != device_id or not isinstance(record.get("publicKey"), str):
            items.append(Item("device", device_id[:12], "dropped", "its record has no public key"))
        else:
            note = "stays paired; its own token ends, the gateway token opens the door once and it gets a new one"
            items.append(Item("device", device_id[:12], "changes", note))
            yield record


def _allow(state: OldState, target: Target, items: list[Item]) -> Iterator[str]:
    for sender in state.allow_from:
        if sender in target.allowed:
            items.append(Item("sender", sender, "kept", "may write directly already"))
        elif not sender.isdecimal():
            items.append(Item("sender", sender, "dropped", "no user id: names can be taken by anybody"))
        else:
            items.append(Item("sender", sender, "maps", "may write directly"))
            yield sender


def _jobs(state: OldState, items: list[Item]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, job in enumerate(state.cron_jobs):
        job_id = str(job.get("jobId") or job.get("id") or number)
        spec = {key: value for key, value in job.items() if key not in _JOB_STATE and value is not None}
        try:
            JobSpec.model_validate(spec)
        except ValidationError as error:
            items.append(Item("job", job_id, "refused", problems(error)))
            continue
        items.append(Item("job", job_id, "maps", f"{spec.get('name', '')}; a job that is here already stays"))
        yield job_id, spec


def _files(state: OldState, target: Target) -> Iterator[Item]:
    if not state.workspace.is_dir():
        return
    there = sorted(str(f.relative_to(state.workspace)) for f in state.workspace.rglob("*") if f.is_file())
    kept = [name for name in there if name in target.workspace]
    yield Item("files", "workspace", "maps", f"{len(there) - len(kept)} files are copied")
    for name in kept:
        yield Item("files", f"workspace/{name}", "kept", "ours is there and stays")


def _approvals(state: OldState) -> Iterator[Item]:
    agents = state.exec_approvals.get("agents")
    for agent, rules in agents.items() if isinstance(agents, dict) else ():
        patterns = rules.get("allowlist", []) if isinstance(rules, dict) else []
        for entry in patterns if isinstance(patterns, list) else []:
            pattern = entry.get("pattern") if isinstance(entry, dict) else entry
            note = (
                f"agent {agent}: it allows a program with any arguments, which nothing here does; you are asked again"
            )
            yield Item("approval", str(pattern)[:200], "dropped", note)
    if state.exec_approvals.get("defaults"):
        yield Item("approval", "defaults", "dropped", "policies/exec.toml and tools.exec in openclaw.json decide here")
