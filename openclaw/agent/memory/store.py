"""The full-text index: one small SQLite file that can always be made anew from what it indexes.

Synchronous; its owner runs it in a thread, one call at a time. Notes are read again when they changed, transcripts from
where the last look ended.
"""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from openclaw.agent.workspace.folder import Folder
from shared.errors import GatewayError
from shared.obs.log import get_logger

_log = get_logger(__name__)

Kind = Literal["memory", "sessions"]

_VERSION: Final = 1
_PIECE_CHARS: Final = 1200
_ENTRY_CHARS: Final = 4000
_LINE_BYTES: Final = 4 * 1024 * 1024
_MOST_NOTES: Final = 2000
_MOST_WORDS: Final = 12
_SNIPPET_TOKENS: Final = 48
_WORD = re.compile(r"\w+")
_TABLES: Final = """
CREATE TABLE sources (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, mark TEXT NOT NULL,
    read_to INTEGER NOT NULL, UNIQUE (kind, name));
CREATE TABLE pieces (id INTEGER PRIMARY KEY, source_id INTEGER NOT NULL, place TEXT NOT NULL);
CREATE INDEX pieces_source ON pieces (source_id);
CREATE VIRTUAL TABLE words USING fts5 (text, tokenize = "unicode61 remove_diacritics 2");
"""


@dataclass(frozen=True, slots=True)
class Hit:
    """A piece that was found.

    Attributes:
        name: a note's path in the workspace, or a transcript's session id.
        place: lines of a note, or who spoke and when.
        snippet: the words around what was looked for.
    """

    kind: Kind
    name: str
    place: str
    snippet: str


