"""Checks of secrets (AUD-SEC): where they lie, who can read them, and where they must not be."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from gateway.audit.base import DockerCheck, GatewayCheck
from gateway.audit.facts import Facts
from gateway.backup.service import OWN_FILES
from shared.audit.models import Outcome, holds, passed
from shared.backup.plans import selection_of
from shared.config.envfile import FORBIDDEN
from shared.obs.redact import HIDDEN, is_secret_name, looks_secret, redact_text
from shared.secrets.files import write_private

_OAUTH: Final = "CLAUDE_CODE_OAUTH_TOKEN"
_API_KEYS: Final = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
_PLACEHOLDER: Final = "placeholder"
_ASSIGNED: Final = re.compile(r"^\s*#\s*(?:export\s+)?([A-Za-z][A-Za-z0-9_]*)\s*=\s*\S{12,}")
_SCANNED: Final = frozenset({".toml", ".md", ".log", ".json", ".jsonl", ".txt", ".yaml", ".yml", ".env", ""})
_SCAN_BYTES: Final = 4 << 20
_SHORTEST: Final = 12
SOCIAL_DAYS: Final = 7
REFRESH_GRACE: Final = timedelta(minutes=10)


class NoApiKey(GatewayCheck):
    """``.env``, the environment of every process of ours, and of every worker."""

    id = "AUD-SEC-001"
    severity = "critical"
    subject = "nanoclaw"
    title = "No Anthropic API key stands where Claude Code would take it instead of the login"
    remediation = "rename it to ANTHROPIC_API_KEY_FALLBACK in .env, unset it in the environment, and restart"
    fix = "auto"
    refs = ("ASI03", "LLM10")

    def look(self, facts: Facts) -> Outcome:
        problems = [
            f"{facts.paths.env_file} sets {name}" for name in _names_of(facts.paths.env_file) if name in FORBIDDEN
        ]
        for name, asked in facts.processes.items():
            problems += [f"the process {name} has {key}" for key in sorted(asked.get().variables & set(FORBIDDEN))]
        if facts.profile.engine == "docker":
            for seen in facts.containers.get():
                problems += [f"{seen.name} has {key}" for key in sorted(set(seen.variables) & set(FORBIDDEN))]
        return holds(problems, f"{len(facts.processes)} processes, .env and workers")


def _names_of(file: Path) -> list[str]:
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.partition("=")[0].removeprefix("export ").strip() for line in lines if "=" in line and line[:1] != "#"]


class PrivateFiles(GatewayCheck):
    """Mode, owner and kind of each, and of the folders that lead to it."""

    id = "AUD-SEC-002"
    severity = "high"
    title = "Files that may hold secrets are private"
    remediation = "chmod 600 these files, chmod 700 their folders, and give them to the service's user"
    fix = "auto"
    refs = ("ASI03",)

    def look(self, facts: Facts) -> Outcome:
        files = list(secret_files(facts))
        problems = [problem for place in files for problem in _loose(place)]
        folders = sorted({place.parent for place in files} | {facts.paths.gateway})
        problems += [f"{folder} can be written by others" for folder in folders if _is_open(folder)]
        return holds(problems, f"{len(files)} files")


def secret_files(facts: Facts) -> Iterator[Path]:
    """Every file of the gateway that may hold a secret and is there."""
    paths, settings = facts.paths, facts.settings
    named = [paths.env_file, paths.graph_keys, *settings.borrowed_files().values()]
    named += [settings.credential_file("claude_file"), paths.gateway_db]
    vault = paths.gateway / "vault"
    named += [vault / "keys", *sorted(vault.glob("sealed/*/*/*"))]
    if settings.policy.model_api.require_key:
        named.append(Path(settings.policy.model_api.keys_file).expanduser())
    for name in dict.fromkeys(named):
        if os.path.lexists(name):
            yield name


def _is_open(folder: Path) -> bool:
    mode = folder.stat().st_mode if folder.exists() else 0
    return bool(mode & (stat.S_IWGRP | stat.S_IWOTH)) and not mode & stat.S_ISVTX


def _loose(place: Path) -> Iterator[str]:
    info = place.lstat()
    if stat.S_ISLNK(info.st_mode):
        yield f"{place} is a link"
        return
    mode = stat.S_IMODE(info.st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield f"{place} has mode {mode:03o}"
    if os.geteuid() != 0 and info.st_uid != os.geteuid():
        yield f"{place} belongs to user {info.st_uid}"


class Sealed(GatewayCheck):
    """Where the key comes from, that what is stored is no plain text, and what is copied away."""

    id = "AUD-SEC-003"
    severity = "high"
    title = "Stored secrets are sealed with a random key that no backup or export carries"
    remediation = "clawgate secrets rotate; on a server hand the keys over: clawgate install systemd --vault-keys FILE"
    refs = ("ASI03",)

    def look(self, facts: Facts) -> Outcome:
        vault = facts.paths.gateway / "vault"
        sealed = [place for place in sorted(vault.glob("sealed/*/*/*")) if place.name.isdigit()]
        plain = [place for place in sealed if looks_secret(place.read_bytes().decode("utf-8", "replace"))]
        problems = [f"{place} is plain text" for place in plain]
        state = facts.paths.state
        copied = [state / name for name in OWN_FILES.include]
        for tenant, policy in facts.settings.enabled_tenants().items():
            copied += [facts.paths.tenant(tenant) / name for name in selection_of(policy.kind, tenant).include]
        problems += [f"{place} goes into a backup" for place in copied if vault.is_relative_to(place)]
        facts.live.get()  # opened with the key ring, or says why it could not be
        return holds(problems, "sealed, and no copy has the key")


class NoLeaks(GatewayCheck):
    """Text files outside the places of secrets: the values in use as they are, and what has the shape of one."""

    id = "AUD-SEC-004"
    severity = "high"
    title = "No secret in use lies in policies, logs, memory or conversations"
    remediation = "replace the named secret, then remove it from the named file"
    refs = ("LLM02",)

    def look(self, facts: Facts) -> Outcome:
        live = [(what, secret.reveal().encode()) for what, secret in facts.live.get().items()]
        live = [(what, value) for what, value in live if len(value) >= _SHORTEST]
        problems = []
        for place in _texts(facts):
            data = place.read_bytes()
            if (found := next((what for what, value in live if value in data), None)) is not None:
                problems.append(f"{place} holds {found}")
            elif looks_secret(data.decode("utf-8", "replace")):
                problems.append(f"{place} holds what looks like a secret")
        return holds(problems, f"none of {len(live)} secrets was found")


def _texts(facts: Facts) -> Iterator[Path]:
    paths = facts.paths
    roots = [paths.policies, paths.process_log("gateway").parent, paths.state / "logs"]
    for name in facts.profile.nanoclaw:
        roots += [paths.group(name, "x").parent, paths.process_log(name).parent]
    for root in roots:
        for place in sorted(root.rglob("*")):
            if place.is_symlink() or not place.is_file() or place.suffix not in _SCANNED:
                continue
            if place.stat().st_size <= _SCAN_BYTES:
                yield place


class WorkersHoldNone(DockerCheck):
    """Every value in use, searched in all that the engine keeps of a container."""

    id = "AUD-SEC-005"
    severity = "high"
    subject = "nanoclaw"
    title = "No worker was given a secret: not in its environment, labels or command line"
    remediation = "end the named workers with `nanoclaw workers stop --all`"
    fix = "auto"
    refs = ("ASI03", "CIS 4.10")

    def look(self, facts: Facts) -> Outcome:
        live = [(what, secret.reveal()) for what, secret in facts.live.get().items()]
        problems = []
        for seen in facts.containers.get():
            texts = [*map(str, seen.config.get("Env") or ()), *map(str, (seen.config.get("Labels") or {}).values())]
            whole = "\n".join([*texts, *map(str, seen.config.get("Cmd") or ())])
            problems += [
                f"{seen.name} has {what}" for what, value in live if len(value) >= _SHORTEST and value in whole
            ]
            for name, value in seen.variables.items():
                if is_secret_name(name) and value != _PLACEHOLDER and name not in _API_KEYS:
                    problems.append(f"{seen.name} has {name}")
        return holds(problems, "only placeholders")


class OneLogin(DockerCheck):
    """Exactly one way in each."""

    id = "AUD-SEC-006"
    severity = "high"
    subject = "nanoclaw"
    title = "A worker has the login's placeholder and no key beside it"
    remediation = "end the named workers with `nanoclaw workers stop --all`"
    fix = "auto"
    refs = ("ASI03",)

    def look(self, facts: Facts) -> Outcome:
        problems = []
        for seen in facts.containers.get():
            ways = [name for name in (_OAUTH, "ANTHROPIC_API_KEY_FALLBACK") if name in seen.variables]
            if len(ways) != 1:
                problems.append(f"{seen.name} has {' and '.join(ways) or 'no way'} in")
        return holds(problems, "one each")


class SignIns(GatewayCheck):
    """Every sign-in that exists."""

    id = "AUD-SEC-007"
    severity = "medium"
    title = "Sign-ins are fresh: none has ended, none is about to, and refreshing works"
    remediation = "clawgate auth status names the command for each"
    refs = ("ASI08",)

    def look(self, facts: Facts) -> Outcome:
        rows = [row for row in facts.sign_ins.get() if row["health"] != "missing"]
        problems = []
        for row in rows:
            name = f"{row['tenant']}/{row['provider']}"
            if row["health"] == "login_needed":
                problems.append(f"{name} needs a person")
            if row.get("failing_since"):
                problems.append(f"refreshing {name} fails since {row['failing_since']}")
            if row.get("expires_at"):
                left = datetime.fromisoformat(row["expires_at"]) - facts.now
                least = timedelta(days=SOCIAL_DAYS) if row["provider"] in {"threads", "instagram"} else -REFRESH_GRACE
                if left < least:
                    problems.append(f"{name} ends at {row['expires_at']}")
        return holds(problems, f"{len(rows)} sign-ins")


class GatewayToken(GatewayCheck):
    """That no two secrets have one value; the token itself is OpenClaw's to look at."""

    id = "AUD-SEC-008"
    severity = "medium"
    title = "The gateway tokens are long, nobody's example, and like no other secret"
    remediation = "set a new one: openssl rand -hex 24 | clawgate secrets set GATEWAY_TOKEN --tenant openclaw"
    refs = ("ASI03",)

    def look(self, facts: Facts) -> Outcome:
        names: dict[str, list[str]] = {}
        for what, secret in facts.live.get().items():
            if len(value := secret.reveal()) >= _SHORTEST:
                names.setdefault(value, []).append(what)
        tokens = [sorted(same) for same in names.values() if len(same) > 1 and any("GATEWAY_TOKEN" in w for w in same)]
        return holds([f"{' and '.join(same)} have one value" for same in tokens], "no other secret is like one")


