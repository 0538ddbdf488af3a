"""Notes before a conversation is shortened, the operator's search, and jobs that a restart cut."""

from __future__ import annotations

import asyncio

from openclaw_house import house
from openclaw_rig import POLICY, running_rig
from test_openclaw_queue_modes import Nothing, quiet, send, words

from openclaw.agent.job_book import Cut, JobBook
from openclaw.agent.models import NoModel
from openclaw.agent.tools import ToolRegistry, make_tool
from openclaw.config import OpenClawPolicy
from openclaw.sessions import MAIN_SESSION


def writing() -> ToolRegistry:
    async def write(_given, _context):
        return "written"

    return ToolRegistry([make_tool("write", "d", Nothing, write, label="w", group="fs")])


class Fails:
    """The agent's loop, which finds no model for runs whose id ends so."""

    def __init__(self, ending, run) -> None:
        self._ending, self._run = ending, run

    async def __call__(self, *given, context, **more):
        if context.run_id.endswith(self._ending):
            raise NoModel("nobody answers")
        return await self._run(*given, context=context, **more)


async def test_what_matters_is_noted_once_before_the_conversation_is_shortened(tmp_path):
    async with running_rig(tmp_path, tools=writing()) as rig, rig.ui() as ui:
        sessions = rig.gateway.services.sessions
        await send(ui, "hello")
        await quiet(rig)
        assert len(rig.model.requests) == 1
        for expected in (3, 4):  # once with a turn before it, then not again
            await sessions.used(MAIN_SESSION, context_tokens=260_000)
            await send(ui, f"number {expected}")
            await quiet(rig)
            assert len(rig.model.requests) == expected
        asked = rig.model.requests[1][1]["input"][-1]["content"][0]["text"]
        assert "memory/" in asked
        assert "NO_REPLY" in asked
        told = rig.model.requests[2][1]["input"][-1]["content"][0]["text"]
        assert told == "number 3"
        assert not any("shortened" in text for _, text in await words(ui)), "nobody reads that turn"


async def test_a_failing_note_does_not_keep_the_answer_back_and_can_be_switched_off(tmp_path):
    async with running_rig(tmp_path / "a", tools=writing()) as rig, rig.ui() as ui:
        await send(ui, "hello")
        await quiet(rig)
        await rig.gateway.services.sessions.used(MAIN_SESSION, context_tokens=260_000)
        loop = rig.gateway.services.runs.loop
        asking, loop.run = loop.run, Fails("_flush", loop.run)
        await send(ui, "again")
        await quiet(rig)
        loop.run = asking
        assert (await words(ui))[-1] == ("assistant", "echo: again")
    off = OpenClawPolicy.model_validate({**POLICY.model_dump(), "compaction": {"memory_flush": False}})
    async with running_rig(tmp_path / "b", policy=off, tools=writing()) as rig, rig.ui() as ui:
        await send(ui, "hello")
        await quiet(rig)
        await rig.gateway.services.sessions.used(MAIN_SESSION, context_tokens=260_000)
        await send(ui, "again")
        await quiet(rig)
        assert len(rig.model.requests) == 2


async def test_the_operator_searches_notes_and_conversations(paths):
    async with house(paths) as it:
        (paths.tenant("openclaw") / "workspace" / "MEMORY.md").write_text("The boat is called Marlene.\n")
        [found] = await it.control("memory.search", query="marl")
        assert (found["kind"], found["where"]) == ("memory", "MEMORY.md, lines 1 to 1")
        assert "Marlene" in found["snippet"]
        assert await it.control("memory.search", query="nowhere at all", source="sessions", max_results=3) == []


async def test_a_session_is_told_once_of_a_job_that_ended_with_an_earlier_process(paths):
    book = paths.job_book("openclaw")
    JobBook(book).add(Cut("job_1", MAIN_SESSION, "", "sleep 60"))
    async with house(paths) as it:
        async with asyncio.timeout(10):
            while not it.model.requests or it.gateway.services.runs.active_count:
                await asyncio.sleep(0.02)
        said = it.model.requests[0][1]["input"][-1]["content"][0]["text"]
        assert "job_1 ended with it" in said
        assert "sleep 60" in said
    async with house(paths) as it:
        assert JobBook(book).load() == []
        await asyncio.sleep(0.1)
        assert it.model.requests == []


def test_a_book_that_cannot_be_read_is_an_empty_one(tmp_path):
    path = tmp_path / "jobs.json"
    for text in ("", "{", '[{"job": 1}]', "[1]", "null"):
        path.write_text(text)
        assert JobBook(path).load() == []
    book = JobBook(path)
    book.add(Cut("a", "k", "", "x"))
    book.add(Cut("b", "k", "", "y"))
    book.keep(lambda cut: cut.job_id != "a")
    assert [cut.job_id for cut in JobBook(path).load()] == ["b"]
