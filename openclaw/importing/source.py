"""An original's state directory as values. It is only read: nothing in it changes.

Source: reference gateway §19, features §1, §5.3, §7.2, §8.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from shared.config.json5 import Json5Error, parse_json5
from shared.errors import Invalid, NotFound

AGENT: Final = "main"
_MAX_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class OldSession:
    """One entry of ``sessions.json``.

    Attributes:
        transcript: its file; None when it is gone.
    """

    key: str
    session_id: str
    entry: Mapping[str, Any]
    transcript: Path | None


@dataclass(frozen=True, slots=True)
class OldState:
    """Everything the folder holds.

    Attributes:
        config: ``openclaw.json`` as written.
        devices: ``devices/paired.json`` by device id.
        allow_from: people whose direct messages were answered, by ``credentials/discord-allowFrom.json``.
        profiles: sign-ins of ``auth-profiles.json`` by id; their values are never in a report.
        exec_approvals: ``exec-approvals.json``.
        agents: other agents' names.
        problems: what could not be read, in words.
    """

    root: Path
    config: Mapping[str, Any] | None = None
    devices: Mapping[str, Any] = field(default_factory=dict)
    allow_from: tuple[str, ...] = ()
    profiles: Mapping[str, Any] = field(default_factory=dict, repr=False)
    exec_approvals: Mapping[str, Any] = field(default_factory=dict)
    sessions: tuple[OldSession, ...] = ()
    cron_jobs: tuple[Mapping[str, Any], ...] = ()
    agents: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    problems: tuple[str, ...] = ()

    @property
    def profiles_file(self) -> Path:
        """Where the sign-ins are."""
        return self.root / "agents" / AGENT / "agent" / "auth-profiles.json"

    @property
    def copilot_file(self) -> Path:
        """The short-lived Copilot token."""
        return self.root / "credentials" / "github-copilot.token.json"

    @property
    def workspace(self) -> Path:
        """The agent's own files."""
        return self.root / "workspace"


def read_state(root: Path) -> OldState:
    """Read an original's state directory.

    Raises:
        NotFound: there is no such folder, or nothing of an original in it.
        Invalid: it is a folder of this product.
    """
    if not root.is_dir():
        raise NotFound(f"{root} is not a folder: name the original's state directory, usually ~/.openclaw")
    if (root / "openclaw.db").exists():
        raise Invalid(f"{root} is a folder of this product, not of the original", code="import.own")
    if not any((root / name).exists() for name in ("openclaw.json", "agents", "workspace", "devices", "cron")):
        raise NotFound(f"{root} has no openclaw.json, agents, workspace, devices or cron: it is no state directory")
    problems: list[str] = []
    reader = _Reader(root, problems)
    agents = root / "agents"
    names = sorted(place.name for place in agents.iterdir() if place.is_dir()) if agents.is_dir() else []
    jobs = reader.object("cron/jobs.json").get("jobs", [])
    return OldState(
        root=root,
        config=reader.config(),
        devices=_objects(reader.object("devices/paired.json")),
        allow_from=_texts(reader.object("credentials/discord-allowFrom.json").get("allowFrom")),
        profiles=_objects(reader.object(f"agents/{AGENT}/agent/auth-profiles.json").get("profiles")),
        exec_approvals=reader.object("exec-approvals.json"),
        sessions=tuple(_sessions(root, reader)),
        cron_jobs=tuple(job for job in jobs if isinstance(job, dict)) if isinstance(jobs, list) else (),
        agents=tuple(name for name in names if name != AGENT),
        env=reader.env(),
        problems=tuple(problems),
    )


class _Reader:
    def __init__(self, root: Path, problems: list[str]) -> None:
        self._root = root
        self._problems = problems

    def text(self, name: str) -> str:
        """A file's text; empty when it is missing or cannot be read."""
        place = self._root / name
        try:
            if place.is_symlink() or place.stat().st_size > _MAX_BYTES:
                raise OSError(0, "a link, or too large")
            return place.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            self._problems.append(f"{name} cannot be read ({reason}) and is left out")
            return ""

    def object(self, name: str) -> dict[str, Any]:
        text = self.text(name)
        if not text.strip():
            return {}
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            return value
        self._problems.append(f"{name} is not a JSON object and is left out")
        return {}

    def config(self) -> dict[str, Any] | None:
        text = self.text("openclaw.json")
        if not text.strip():
            return None
        try:
            value = parse_json5(text).value
        except Json5Error as error:
            self._problems.append(f"openclaw.json is not JSON5 ({error.detail}) and is left out")
            return None
        return value if isinstance(value, dict) else None

    def env(self) -> dict[str, str]:
        from io import StringIO

        from dotenv import dotenv_values

        values = dotenv_values(stream=StringIO(self.text(".env")), interpolate=False)
        return {name: value for name, value in values.items() if value}


def _sessions(root: Path, reader: _Reader) -> list[OldSession]:
    folder = root / "agents" / AGENT / "sessions"
    found = []
    for key, entry in reader.object(f"agents/{AGENT}/sessions/sessions.json").items():
        session_id = entry.get("sessionId") if isinstance(entry, dict) else None
        if not isinstance(session_id, str) or "/" in session_id or session_id.startswith("."):
            continue
        transcript = folder / f"{session_id}.jsonl"
        is_there = transcript.is_file() and not transcript.is_symlink()
        found.append(OldSession(key, session_id, entry, transcript if is_there else None))
    return found


def _objects(value: Any) -> dict[str, Any]:  # noqa: ANN401 - not checked yet
    if not isinstance(value, dict):
        return {}
    return {str(key): item for key, item in value.items() if isinstance(item, dict)}


def _texts(value: Any) -> tuple[str, ...]:  # noqa: ANN401 - not checked yet
    return tuple(str(item) for item in value) if isinstance(value, list) else ()
