"""Chat over real sockets, against a scripted model behind a unix socket."""

from __future__ import annotations

import asyncio
import itertools
import json
from uuid import uuid4

import pytest
from openclaw_rig import ScriptedModel, running_rig, text_of, until

from openclaw.agent.tools import Tool, ToolRegistry
from shared.openclawclient.client import RequestRefused
from shared.providers import ToolSpec


async def send(client, text, *, key="main", run_id=None):
    run_id = run_id or str(uuid4())
    params = {"sessionKey": key, "message": text, "idempotencyKey": run_id}
    return run_id, await client.request("chat.send", params)


def words(history):
    return [(m["role"], m["content"][0]["text"]) for m in history["messages"]]


async def test_an_answer_streams_with_cumulative_text_and_the_canonical_key(tmp_path):
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        events = ui.events()
        run_id, started = await send(ui, "!slow 30")
        assert started == {"runId": run_id, "status": "started"}
        texts, names = [], []
        async for event in events:
            if event.name in {"agent", "chat"}:
                assert event.payload["sessionKey"] == "agent:main:main"
                assert event.payload["runId"] == run_id
                stream = event.payload.get("stream")
                phase = event.payload["data"].get("phase") if stream == "lifecycle" else event.payload.get("state")
                names.append((event.name, stream or "", phase or ""))
            if event.name == "chat":
                texts.append(text_of(event.payload))
                if event.payload["state"] == "final":
                    break
        assert len(texts) > 2
        assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(texts))
        assert texts[-1].endswith("word29 ")
        assert names[0] == ("agent", "lifecycle", "start")
        assert names[-2:] == [("agent", "lifecycle", "end"), ("chat", "", "final")]


async def test_history_outlives_the_process_and_reaches_the_model(tmp_path):
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        run_id, _ = await send(ui, "first")
        await until(ui.events(), runId=run_id, state="final")
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        history = await ui.request("chat.history", {"sessionKey": "main"})
        assert words(history) == [("user", "first"), ("assistant", "echo: first")]
        run_id, _ = await send(ui, "second")
        await until(ui.events(), runId=run_id, state="final")
        _, body = rig.model.requests[-1]
        assert [item["content"][0]["text"] for item in body["input"]] == ["first", "echo: first", "second"]
        assert body["store"] is False
        assert body["instructions"]


async def test_the_words_are_in_the_transcript_before_the_final_event(tmp_path):
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        run_id, _ = await send(ui, "hello")
        await until(ui.events(), runId=run_id, state="final")
        session = (await ui.request("sessions.list", {}))["sessions"][0]
        path = tmp_path / "agents/main/sessions" / f"{session['sessionId']}.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert [line["type"] for line in lines] == ["session", "message", "message"]
        assert lines[2]["message"]["content"][0]["text"] == "echo: hello"
        assert lines[2]["parentId"] == lines[1]["id"]
        assert path.stat().st_mode & 0o777 == 0o600


async def test_the_same_key_is_answered_once(tmp_path):
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        run_id, _ = await send(ui, "!hold")
        await rig.model.started.wait()
        assert (await send(ui, "!hold", run_id=run_id))[1]["status"] == "in_flight"
        rig.model.release.set()
        await until(ui.events(), runId=run_id, state="final")
        assert (await send(ui, "!hold", run_id=run_id))[1]["status"] == "ok"
        assert len(rig.model.requests) == 1


async def test_the_same_key_sent_twice_at_once_starts_one_run(tmp_path):
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        answers = await asyncio.gather(*(send(ui, "hi", run_id="same") for _ in range(5)))
        assert sorted({answer["status"] for _, answer in answers}) in (
            ["in_flight", "started"],
            ["in_flight", "ok", "started"],
        )
        await until(ui.events(), runId="same", state="final")
        assert words(await ui.request("chat.history", {"sessionKey": "main"})) == [
            ("user", "hi"),
            ("assistant", "echo: hi"),
        ]


async def test_a_message_behind_a_running_one_waits_and_runs_under_a_new_id(tmp_path):
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        events = ui.events()
        first, _ = await send(ui, "!hold")
        await rig.model.started.wait()
        second, answer = await send(ui, "later")
        assert answer["status"] == "started"
        empty = await until(events, runId=second)
        assert (empty["state"], "message" in empty) == ("final", False)
        rig.model.release.set()
        await until(events, runId=first, state="final")
        final = await until(events, state="final")
        assert final["runId"] not in {first, second}
        assert text_of(final) == "echo: later"


async def test_abort_cuts_the_model_and_keeps_what_was_said(tmp_path):
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        events = ui.events()
        run_id, _ = await send(ui, "!hold")
        await until(events, runId=run_id, state="delta")
        with pytest.raises(RequestRefused, match="runId does not match sessionKey"):
            await ui.request("chat.abort", {"sessionKey": "other", "runId": run_id})
        answer = await ui.request("chat.abort", {"sessionKey": "main", "runId": run_id})
        assert answer == {"ok": True, "aborted": True, "runIds": [run_id]}
        aborted = await until(events, runId=run_id, state="aborted")
        assert aborted["stopReason"] == "rpc"
        assert text_of(aborted) == "holding"
        history = await ui.request("chat.history", {"sessionKey": "main"})
        assert words(history) == [("user", "!hold"), ("assistant", "holding")]
        async with asyncio.timeout(5):
            await rig.model.left.wait()