class MemoryStore:
    """The index file.

    Args:
        path: made when it is not there; made anew when it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def refresh(self, workspace: Folder, transcripts: Path) -> None:
        """Take in what changed since the last call."""
        connection = self._open()
        with connection:
            self._refresh_notes(connection, workspace)
            self._refresh_transcripts(connection, transcripts)

    def search(self, query: str, kinds: Iterable[Kind], limit: int) -> list[Hit]:
        """The best pieces that hold all words, or any of them when none holds all. Beginnings of words count."""
        words = [f'"{word}"*' for word in _WORD.findall(query)[:_MOST_WORDS]]
        if not words:
            return []
        wanted = sorted(set(kinds))
        marks = ", ".join("?" * len(wanted))
        statement = (
            "SELECT s.kind, s.name, p.place, snippet(words, 0, '', '', ' … ', ?) FROM words"  # noqa: S608 - marks only
            " JOIN pieces p ON p.id = words.rowid JOIN sources s ON s.id = p.source_id"
            f" WHERE words MATCH ? AND s.kind IN ({marks}) ORDER BY bm25(words), p.id DESC LIMIT ?"
        )
        for joined in (" AND ".join(words), " OR ".join(words)):
            rows = self._open().execute(statement, (_SNIPPET_TOKENS, joined, *wanted, limit)).fetchall()
            if rows:
                return [Hit(*row) for row in rows]
        return []

    # --- taking in ---------------------------------------------------------------------

    def _refresh_notes(self, connection: sqlite3.Connection, workspace: Folder) -> None:
        found = dict(notes(workspace))
        known = {name: (number, mark) for number, name, mark, _ in _sources(connection, "memory")}
        for name in known.keys() - found.keys():
            _forget(connection, known[name][0])
        for name, mark in found.items():
            if name in known and known[name][1] == mark:
                continue
            if name in known:
                _forget(connection, known[name][0])
            try:
                text = workspace.read(name).decode(errors="replace")
            except GatewayError:
                continue
            number = _source(connection, "memory", name, mark, 0)
            for first, last, piece in note_pieces(text):
                _add(connection, number, f"lines {first} to {last}", piece)

    def _refresh_transcripts(self, connection: sqlite3.Connection, folder: Path) -> None:
        found = {path.name.partition(".jsonl")[0]: path for path in _transcripts(folder)}
        known = {name: (number, read_to) for number, name, _, read_to in _sources(connection, "sessions")}
        for name in known.keys() - found.keys():
            _forget(connection, known[name][0])
        for name, path in found.items():
            number, start = known.get(name, (0, 0))
            size = path.stat().st_size
            if size == start:
                continue
            if size < start:  # cut: what is indexed may be gone
                _forget(connection, number)
                number, start = 0, 0
            number = number or _source(connection, "sessions", name, "", 0)
            end = start
            for end, place, text in entries_from(path, start):  # noqa: B007 - the last end is used below
                if text:
                    _add(connection, number, place, text[:_ENTRY_CHARS])
            connection.execute("UPDATE sources SET read_to = ? WHERE id = ?", (end, number))

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self._connection = self._connect()
            except sqlite3.DatabaseError as error:
                _log.warning("memory.made_anew", path=str(self._path), reason=str(error))
                for suffix in ("", "-wal", "-shm", "-journal"):
                    self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
                self._connection = self._connect()
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = sqlite3.connect(self._path, check_same_thread=False)
        try:
            self._path.chmod(0o600)
            connection.execute("PRAGMA synchronous = OFF")  # it is made anew if a crash spoils it
            connection.execute("PRAGMA cache_size = -1024")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                connection.executescript(_TABLES)
                connection.execute(f"PRAGMA user_version = {_VERSION}")
            elif version != _VERSION:
                raise sqlite3.DatabaseError(f"it is of version {version}")
            connection.execute("SELECT count(*) FROM sources").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection


def notes(workspace: Folder) -> Iterator[tuple[str, str]]:
    """The notes of a workspace with a mark that changes when they do: ``MEMORY.md`` and Markdown below ``memory``."""
    root = workspace.root
    candidates = [root / "MEMORY.md"]
    below = root / "memory"
    if below.is_dir() and not below.is_symlink():
        candidates += sorted(below.rglob("*.md"))[:_MOST_NOTES]
    for path in candidates:
        with contextlib.suppress(OSError):
            facts = path.lstat()
            yield str(path.relative_to(root)), f"{facts.st_mtime_ns}.{facts.st_size}.{facts.st_ino}"


def note_pieces(text: str) -> Iterator[tuple[int, int, str]]:
    """A note in pieces of about a paragraph: first line, last line, text. A heading begins a new one."""
    first, held = 1, ""
    for number, line in enumerate(text.splitlines(), 1):
        if held.strip() and (line.startswith("#") or len(held) + len(line) > _PIECE_CHARS):
            yield first, number - 1, held
            first, held = number, ""
        held += line[:_PIECE_CHARS] + "\n"
    if held.strip():
        yield first, len(text.splitlines()), held


def entries_from(path: Path, start: int) -> Iterator[tuple[int, str, str]]:
    """Entries of a transcript from a byte on: where each ends, who spoke and when, and the words (empty: none)."""
    with path.open("rb") as handle:
        handle.seek(start)
        end = start
        while line := handle.readline(_LINE_BYTES):
            end += len(line)
            if not line.endswith(b"\n"):
                if len(line) < _LINE_BYTES:
                    return  # still being written
                continue
            yield (end, *_words(line))


def _words(line: bytes) -> tuple[str, str]:
    try:
        record: Any = json.loads(line)
        message = record["message"]
        role = message["role"]
        if role not in {"user", "assistant"}:
            return "", ""
        blocks = [str(block.get("text", "")) for block in message["content"] if block.get("type") == "text"]
        return f"{role}, {str(record['timestamp'])[:16].replace('T', ' ')} UTC", "".join(blocks).strip()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "", ""


def _transcripts(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if ".jsonl" in path.name and ".deleted." not in path.name]


def _sources(connection: sqlite3.Connection, kind: Kind) -> list[tuple[int, str, str, int]]:
    return connection.execute("SELECT id, name, mark, read_to FROM sources WHERE kind = ?", (kind,)).fetchall()


def _source(connection: sqlite3.Connection, kind: Kind, name: str, mark: str, read_to: int) -> int:
    statement = "INSERT INTO sources (kind, name, mark, read_to) VALUES (?, ?, ?, ?)"
    return int(connection.execute(statement, (kind, name, mark, read_to)).lastrowid or 0)


def _add(connection: sqlite3.Connection, source: int, place: str, text: str) -> None:
    cursor = connection.execute("INSERT INTO pieces (source_id, place) VALUES (?, ?)", (source, place))
    connection.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (cursor.lastrowid, text))


def _forget(connection: sqlite3.Connection, source: int) -> None:
    connection.execute("DELETE FROM words WHERE rowid IN (SELECT id FROM pieces WHERE source_id = ?)", (source,))
    connection.execute("DELETE FROM pieces WHERE source_id = ?", (source,))
    connection.execute("DELETE FROM sources WHERE id = ?", (source,))
