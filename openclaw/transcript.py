"""Transcripts: one JSONL file a session, appended and flushed to disk before anybody sees the words.

The file is the truth; the index in the database says where each entry lies. What a crash left between the two is
repaired when a transcript is first used: lines without an index entry are indexed, half a line at the end is cut off.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal
from uuid import uuid4

from openclaw import store
from openclaw.store import MessageRow
from shared.clock import SYSTEM_CLOCK, Clock, unix_ms
from shared.obs.log import get_logger
from shared.secrets.files import write_private
from shared.storage import Database

_log = get_logger(__name__)

COMPACTION: Final = "compaction"
"""The role of an entry that sums up what came before it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of a conversation as the transcript keeps it.

    Attributes:
        message: ``{"role", "content": [blocks], "timestamp": Unix ms, …}``; roles are ``user``, ``assistant``,
            ``toolResult`` and ``compaction``, which also has ``firstKeptEntryId`` and ``tokensBefore``.
    """

    id: str
    run_id: str
    message: dict[str, Any]

    @property
    def role(self) -> str:
        """Who speaks."""
        return str(self.message["role"])

    @property
    def text(self) -> str:
        """All text blocks together."""
        return text_of(self.message)


def text_of(message: dict[str, Any]) -> str:
    """All text blocks of a message together."""
    blocks = message.get("content", [])
    return "".join(str(block.get("text", "")) for block in blocks if block.get("type") == "text")


def text_message(role: str, text: str, at: datetime, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - free JSON
    """A message of one text block."""
    return {"role": role, "content": [{"type": "text", "text": text}], "timestamp": unix_ms(at), **more}


@dataclass(slots=True)
class _Tail:
    size: int
    last_id: str | None


class Transcripts:
    """All transcripts of the agent.

    Args:
        folder: where the files lie.
    """

    def __init__(self, db: Database, folder: Path, clock: Clock = SYSTEM_CLOCK) -> None:
        self._db = db
        self._folder = folder
        self._clock = clock
        self._tails: dict[str, _Tail] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def path(self, session_id: str) -> Path:
        """A transcript's file."""
        return self._folder / f"{session_id}.jsonl"

    async def append(self, session_id: str, run_id: str, message: dict[str, Any]) -> Entry:
        """Add a message; durable when this returns."""
        async with self._lock(session_id):
            tail = await self._tail(session_id)
            entry = Entry(uuid4().hex[:16], run_id, message)
            now = self._clock.now()
            line = _encode(entry, tail.last_id, now)
            del self._tails[session_id]  # whatever fails from here on, the next use looks at the file again
            offset = await asyncio.to_thread(_append, self.path(session_id), tail.size, session_id, line, now)
            row = MessageRow(session_id, entry.id, run_id, entry.role, offset, len(line), now)
            # The file is flushed; an index entry that a power cut takes is found again by `_scan`.
            await self._db.write(lambda c: store.add_message(c, row), sync=False)
            self._tails[session_id] = _Tail(offset + len(line), entry.id)
        return entry

    async def last(self, session_id: str, limit: int) -> list[Entry]:
        """The newest messages, oldest of them first."""
        await self._repair(session_id)
        rows = await self._db.read(lambda c: store.last_messages(c, session_id, limit))
        return await asyncio.to_thread(_read, self.path(session_id), rows)

    async def counts(self, start: datetime, end: datetime) -> list[tuple[str, str, int]]:
        """How many messages of each role were written in a span of time: ``(session_id, role, count)``."""
        return await self._db.read(lambda c: store.count_messages(c, start, end))

    async def of_run(self, session_id: str, run_id: str) -> list[Entry]:
        """What a run wrote so far."""
        await self._repair(session_id)
        rows = await self._db.read(lambda c: store.run_messages(c, session_id, run_id))
        return await asyncio.to_thread(_read, self.path(session_id), rows)

    async def archive(self, session_id: str, why: Literal["reset", "deleted"] = "reset") -> Path | None:
        """Set a transcript aside; it is kept, under a name with the time, which is returned."""
        source = self.path(session_id)
        async with self._lock(session_id):
            self._tails.pop(session_id, None)
            if not await asyncio.to_thread(source.exists):
                return None
            target = self._aside(source, why)
            await asyncio.to_thread(source.rename, target)
        return target

    def _aside(self, source: Path, why: str) -> Path:
        stamp = self._clock.now().strftime("%Y-%m-%dT%H-%M-%S.%fZ")
        return source.with_name(f"{source.name}.{why}.{stamp}")

    async def keep_last(self, session_id: str, lines: int) -> tuple[int, Path | None]:
        """Cut a transcript down to its newest entries; the whole one is kept beside it.

        Returns:
            How many entries are left, and where the whole transcript went; None when nothing was cut.
        """
        await self._repair(session_id)
        source = self.path(session_id)
        async with self._lock(session_id):
            rows = await self._db.read(lambda c: store.last_messages(c, session_id, lines + 1))
            if len(rows) <= lines:
                return len(rows), None
            target = self._aside(source, "bak")
            del self._tails[session_id]
            # A crash after the file was replaced leaves an index that points beyond its end: `_tail` notices.
            await asyncio.to_thread(_keep_from, source, target, rows[1].offset)
            await self._db.write(lambda c: store.forget_messages(c, session_id))
            await self._tail(session_id)
        return lines, target

    def _lock(self, session_id: str) -> asyncio.Lock:
        return self._locks.setdefault(session_id, asyncio.Lock())

    async def _repair(self, session_id: str) -> None:
        if session_id not in self._tails:
            async with self._lock(session_id):
                await self._tail(session_id)

    async def _tail(self, session_id: str) -> _Tail:
        if tail := self._tails.get(session_id):
            return tail
        indexed = await self._db.read(lambda c: store.indexed_bytes(c, session_id))
        if indexed > await asyncio.to_thread(_size, self.path(session_id)):
            await self._db.write(lambda c: store.forget_messages(c, session_id))
            indexed = 0
        found, size, last_id = await asyncio.to_thread(_scan, self.path(session_id), indexed)
        rows = [MessageRow(session_id, e.id, e.run_id, e.role, offset, length, at) for e, offset, length, at in found]
        if rows:
            _log.info("transcript.repaired", session=session_id, entries=len(rows))
            await self._db.write(lambda c: [store.add_message(c, row) for row in rows])
        if last_id is None:
            newest = await self._db.read(lambda c: store.last_messages(c, session_id, 1))
            last_id = newest[0].entry_id if newest else None
        self._tails[session_id] = _Tail(size, last_id)
        return self._tails[session_id]


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _keep_from(source: Path, whole: Path, offset: int) -> None:
    """Replace a transcript by its header and what begins at `offset`; `whole` becomes another name of the old file."""
    with source.open("rb") as handle:
        header = handle.readline()
        handle.seek(offset)
        kept = header + handle.read()
    whole.hardlink_to(source)
    write_private(source, kept)


