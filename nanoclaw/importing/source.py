"""An original NanoClaw folder as values. It is only read: nothing in it changes.

Source: reference NanoClaw §2, §3 and §6 (the February 2026 line that the operator's fork grew from).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared.errors import Invalid, NotFound

CWD_NAME = "-workspace-group"
"""How Claude Code names the transcripts of the working directory ``/workspace/group``; the same in both products."""


@dataclass(frozen=True, slots=True)
class OldGroup:
    """A row of ``registered_groups``, with what lies on disk for it.

    Attributes:
        session: the conversation it continued, empty when it had none.
        has_transcript: that conversation can be resumed.
        mounts: extra host folders it was given.
        answered_up_to: messages up to this time were shown to its agent; None when none was.
    """

    chat: str
    name: str
    folder: str
    trigger_pattern: str
    requires_trigger: bool
    session: str = ""
    has_transcript: bool = False
    mounts: tuple[str, ...] = ()
    answered_up_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class OldMessage:
    """A row of ``messages`` that a person wrote."""

    id: str
    chat: str
    sender: str
    sender_name: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class OldTask:
    """A row of ``scheduled_tasks``."""

    id: str
    folder: str
    prompt: str
    schedule_type: str
    schedule_value: str
    context_mode: str
    status: str
    next_run: str


@dataclass(frozen=True, slots=True)
class OldInstallation:
    """Everything the folder holds.

    Attributes:
        chat_names: names by chat.
        newest: the newest message a person wrote, by chat.
        waiting: messages written after the group's agent last saw the chat, oldest first.
        env: values of its ``.env``.
        problems: what could not be read, in words.
    """

    root: Path
    groups: tuple[OldGroup, ...] = ()
    chat_names: Mapping[str, str] = field(default_factory=dict)
    newest: Mapping[str, OldMessage] = field(default_factory=dict)
    waiting: tuple[OldMessage, ...] = ()
    tasks: tuple[OldTask, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    has_global_memory: bool = False
    problems: tuple[str, ...] = ()


def read_installation(root: Path) -> OldInstallation:
    """Read an original's project folder.

    Raises:
        NotFound: there is no such folder, or no database in it.
        Invalid: the folder is of version 2, or its database cannot be read.
    """
    database = root / "store" / "messages.db"
    if not root.is_dir():
        raise NotFound(f"{root} is not a folder: name the original's project folder, the one with store/ and groups/")
    if not database.is_file():
        if (root / "data" / "v2.db").is_file():
            raise Invalid(
                f"{root} is a NanoClaw 2 installation (data/v2.db), whose groups are kept in another form: "
                "only version 1 can be imported. Register its chats with `nanoclaw groups register` instead",
                code="import.version",
            )
        raise NotFound(
            f"{root} has no store/messages.db: name the original's project folder, the one with store/ and groups/"
        )
    problems: list[str] = []
    try:
        with _opened(database) as connection:
            groups = _groups(connection, root, problems)
            messages = sorted(_messages(connection, problems), key=lambda message: message.at)
            answered_up_to = {group.chat: group.answered_up_to for group in groups}
            return OldInstallation(
                root=root,
                groups=tuple(groups),
                chat_names={str(row["jid"]): str(row["name"] or "") for row in _rows(connection, "chats")},
                newest={message.chat: message for message in messages},
                waiting=tuple(m for m in messages if m.chat in answered_up_to and _is_after(m, answered_up_to[m.chat])),
                tasks=tuple(_tasks(connection)),
                env=_env(root / ".env", problems),
                has_global_memory=(root / "groups" / "global" / "CLAUDE.md").is_file(),
                problems=tuple(problems),
            )
    except sqlite3.DatabaseError as error:
        raise Invalid(f"{database} cannot be read as a NanoClaw database: {error}", code="import.database") from None


@contextmanager
def _opened(database: Path) -> Iterator[sqlite3.Connection]:
    # Reading through SQLite sees what a running original has committed; mode=ro keeps us from changing a byte.
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


def _rows(connection: sqlite3.Connection, table: str) -> list[sqlite3.Row]:
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)).fetchone()
    return connection.execute(f"SELECT * FROM {table}").fetchall() if known else []  # noqa: S608 - our own literals


def _groups(connection: sqlite3.Connection, root: Path, problems: list[str]) -> list[OldGroup]:
    sessions = {str(row["group_folder"]): str(row["session_id"]) for row in _rows(connection, "sessions")}
    state = {str(row["key"]): str(row["value"]) for row in _rows(connection, "router_state")}
    cursors = _json(state.get("last_agent_timestamp", "{}"), "router_state.last_agent_timestamp", problems)
    groups = []
    for row in _rows(connection, "registered_groups"):
        folder, chat = str(row["folder"]), str(row["jid"])
        session = sessions.get(folder, "")
        transcript = root / "data" / "sessions" / folder / ".claude" / "projects" / CWD_NAME / f"{session}.jsonl"
        config = _json(_value(row, "container_config") or "{}", f"container_config of {folder}", problems)
        mounts = config.get("additionalMounts") or []
        groups.append(
            OldGroup(
                chat=chat,
                name=str(row["name"]),
                folder=folder,
                trigger_pattern=str(_value(row, "trigger_pattern") or ""),
                requires_trigger=bool(1 if (flag := _value(row, "requires_trigger")) is None else flag),
                session=session,
                has_transcript=bool(session) and transcript.is_file(),
                mounts=tuple(str(mount.get("hostPath", "")) for mount in mounts if isinstance(mount, dict)),
                answered_up_to=_time(cursors.get(chat)),
            )
        )
    return groups


def _is_after(message: OldMessage, answered_up_to: datetime | None) -> bool:
    return answered_up_to is None or message.at > answered_up_to


def _messages(connection: sqlite3.Connection, problems: list[str]) -> Iterator[OldMessage]:
    for row in _rows(connection, "messages"):
        if row["is_from_me"] or _value(row, "is_bot_message"):
            continue
        at = _time(row["timestamp"])
        if at is None:
            problems.append(f"message {row['id']} has no readable time and is left out")
            continue
        yield OldMessage(
            str(row["id"]),
            str(row["chat_jid"]),
            str(row["sender"] or ""),
            str(row["sender_name"] or row["sender"] or "somebody"),
            str(row["content"] or ""),
            at,
        )


def _tasks(connection: sqlite3.Connection) -> Iterator[OldTask]:
    for row in _rows(connection, "scheduled_tasks"):
        yield OldTask(
            id=str(row["id"]),
            folder=str(row["group_folder"]),
            prompt=str(row["prompt"]),
            schedule_type=str(row["schedule_type"]),
            schedule_value=str(row["schedule_value"]),
            context_mode=str(_value(row, "context_mode") or "isolated"),
            status=str(_value(row, "status") or "active"),
            next_run=str(_value(row, "next_run") or ""),
        )


def _value(row: sqlite3.Row, column: str) -> Any:  # noqa: ANN401 - a column's value
    """A column that an older database may lack."""
    return row[column] if column in row.keys() else None  # noqa: SIM118 - a row's own "in" looks at its values


def _json(text: str, what: str, problems: list[str]) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, dict):
        return value
    problems.append(f"{what} is not readable and is left out")
    return {}


def _time(value: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _env(path: Path, problems: list[str]) -> dict[str, str]:
    if not path.is_file():
        return {}
    from dotenv import dotenv_values

    if path.stat().st_mode & 0o077:
        problems.append(f"{path} can be read by others: run chmod 600 {path}, and consider its secrets seen")
    return {name: value for name, value in dotenv_values(path, interpolate=False).items() if value}
