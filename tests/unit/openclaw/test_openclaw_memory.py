"""The full-text index follows notes and conversations, and can always be made anew."""

from __future__ import annotations

import json

import pytest

from openclaw.agent.memory.store import MemoryStore, note_pieces
from openclaw.agent.memory.tools import Memory
from openclaw.agent.tools import ToolContext, ToolRegistry
from openclaw.agent.workspace.folder import Folder
from openclaw.sessions import MAIN_SESSION
from shared.providers import ToolCall


class Bed:
    def __init__(self, folder):
        self.workspace = Folder(folder / "workspace")
        self.transcripts = folder / "sessions"
        self.transcripts.mkdir()
        self.index = folder / "data" / "memory.db"
        self.store = MemoryStore(self.index)

    def say(self, session, role, text, *, end="\n"):
        message = {"role": role, "content": [{"type": "text", "text": text}]}
        record = {"type": "message", "id": "x", "timestamp": "2026-01-02T03:04:05+00:00", "message": message}
        with (self.transcripts / f"{session}.jsonl").open("a") as handle:
            handle.write(json.dumps(record, ensure_ascii=False) + end)

    def find(self, query, *kinds, limit=10):
        self.store.refresh(self.workspace, self.transcripts)
        return [(hit.name, hit.place) for hit in self.store.search(query, kinds or ("memory", "sessions"), limit)]


@pytest.fixture
def bed(tmp_path):
    bed = Bed(tmp_path)
    yield bed
    bed.store.close()


def test_notes_are_found_by_beginnings_of_words_and_any_of_them(bed):
    bed.workspace.write("MEMORY.md", "# Kaffee\nDie Besitzerin, schwarz.\n# 약속\n내일 회의가 있다\n".encode())
    bed.workspace.write("memory/2026-01-02.md", b"a dentist on Friday")
    bed.workspace.write("other/x.md", b"dentist elsewhere")
    assert bed.find("dentis") == [("memory/2026-01-02.md", "lines 1 to 1")]
    assert bed.find("BESITZERIN schwarz") == [("MEMORY.md", "lines 1 to 2")]
    assert bed.find("회의") == [("MEMORY.md", "lines 3 to 4")]
    assert bed.find("dentist nowhere") == [("memory/2026-01-02.md", "lines 1 to 1")]
    assert bed.find("absent") == []


@pytest.mark.parametrize("query", ['"', "a OR", "NEAR(", "*", "text:x", "'; DROP TABLE words; --", "", "-", "\0"])
def test_no_query_is_understood_as_a_program(bed, query):
    bed.workspace.write("MEMORY.md", b"text x drop table words near a or")
    bed.find(query)
    assert bed.find("words")


def test_what_changes_is_read_again_and_what_goes_is_forgotten(bed):
    bed.workspace.write("MEMORY.md", b"apples")
    assert bed.find("apples")
    bed.workspace.write("MEMORY.md", b"pears")
    assert (bed.find("apples"), len(bed.find("pears"))) == ([], 1)
    bed.workspace.remove("MEMORY.md")
    assert bed.find("pears") == []


def test_transcripts_are_read_on_from_where_the_last_look_ended(bed):
    bed.say("s1", "user", "about walruses")
    assert bed.find("walruses") == [("s1", "user, 2026-01-02 03:04 UTC")]
    bed.say("s1", "toolResult", "secret output of a tool")
    bed.say("s1", "assistant", "walruses are large")
    bed.say("s1", "user", "torn walruses", end="")
    assert len(bed.find("walruses")) == 2
    assert bed.find("secret") == []
    with (bed.transcripts / "s1.jsonl").open("a") as handle:
        handle.write("\n{broken\n[]\n")
    assert len(bed.find("walruses")) == 3


def test_an_archived_conversation_stays_one_and_a_deleted_one_goes(bed):
    bed.say("s1", "user", "walruses")
    bed.say("s2", "user", "walruses")
    bed.find("walruses")
    (bed.transcripts / "s1.jsonl").rename(bed.transcripts / "s1.jsonl.reset.2026")
    (bed.transcripts / "s2.jsonl").rename(bed.transcripts / "s2.jsonl.deleted.2026")
    assert bed.find("walruses") == [("s1", "user, 2026-01-02 03:04 UTC")]


@pytest.mark.parametrize("spoil", [b"this is no database at all" * 100, b""])
def test_a_spoiled_index_is_made_anew(bed, spoil):
    bed.workspace.write("MEMORY.md", b"apples")
    assert bed.find("apples")
    bed.store.close()
    bed.index.write_bytes(spoil)
    assert bed.find("apples")
    assert bed.index.stat().st_mode & 0o777 == 0o600


def test_a_link_among_the_notes_is_not_followed(bed, tmp_path):
    (tmp_path / "secret.md").write_text("secret words")
    bed.workspace.write("memory/a.md", b"a")
    (bed.workspace.root / "memory" / "b.md").symlink_to(tmp_path / "secret.md")
    assert bed.find("secret") == []


def test_pieces_begin_at_headings_and_stay_small():
    text = "# A\n" + "x" * 1000 + "\n" + "y" * 1000 + "\n# B\nz"
    assert [(first, last) for first, last, _ in note_pieces(text)] == [(1, 2), (3, 3), (4, 5)]


async def test_the_tools_mark_conversations_as_from_outside_and_read_notes_alone(bed, tmp_path):
    bed.workspace.write("MEMORY.md", b"likes apples")
    bed.say("s1", "user", "pears")
    (bed.workspace.root / "private.txt").write_text("x")
    memory = Memory(bed.workspace.root, bed.transcripts, tmp_path / "i.db")
    registry = ToolRegistry(memory.tools)
    here = ToolContext("r", MAIN_SESSION)

    async def call(name, **arguments):
        return await registry.run(ToolCall("c", name, json.dumps(arguments)), here)

    note = await call("memory_search", query="apples")
    assert (note.text, note.outside) == ("1. MEMORY.md, lines 1 to 1\n   likes apples", False)
    said = await call("memory_search", query="pears")
    assert said.outside
    assert "archived conversation s1" in said.text
    assert (await call("memory_get", path="MEMORY.md", **{"from": 1})).text == "likes apples"
    for path in ("private.txt", "../i.db", "memory/../private.txt"):
        assert (await call("memory_get", path=path)).is_error
    assert (
        await registry.run(ToolCall("c", "memory_search", "{}"), ToolContext("r", "agent:main:discord:channel:1"))
    ).is_error
    await memory.close()