class WrittenWhole(GatewayCheck):
    """The writer itself, what it left behind, and who owns ``.env``."""

    id = "AUD-SEC-009"
    severity = "medium"
    title = "Secrets are replaced in one step, privately, and no agent can write .env"
    remediation = "chmod 600 .env and remove the left-over files; restore the shipped shared/secrets/files.py"
    refs = ("ASI03",)

    def look(self, facts: Facts) -> Outcome:
        problems = []
        with tempfile.TemporaryDirectory(prefix="cg-audit-") as folder:
            place = Path(folder) / "probe"
            write_private(place, "one")
            before = place.stat()
            write_private(place, "two")
            if before.st_ino == place.stat().st_ino or stat.S_IMODE(place.stat().st_mode) != 0o600:
                problems.append("a file was changed in place")
        left = [place for place in facts.paths.gateway.glob(".*") if re.fullmatch(r"\..+\.[0-9a-f]{8}", place.name)]
        problems += [f"{place} was left by a writer that died" for place in left]
        if facts.paths.env_file.exists():
            owner = facts.paths.env_file.stat().st_uid
            users = {
                name: user.uid for name in facts.settings.enabled_tenants() if (user := facts.settings.user_of(name))
            }
            problems += [f".env belongs to the tenant {name}" for name, uid in users.items() if uid == owner]
        return holds(problems, "replaced by renaming, mode 600")


class NoRetired(GatewayCheck):
    """Comments of the file; only names are told."""

    id = "AUD-SEC-010"
    severity = "low"
    title = "No retired secret is left in .env, not even behind a #"
    remediation = "delete the named lines of .env, and revoke what they hold"
    refs = ("LLM02",)

    def look(self, facts: Facts) -> Outcome:
        file = facts.paths.env_file
        if not file.exists():
            return passed("there is no .env")
        problems = []
        for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            if not line.lstrip().startswith("#"):
                continue
            match = _ASSIGNED.match(line)
            if (match and is_secret_name(match[1])) or (HIDDEN in redact_text(line) and HIDDEN not in line):
                problems.append(f"line {number} keeps {match[1] if match else 'a secret'}")
        return holds(problems, "comments hold no secret")


SECRET_CHECKS: Final = (
    NoApiKey(),
    PrivateFiles(),
    Sealed(),
    NoLeaks(),
    WorkersHoldNone(),
    OneLogin(),
    SignIns(),
    GatewayToken(),
    WrittenWhole(),
    NoRetired(),
)
