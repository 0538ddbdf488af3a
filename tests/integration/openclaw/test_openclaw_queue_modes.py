"""What becomes of words that come while the agent is at work, and how a run ends that has no good end."""

from __future__ import annotations

import asyncio
import json
from uuid import uuid4

import pytest
from openclaw_rig import POLICY, ScriptedModel, running_rig, text_of, until

from openclaw.agent.tools import Arguments, ToolRegistry, make_tool
from openclaw.config import OpenClawPolicy
from openclaw.transcript import COMPACTION
from shared.clock import SYSTEM_CLOCK, FakeClock


def policy(**tables):
    return OpenClawPolicy.model_validate({**POLICY.model_dump(), **tables})


def queue(mode, **more):
    return policy(queue={"mode": mode, "debounce_s": 0.05, **more})


async def send(ui, text, key="main"):
    run_id = str(uuid4())
    answer = await ui.request("chat.send", {"sessionKey": key, "message": text, "idempotencyKey": run_id})
    return run_id, answer


async def words(ui, key="main"):
    history = await ui.request("chat.history", {"sessionKey": key})
    return [
        (message["role"], "".join(block.get("text", "") for block in message["content"]))
        for message in history["messages"]
    ]


async def quiet(rig):
    async with asyncio.timeout(10):
        while rig.gateway.services.runs.active_count:
            await asyncio.sleep(0.01)


class Nothing(Arguments):
    """No arguments."""

    x: int = 0