async def test_the_word_stop_stops(tmp_path):
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        events = ui.events()
        run_id, _ = await send(ui, "!hold")
        await until(events, runId=run_id, state="delta")
        _, answer = await send(ui, "/stop")
        assert answer == {"ok": True, "aborted": True, "runIds": [run_id]}
        assert (await until(events, runId=run_id, state="aborted"))["stopReason"] == "stop"


async def test_the_fallback_answers_when_the_primary_fails(tmp_path):
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        run_id, _ = await send(ui, "!fail 503")
        assert text_of(await until(ui.events(), runId=run_id, state="final")) == "echo: !fail 503"
        assert [route for route, _ in rig.model.requests] == ["responses", "copilot/responses"]
        run_id, _ = await send(ui, "again")
        await until(ui.events(), runId=run_id, state="final")
        assert rig.model.requests[-1][0] == "copilot/responses", "the primary is paused after its failure"


async def test_when_nobody_answers_one_sentence_with_the_run_id_says_so(tmp_path):
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        run_id, _ = await send(ui, "!fail 500 all")
        error = await until(ui.events(), runId=run_id, state="error")
        assert run_id in error["errorMessage"]
        assert "openai-codex/gpt-5.1" in error["errorMessage"]
        with pytest.raises(RequestRefused, match=run_id):
            await send(ui, "!fail 500 all", run_id=run_id)


async def test_an_accepted_message_is_answered_by_the_next_process(tmp_path):
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        run_id, _ = await send(ui, "!hold")
        await rig.model.started.wait()
    released = ScriptedModel()
    released.release.set()
    async with running_rig(tmp_path, model=released) as rig, rig.ui() as ui:
        async with asyncio.timeout(5):
            while len(words(await ui.request("chat.history", {"sessionKey": "main"}))) < 2:
                await asyncio.sleep(0.02)
        history = await ui.request("chat.history", {"sessionKey": "main"})
        assert words(history) == [("user", "!hold"), ("assistant", "holding released")]
        async with asyncio.timeout(5):
            while (await send(ui, "!hold", run_id=run_id))[1]["status"] != "ok":
                await asyncio.sleep(0.02)
        assert len(rig.model.requests) == 1


async def test_half_a_line_at_the_end_of_a_transcript_is_cut_and_the_rest_is_kept(tmp_path):
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        run_id, _ = await send(ui, "one")
        await until(ui.events(), runId=run_id, state="final")
    path = next((tmp_path / "agents/main/sessions").glob("*.jsonl"))
    with path.open("ab") as handle:
        handle.write(b'{"type":"message","id":"torn","mess')
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        run_id, _ = await send(ui, "two")
        await until(ui.events(), runId=run_id, state="final")
        history = words(await ui.request("chat.history", {"sessionKey": "main"}))
        assert [text for _, text in history] == ["one", "echo: one", "two", "echo: two"]


async def test_tools_run_and_their_events_go_to_the_asker_alone(tmp_path):
    async def double(arguments, _context):
        return str(arguments["x"] * 2)

    spec = ToolSpec("double", "Doubles x.", {"type": "object", "properties": {"x": {"type": "integer"}}})
    tools = ToolRegistry([Tool(spec, double, "Double", "core")])
    async with running_rig(tmp_path, tools=tools) as rig, rig.ui(caps=("tool-events",)) as ui, rig.ui() as other:
        catalog = await ui.request("tools.catalog", {})
        assert catalog["groups"][0]["tools"][0]["id"] == "double"
        run_id, _ = await send(ui, "!tool double")
        seen = []
        async for event in ui.events():
            if event.name == "agent" and event.payload["stream"] == "tool":
                seen.append(event.payload["data"]["phase"])
            if event.name == "chat" and event.payload["state"] == "final":
                assert text_of(event.payload) == "tool said: 2"
                break
        assert seen == ["start", "result"]
        await until(other.events(), runId=run_id, state="final")
        roles = [m["role"] for m in (await ui.request("chat.history", {"sessionKey": "main"}))["messages"]]
        assert roles == ["user", "assistant", "toolResult", "assistant"]


async def test_new_begins_a_session_and_keeps_the_old_transcript(tmp_path):
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        run_id, _ = await send(ui, "old")
        events = ui.events()
        await until(events, runId=run_id, state="final")
        run_id, _ = await send(ui, "/new")
        await until(events, runId=run_id, state="final")
        assert (await ui.request("chat.history", {"sessionKey": "main"}))["messages"] == []
        assert len(list((tmp_path / "agents/main/sessions").glob("*.jsonl.reset.*"))) == 1


@pytest.mark.parametrize(
    ("text", "answer"), [("", "message or attachment required"), ("a\0b", "message must not contain null bytes")]
)
async def test_messages_that_say_nothing_are_refused(tmp_path, text, answer):
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        with pytest.raises(RequestRefused, match=answer):
            await send(ui, text)


async def test_sessions_run_side_by_side(tmp_path):
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        await send(ui, "!hold", key="one")
        await rig.model.started.wait()
        run_id, _ = await send(ui, "quick", key="two")
        await until(ui.events(), runId=run_id, state="final")
        rig.model.release.set()
