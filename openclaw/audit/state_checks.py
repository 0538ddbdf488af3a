"""Checks of who is answered, and of files: modes, secrets, hidden text (AUD-CHN, AUD-SEC, AUD-MEM, AUD-OPS)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from openclaw.audit.facts import Facts
from openclaw.config.files import audit_file, backup_file
from shared.audit.models import Check, Outcome, holds, unknown
from shared.audit.words import planted, shown_canaries
from shared.config.paths import Paths
from shared.obs.redact import HIDDEN, redact_text

_SCANNED: Final = frozenset({".json", ".json5", ".jsonl", ".md", ".log", ".txt", ".toml", ".env", ""})
_SCAN_BYTES: Final = 4 * 1024 * 1024
_KEPT_APART: Final = ("data/gateway-token", "identity/device.json")
"""Where a secret belongs; their modes are checked, not their text."""


class Groups(Check[Facts]):
    """What is in force."""

    id = "AUD-CHN-001"
    severity = "critical"
    title = "On servers, listed people on listed servers are answered, and nobody else"
    remediation = "name users under channels.discord.guilds.<server>.users"

    def run(self, facts: Facts) -> Outcome:
        discord = facts.snapshot.policy.discord
        if discord.group_policy == "disabled" or not discord.enabled:
            return holds([], "servers are switched off")
        problems = [] if discord.group_policy == "allowlist" else ["any server is answered"]
        problems += [
            f"every member of server {name} is answered"
            for name, g in discord.guilds.items()
            if not (g.users or g.roles)
        ]
        return holds(problems, f"{len(discord.guilds)} server(s), each with its people")


class Directs(Check[Facts]):
    """What is in force."""

    id = "AUD-CHN-002"
    severity = "high"
    title = "Strangers who write directly are paired first"
    remediation = 'set dmPolicy to "pairing"'
    fix = "auto"

    def run(self, facts: Facts) -> Outcome:
        policy = facts.snapshot.policy.discord.dm_policy
        return holds(["anyone who writes is answered"] if policy == "open" else [], f"dmPolicy is {policy}")


class Private(Check[Facts]):
    """Mode, owner and kind of each, and of the folder."""

    id = "AUD-SEC-002"
    severity = "high"
    title = "Files that may hold secrets are private"
    remediation = "chmod 600 these files, chmod 700 the folder"
    fix = "auto"
    refs = ("ASI03",)

    def run(self, facts: Facts) -> Outcome:
        problems = list(_loose(facts.folder, folder=True)) if facts.folder.exists() else []
        seen = 0
        for place in private_files(facts.paths, facts.tenant):
            if os.path.lexists(place):
                seen += 1
                problems += _loose(place, folder=False)
        return holds(problems, f"{seen} files")


def private_files(paths: Paths, tenant: str) -> list[Path]:
    """Files of a tenant that may hold secrets, there or not."""
    folder, config = paths.tenant(tenant), paths.openclaw_config(tenant)
    named = [folder / name for name in (*_KEPT_APART, ".env", "openclaw.json", "exec-approvals.json")]
    named += [audit_file(config), *(backup_file(config, number) for number in range(5))]
    return named + sorted(folder.glob("agents/*/agent/*.json"))


def _loose(place: Path, *, folder: bool) -> Iterator[str]:
    info = place.lstat()
    if stat.S_ISLNK(info.st_mode):
        yield f"{place} is a link"
        return
    mode = stat.S_IMODE(info.st_mode)
    if mode & (stat.S_IWGRP | stat.S_IRWXO if folder else stat.S_IRWXG | stat.S_IRWXO):
        yield f"{place} has mode {mode:03o}"
    if info.st_uid not in (os.geteuid(), 0) and os.geteuid() != 0:
        yield f"{place} belongs to user {info.st_uid}"


class NoSecrets(Check[Facts]):
    """Text files of the tenant, by the shapes that the redactor knows."""

    id = "AUD-SEC-004"
    severity = "high"
    title = "No secret lies in conversations, memory, logs or configuration"
    remediation = "revoke what was found, then remove it; name held secrets as ${NAME} in openclaw.json"
    refs = ("LLM02",)

    def run(self, facts: Facts) -> Outcome:
        kept_apart = {facts.folder / name for name in _KEPT_APART}
        found = [place for place in _texts(facts) if place not in kept_apart and _has_secret(place)]
        return holds([f"{place} holds what looks like a secret" for place in found], "nothing found")


def _texts(facts: Facts) -> Iterator[Path]:
    for place in facts.files():
        if place.suffix in _SCANNED and place.stat().st_size <= _SCAN_BYTES:
            yield place


def _has_secret(place: Path) -> bool:
    text = place.read_bytes().decode("utf-8", "replace")
    return HIDDEN in redact_text(text) and HIDDEN not in text


class Memory(Check[Facts]):
    """Markdown of the workspace: invisible characters, known phrases, long encoded runs."""

    id = "AUD-MEM-002"
    severity = "medium"
    title = "What the agent remembers holds no hidden or planted instructions"
    remediation = "read the named files with `cat -v` and remove what you did not write"
    refs = ("LLM01",)

    def run(self, facts: Facts) -> Outcome:
        return holds(list(planted(sorted((facts.folder / "workspace").rglob("*.md")))), "nothing found")


class Redaction(Check[Facts]):
    """Canaries through the redactor, as values, in texts and in addresses."""

    id = "AUD-OPS-003"
    severity = "high"
    title = "Secrets do not reach the log"
    remediation = "restore the shipped shared/obs/redact.py"
    fix = "manual"

    def run(self, facts: Facts) -> Outcome:
        return holds(list(shown_canaries()), f"{facts.tenant}: every canary stayed hidden")


class Writable(Check[Facts]):
    """Every folder and file."""

    id = "AUD-OPS-009"
    severity = "medium"
    subject = "host"
    title = "Nobody else can write the tenant's data"
    remediation = "chmod -R o-w the tenant's folder"
    fix = "auto"

    def run(self, facts: Facts) -> Outcome:
        if not facts.folder.exists():
            return unknown(f"{facts.folder} does not exist")
        bad = [
            place
            for place in (facts.folder, *sorted(facts.folder.rglob("*")))
            if not place.is_symlink() and place.lstat().st_mode & stat.S_IWOTH and not place.is_socket()
        ]
        return holds([f"{place} can be written by everybody" for place in bad], "none is writable by others")


STATE_CHECKS: Final = (Groups(), Directs(), Private(), NoSecrets(), Memory(), Redaction(), Writable())