class Gate:
    """A tool that waits until it is let go."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.let_go = asyncio.Event()

    @property
    def registry(self) -> ToolRegistry:
        async def wait(_given, _context):
            self.entered.set()
            await self.let_go.wait()
            return "done"

        return ToolRegistry([make_tool("gate", "d", Nothing, wait, label="g", group="fs")])


async def test_collected_words_are_one_turn(tmp_path):
    async with running_rig(tmp_path, policy=queue("collect")) as rig, rig.ui() as ui:
        await send(ui, "!hold")
        await rig.model.started.wait()
        for text in ("one", "two", "three"):
            await send(ui, text)
        rig.model.release.set()
        await quiet(rig)
        assert [text for role, text in await words(ui) if role == "user"] == ["!hold", "one\ntwo\nthree"]
        assert len(rig.model.requests) == 2


async def test_collected_words_survive_a_restart_as_one_turn(tmp_path):
    async with running_rig(tmp_path, policy=queue("collect")) as rig, rig.ui() as ui:
        await send(ui, "!hold")
        await rig.model.started.wait()
        await send(ui, "one")
        await send(ui, "two")
    async with running_rig(tmp_path, policy=queue("collect")) as rig, rig.ui() as ui:
        await rig.model.started.wait()
        rig.model.release.set()
        await quiet(rig)
        said = [text for role, text in await words(ui) if role == "user"]
        assert "\n".join(said) == "!hold\none\ntwo"


async def test_follow_ups_are_a_turn_each(tmp_path):
    async with running_rig(tmp_path, policy=queue("followup")) as rig, rig.ui() as ui:
        await send(ui, "!hold")
        await rig.model.started.wait()
        await send(ui, "one")
        await send(ui, "two")
        rig.model.release.set()
        await quiet(rig)
        assert [text for role, text in await words(ui) if role == "assistant"][1:] == ["echo: one", "echo: two"]


@pytest.mark.parametrize(("mode", "turns"), [("steer", 1), ("queue", 1), ("steer-backlog", 2)])
async def test_steering_is_heard_at_the_next_tool_call(tmp_path, mode, turns):
    gate = Gate()
    async with running_rig(tmp_path, policy=queue(mode), tools=gate.registry) as rig, rig.ui() as ui:
        await send(ui, "!tool gate")
        await gate.entered.wait()
        await send(ui, "turn left")
        gate.let_go.set()
        await quiet(rig)
        second = rig.model.requests[1][1]["input"]
        assert second[-1]["content"][0]["text"] == "turn left"
        said = await words(ui)
        assert said.count(("user", "turn left")) == 1
        assert said.count(("assistant", "echo: turn left")) == turns


async def test_steering_that_finds_no_tool_call_is_a_turn_of_its_own(tmp_path):
    async with running_rig(tmp_path, policy=queue("steer")) as rig, rig.ui() as ui:
        await send(ui, "!hold")
        await rig.model.started.wait()
        await send(ui, "later")
        rig.model.release.set()
        await quiet(rig)
        assert ("assistant", "echo: later") in await words(ui)


async def test_an_interruption_stops_what_runs_and_its_call_of_the_model(tmp_path):
    async with running_rig(tmp_path, policy=queue("interrupt")) as rig, rig.ui() as ui:
        events = ui.events()
        first, _ = await send(ui, "!hold")
        await until(events, runId=first, state="delta")
        await send(ui, "instead")
        assert (await until(events, runId=first, state="aborted"))["stopReason"] == "rpc"
        while "message" not in (final := await until(events, state="final")):
            continue
        assert text_of(final) == "echo: instead"
        assert rig.model.cancelled == 1


async def test_an_aborted_run_ends_its_tool(tmp_path):
    gate = Gate()
    async with running_rig(tmp_path, tools=gate.registry) as rig, rig.ui() as ui:
        events = ui.events()
        run_id, _ = await send(ui, "!tool gate")
        await gate.entered.wait()
        await ui.request("chat.abort", {"sessionKey": "main", "runId": run_id})
        await until(events, runId=run_id, state="aborted")
        await quiet(rig)


async def test_too_many_words_leave_a_line_each_and_the_sender_hears_it(tmp_path):
    async with running_rig(tmp_path, policy=queue("collect", cap=2)) as rig, rig.ui() as ui:
        events = ui.events()
        await send(ui, "!hold")
        await rig.model.started.wait()
        for text in ("one", "two", "three"):
            await send(ui, text)
        left_out = await until(events, state="error")
        assert "more than 2 messages waited" in left_out["errorMessage"]
        rig.model.release.set()
        await quiet(rig)
        turn = (await words(ui))[-2][1]
        assert turn.startswith("[1 earlier messages were too many")
        assert turn.endswith("- one]\ntwo\nthree")


# --- ends ------------------------------------------------------------------------------


async def test_an_agent_that_goes_round_in_circles_is_ended_with_a_sentence(tmp_path):
    calls = []

    async def again(_given, _context):
        calls.append(1)
        return "same"

    tool = make_tool("again", "d", Nothing, again, label="a", group="fs")
    async with running_rig(tmp_path, tools=ToolRegistry([tool]), model=_Circling()) as rig, rig.ui() as ui:
        events = ui.events()
        run_id, _ = await send(ui, "go")
        failed = await until(events, runId=run_id, state="error")
        assert "went round in circles" in failed["errorMessage"]
        assert len(calls) == 8  # then refused four times, then ended
        results = [text for role, text in await words(ui) if role == "toolResult"]
        assert "do not repeat it" in results[4]
        assert results[8].startswith("not run: again was called 8 times")


class _Circling(ScriptedModel):
    """Calls the same tool whatever it is told."""

    async def _stream(self, route, _words, _tool_output, send):
        number = len(self.requests)
        item = {"type": "function_call", "call_id": f"c{number}", "name": "again", "arguments": '{"x":1}'}
        await self._event({"type": "response.output_item.done", "output_index": 0, "item": item}, send)
        await self._event({"type": "response.completed", "response": {"status": "completed"}}, send)
        await send({"type": "http.response.body", "body": b""})


class _TooLong(ScriptedModel):
    """Finds every conversation of more than `most` items too long; summarises when asked to."""

    most = 1000

    async def __call__(self, scope, receive, send):
        messages = [await receive()]
        while messages[-1].get("more_body"):
            messages.append(await receive())
        request = json.loads(b"".join(message.get("body", b"") for message in messages))
        if "condense" in str(request.get("instructions", "")) or len(request["input"]) <= self.most:

            async def replay():
                return messages.pop(0) if messages else await receive()

            await super().__call__(scope, replay, send)
            return
        self.requests.append(("refused", request))
        error = {"error": {"code": "context_length_exceeded", "message": "too long"}}
        await self._plain(send, 400, error)


async def talk(ui, rig, count):
    for number in range(count):
        await send(ui, f"say {number} " + "x" * 3000)
        await quiet(rig)


@pytest.mark.parametrize("most", [6, 0])
async def test_a_model_that_finds_it_too_long_is_asked_again_with_less_and_not_for_ever(tmp_path, most):
    tight = policy(compaction={"reserve_tokens": 1000, "keep_tokens": 4000})
    async with running_rig(tmp_path, policy=tight, model=_TooLong()) as rig, rig.ui() as ui:
        await talk(ui, rig, 12)
        rig.model.most = most
        events = ui.events()
        run_id, _ = await send(ui, "and now?")
        refused = [route for route, _ in rig.model.requests if route == "refused"]
        if most:
            assert text_of(await until(events, runId=run_id, state="final")) == "echo: and now?"
            entries = await _entries(rig)
            assert [entry.role for entry in entries].count(COMPACTION) == 1
            await send(ui, "later")
            await quiet(rig)
            first = rig.model.requests[-1][1]["input"][0]["content"][0]["text"]
            assert first.startswith("[A record of the earlier conversation")
        else:
            failed = await until(events, runId=run_id, state="error")
            assert "send /new" in failed["errorMessage"]
            refused = [route for route, _ in rig.model.requests if route == "refused"]
            assert len(refused) == 4


async def _entries(rig):
    services = rig.gateway.services
    return await services.transcripts.last(services.sessions.get("agent:main:main").session_id, 1000)


async def test_a_stale_conversation_begins_anew_and_the_old_one_is_kept(tmp_path):
    clock = FakeClock(SYSTEM_CLOCK.now())
    async with running_rig(tmp_path, clock=clock) as rig, rig.ui() as ui:
        await send(ui, "yesterday")
        await quiet(rig)
        clock.jump(36 * 3600)
        await send(ui, "today")
        await quiet(rig)
        assert await words(ui) == [("user", "today"), ("assistant", "echo: today")]
        kept = list((tmp_path / "agents" / "main" / "sessions").glob("*.reset.*"))
        assert len(kept) == 1


async def test_broken_arguments_end_in_a_result_and_the_run_goes_on(tmp_path):
    gate = Gate()
    gate.let_go.set()
    async with running_rig(tmp_path, tools=gate.registry) as rig, rig.ui() as ui:
        events = ui.events()
        for call, told in (("!tool gate {broken", "not a JSON object"), ("!tool gat", "did you mean gate?")):
            run_id, _ = await send(ui, call)
            assert told in text_of(await until(events, runId=run_id, state="final"))