def _encode(entry: Entry, parent: str | None, at: datetime) -> bytes:
    record = {
        "type": "message",
        "id": entry.id,
        "parentId": parent,
        "timestamp": at.isoformat(),
        "runId": entry.run_id,
        "message": entry.message,
    }
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode(errors="replace") + b"\n"


def _decode(line: bytes) -> tuple[Entry, datetime] | None:
    try:
        record = json.loads(line)
        if record.get("type") != "message":
            return None
        entry = Entry(str(record["id"]), str(record["runId"]), dict(record["message"]))
        _ = entry.role
        return entry, datetime.fromisoformat(record["timestamp"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _append(path: Path, size: int, session_id: str, line: bytes, now: datetime) -> int:
    """Write one line and flush it to disk; returns where it begins."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        payload = line
        if size == 0:
            head = {"type": "session", "version": 1, "id": session_id, "timestamp": now.isoformat()}
            header = json.dumps(head, separators=(",", ":")).encode() + b"\n"
            payload, size = header + line, len(header)
        written = 0
        while written < len(payload):
            written += os.write(descriptor, payload[written:])
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return size


def _scan(path: Path, indexed: int) -> tuple[list[tuple[Entry, int, int, datetime]], int, str | None]:
    """Entries behind the indexed part, the file's size, and the last entry's id if it is among them."""
    if not path.exists():
        return [], 0, None
    found: list[tuple[Entry, int, int, datetime]] = []
    with path.open("r+b") as handle:
        handle.seek(indexed)
        offset = indexed
        for line in handle:
            if not line.endswith(b"\n"):
                handle.truncate(offset)  # half a line: the process died while writing, nobody was told of it
                break
            if decoded := _decode(line):
                found.append((decoded[0], offset, len(line), decoded[1]))
            offset += len(line)
    return found, offset, found[-1][0].id if found else None


def _read(path: Path, rows: Iterable[MessageRow]) -> list[Entry]:
    entries: list[Entry] = []
    wanted = list(rows)
    if not wanted or not path.exists():
        return entries
    with path.open("rb") as handle:
        for row in wanted:
            handle.seek(row.offset)
            if decoded := _decode(handle.read(row.length)):
                entries.append(decoded[0])
    return entries
