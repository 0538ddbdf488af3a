"""``memory_search`` and ``memory_get``: what the owner's agent noted, and what was said before. Never in a channel."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from openclaw.agent.memory.store import Hit, Kind, MemoryStore
from openclaw.agent.tools import Arguments, FromOutside, Tool, ToolContext, make_tool, parse_arguments
from openclaw.agent.workspace.folder import Folder
from openclaw.agent.workspace.tools import text_of_file
from openclaw.sessions import Sessions
from shared.errors import Denied, Unavailable
from shared.lifecycle.control import Operation


class SearchArguments(Arguments):
    """``memory_search``."""

    query: Annotated[str, Field(min_length=1, max_length=500, description="Words; the beginning of a word is enough.")]
    max_results: Annotated[int, Field(ge=1, le=30)] = 8
    source: Annotated[
        Literal["all", "memory", "sessions"], Field(description="Notes, earlier conversations, or all.")
    ] = "all"


class GetArguments(Arguments):
    """``memory_get``."""

    path: Annotated[str, Field(min_length=1, max_length=500, description="MEMORY.md or memory/….md")]
    from_line: Annotated[int, Field(ge=1, alias="from")] = 1
    lines: Annotated[int, Field(ge=1, le=500)] = 200


class Memory:
    """Finds notes and earlier words again.

    Args:
        workspace: the agent's own.
        transcripts: where all conversations lie, archived ones too.
        index: the index's file; opened at the first search.
        sessions: names of conversations.
    """

    def __init__(self, workspace: Path, transcripts: Path, index: Path, sessions: Sessions | None = None) -> None:
        self._workspace = Folder(workspace)
        self._transcripts = transcripts
        self._store = MemoryStore(index)
        self._lock = asyncio.Lock()
        self.sessions = sessions

    @property
    def tools(self) -> tuple[Tool, ...]:
        """For the registry."""
        return (
            make_tool(
                "memory_search",
                "Search your notes (MEMORY.md, memory/*.md) and earlier conversations by words. Look here before you "
                "say that you do not know or remember something.",
                SearchArguments,
                self._search_tool,
                label="Memory search",
                group="memory",
                private=True,
            ),
            make_tool(
                "memory_get",
                "Read lines of a note that memory_search found.",
                GetArguments,
                self._get,
                label="Memory read",
                group="memory",
                private=True,
            ),
        )

    async def search(self, query: str, kinds: tuple[Kind, ...], limit: int) -> list[Hit]:
        """The best pieces; the index is brought up to date first.

        Raises:
            Unavailable: the index cannot be used.
        """
        import sqlite3

        async with self._lock:
            try:
                return await asyncio.to_thread(self._find, query, kinds, limit)
            except (sqlite3.Error, OSError) as error:
                raise Unavailable(f"the memory index cannot be used: {error}", code="memory.index") from None

    def _find(self, query: str, kinds: tuple[Kind, ...], limit: int) -> list[Hit]:
        self._store.refresh(self._workspace, self._transcripts)
        return self._store.search(query, kinds, limit)

    async def _search_tool(self, given: SearchArguments, _context: ToolContext) -> str:
        hits = await self.search(given.query, _kinds(given), given.max_results)
        if not hits:
            return "nothing was found"
        text = "\n".join(
            f"{number}. {self.describe(hit)}\n   {_flat(hit.snippet)}" for number, hit in enumerate(hits, 1)
        )
        return FromOutside(text) if any(hit.kind == "sessions" for hit in hits) else text

    def operations(self) -> Mapping[str, Operation]:
        """The operator's search, for the control socket."""

        async def search(params: dict[str, Any]) -> list[dict[str, Any]]:
            given = parse_arguments(SearchArguments, dict(params), "memory.search")
            hits = await self.search(given.query, _kinds(given), given.max_results)
            return [
                {"kind": hit.kind, "name": hit.name, "where": self.describe(hit), "snippet": _flat(hit.snippet)}
                for hit in hits
            ]

        return {"memory.search": search}

    def describe(self, hit: Hit) -> str:
        """Where a piece is from, in words."""
        if hit.kind == "memory":
            return f"{hit.name}, {hit.place}"
        row = self.sessions.find(hit.name) if self.sessions else None
        name = f"conversation {row.key}" if row else f"archived conversation {hit.name}"
        return f"{name}, {hit.place}"

    async def _get(self, given: GetArguments, _context: ToolContext) -> str:
        names = self._workspace.names(given.path)
        if names != ("MEMORY.md",) and not (names[:1] == ("memory",) and names[-1].endswith(".md")):
            raise Denied("memory_get reads MEMORY.md and memory/….md only; read reads other files", code="memory.path")
        data = await asyncio.to_thread(self._workspace.read, given.path)
        lines = text_of_file(data, given.path).splitlines()
        shown = lines[given.from_line - 1 : given.from_line - 1 + given.lines]
        return "\n".join(shown) or f"{given.path} has {len(lines)} lines"

    async def close(self) -> None:
        """Close the index."""
        async with self._lock:
            await asyncio.to_thread(self._store.close)


def _kinds(given: SearchArguments) -> tuple[Kind, ...]:
    return ("memory", "sessions") if given.source == "all" else (given.source,)


def _flat(text: str) -> str:
    return " ".join(text.split())
