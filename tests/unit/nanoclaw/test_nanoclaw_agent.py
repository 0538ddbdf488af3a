"""The agent's byte stream: what is carried, what is dropped, what ends it, and what its messages mean."""

from __future__ import annotations

import asyncio
import json

import pytest
from claude_agent_sdk import ProcessError
from claude_agent_sdk._internal.message_parser import parse_message

from nanoclaw.agent.errors import SessionMissing, WorkerLost
from nanoclaw.agent.host import AgentHost
from nanoclaw.agent.session import AgentSession
from nanoclaw.agent.stream import Done, LimitReached, Retrying, Text, TextDelta, ToolUse, translate
from nanoclaw.agent.transport import WorkerTransport
from shared.errors import DeadlineExceeded
from shared.gatewayclient import WorkerEvent


class Stream:
    """A worker whose lines the test writes; answers `initialize` by itself."""

    def __init__(self, *items) -> None:
        self.items: asyncio.Queue = asyncio.Queue()
        self.written: list[dict] = []
        self.closed = False
        for item in items:
            self.put(item)

    def put(self, item) -> None:
        self.items.put_nowait(
            item
            if isinstance(item, WorkerEvent)
            else (0, item if isinstance(item, bytes) else json.dumps(item).encode())
        )

    async def __aiter__(self):
        while True:
            item = await self.items.get()
            yield item
            if isinstance(item, WorkerEvent) and item.event == "exit":
                return

    async def write(self, data: bytes) -> None:
        message = json.loads(data)
        self.written.append(message)
        if message.get("request", {}).get("subtype") == "initialize":
            body = {"subtype": "success", "request_id": message["request_id"], "response": {}}
            self.put({"type": "control_response", "response": body})

    async def close(self) -> None:
        self.closed = True


def a_server():
    from claude_agent_sdk import create_sdk_mcp_server

    return create_sdk_mcp_server("nanoclaw")


async def keep(session_id: str) -> str:
    return "nowhere"


HOST = AgentHost("nanoclaw", a_server, keep)


def result(text="done", **more) -> dict:
    base = {"type": "result", "subtype": "success", "duration_ms": 1, "duration_api_ms": 1, "is_error": False}
    return base | {"num_turns": 1, "session_id": "s1", "result": text, "total_cost_usd": 0.0} | more


async def listen(transport: WorkerTransport) -> tuple[list[dict], ProcessError]:
    """All messages until the worker's end, and what that end is reported as."""
    heard = []
    try:
        async for message in transport.read_messages():
            heard.append(message)  # noqa: PERF401 - a comprehension would lose what came before the end
    except ProcessError as error:
        return heard, error
    raise AssertionError("the worker did not end")


async def collect(session: AgentSession, prompt="hi", silence_s=5.0) -> list:
    return [event async for event in session.ask(prompt, silence_s=silence_s)]


async def test_lines_that_are_not_messages_are_dropped_and_the_exit_says_why():
    stream = Stream(
        b"", b"  ", b"warning: something", b"[1, 2]", {"type": "x"}, WorkerEvent(event="stderr", text="oh\nno")
    )
    stream.put(WorkerEvent(event="exit", code=137, reason="oom"))
    transport = WorkerTransport(stream)
    heard, ended = await listen(transport)
    assert heard == [{"type": "x"}]
    assert ended.exit_code == 137
    assert list(transport.stderr) == ["oh", "no"]
    assert transport.exit.reason == "oom"


async def test_a_taken_over_worker_is_introduced_to_and_hears_nothing_of_it():
    transport = WorkerTransport(Stream(WorkerEvent(event="exit")), greet="nanoclaw")
    introduction, _ = await listen(transport)
    assert [m["request"]["message"]["method"] for m in introduction] == ["initialize", "notifications/initialized"]
    for message in introduction:
        answer = {"type": "control_response", "response": {"request_id": message["request_id"]}}
        await transport.write(json.dumps(answer) + "\n")
    await transport.write(json.dumps({"type": "user", "text": introduction[0]["request_id"]}) + "\n")
    assert [message["type"] for message in transport._stream.written] == ["user"]


async def test_a_turn_ends_with_its_own_result_and_not_with_a_background_tasks():
    stream = Stream()
    session = AgentSession("w", stream, HOST)
    await session.open()
    turn = asyncio.get_running_loop().create_task(collect(session))
    while not any(message["type"] == "user" for message in stream.written):
        await asyncio.sleep(0)
    prompt = stream.written[-1]
    assert prompt["client_composed"] is True
    stream.put(result("of a background task", user_message_uuids=["another"], origin={"kind": "task-notification"}))
    stream.put(result("mine", user_message_uuids=[prompt["uuid"]]))
    assert [event.text for event in await turn] == ["mine"]
    await session.close()
    assert stream.closed


async def test_a_message_the_sdk_cannot_read_costs_that_message_only():
    stream = Stream()
    session = AgentSession("w", stream, HOST)
    await session.open()
    stream.put({"type": "assistant", "message": {}})
    turn = asyncio.get_running_loop().create_task(collect(session))
    while len(stream.written) < 2:
        await asyncio.sleep(0)
    stream.put(result("fine"))
    assert [event.text for event in await turn] == ["fine"]
    await session.close()


async def test_silence_is_noticed_but_a_long_job_is_not_silent():
    stream = Stream()
    session = AgentSession("w", stream, HOST)
    await session.open()
    turn = asyncio.get_running_loop().create_task(collect(session, silence_s=0.05))
    for _ in range(3):
        await asyncio.sleep(0.03)
        stream.put({"type": "system", "subtype": "status", "status": "working"})
    with pytest.raises(DeadlineExceeded):
        await turn
    await session.close()


async def test_a_command_line_that_cannot_be_warmed_up_serves_as_well():
    stream = Stream()
    write = stream.write

    async def refusing(data: bytes) -> None:
        await write(data)
        message = json.loads(data)
        if message.get("request", {}).get("subtype") == "get_context_usage":
            body = {"subtype": "error", "request_id": message["request_id"], "error": "no such request"}
            stream.put({"type": "control_response", "response": body})

    session = AgentSession("w", stream, HOST)
    await session.warm_up()
    assert stream.written == [], "nothing is connected"
    await session.open()
    await session.warm_up(limit_s=0.05)  # never answered
    stream.write = refusing
    await session.warm_up()
    assert [message["request"]["subtype"] for message in stream.written[1:]] == ["get_context_usage"] * 2
    stream.put(result("fine"))
    [done] = await collect(session)
    assert done.text == "fine"
    await session.close()


async def test_an_interruption_is_repeated_until_the_turn_is_over():
    """The command line does not give up a prompt that it has not begun yet (``still_queued``)."""
    stream = Stream()
    write, asked = stream.write, []

    async def answering(data: bytes) -> None:
        await write(data)
        message = json.loads(data)
        if message["type"] == "user":
            asked.append(message["uuid"])
        if message.get("request", {}).get("subtype") == "interrupt":
            asked.append("interrupt")
            body = {"subtype": "success", "request_id": message["request_id"], "response": {"still_queued": []}}
            stream.put({"type": "control_response", "response": body})
            if asked.count("interrupt") == 2:
                aborted = {"subtype": "error_during_execution", "is_error": True, "terminal_reason": "aborted_tools"}
                stream.put(result("", user_message_uuids=[asked[0]], **aborted))

    stream.write = answering
    session = AgentSession("w", stream, HOST)
    await session.open()
    turn = asyncio.get_running_loop().create_task(collect(session))
    await asyncio.sleep(0.01)
    assert await session.interrupt()
    [done] = await turn
    assert done.is_aborted
    assert asked.count("interrupt") == 2
    assert session.is_alive
    assert await session.interrupt(), "with no turn under way there is nothing to wait for"
    await session.close()


async def test_an_interruption_nobody_heeds_is_over_in_time_and_so_is_one_of_a_worker_that_dies():
    stream = Stream()
    session = AgentSession("w", stream, HOST)
    assert not await session.interrupt(), "nothing is connected"
    await session.open()
    turn = asyncio.get_running_loop().create_task(collect(session))
    await asyncio.sleep(0.01)
    assert not await session.interrupt(within_s=0.05)
    stopping = asyncio.get_running_loop().create_task(session.interrupt(within_s=5))
    await asyncio.sleep(0.01)
    stream.put(WorkerEvent(event="exit", code=137, reason="oom"))
    assert not await stopping
    with pytest.raises(WorkerLost):
        await turn
    await session.close()


async def test_a_refusal_that_calls_itself_a_success_is_an_error():
    stream = Stream()
    session = AgentSession("w", stream, HOST)
    await session.open()
    stream.put(result("API Error: 401", api_error_status=401))
    [done] = await collect(session)
    assert (done.is_error, done.status) == (True, 401)
    await session.close()


async def test_a_worker_that_ends_in_mid_turn_is_lost_and_stays_so():
    stream = Stream()
    session = AgentSession("w", stream, HOST)
    await session.open()
    turn = asyncio.get_running_loop().create_task(collect(session))
    await asyncio.sleep(0)
    stream.put(WorkerEvent(event="exit", code=137, reason="oom"))
    with pytest.raises(WorkerLost, match="ran out of memory"):
        await turn
    assert not session.is_alive
    with pytest.raises(WorkerLost):
        await collect(session)
    await session.close()


@pytest.mark.parametrize("told_by", ["stderr", "result"])
async def test_a_missing_transcript_is_told_apart_from_a_crash(told_by):
    words = "No conversation found with session ID: 1"
    stream = Stream()
    if told_by == "stderr":
        stream.put(WorkerEvent(event="stderr", text=words))
    else:
        stream.put(result(None, is_error=True, subtype="error_during_execution", errors=[words]))
    stream.put(WorkerEvent(event="exit", code=1, reason="crashed"))
    with pytest.raises(SessionMissing):
        await AgentSession("w", stream, HOST).open()


async def test_each_turn_is_priced_although_the_total_is_reported():
    stream = Stream()
    session = AgentSession("w", stream, HOST)
    await session.open()
    prices = []
    for total in (0.5, 0.75, 0.25):  # the total starts over when the conversation is reset
        turn = asyncio.get_running_loop().create_task(collect(session))
        await asyncio.sleep(0.01)
        stream.put(result(total_cost_usd=total))
        prices.append((await turn)[-1].usage.cost_usd)
    assert prices == [0.5, 0.25, 0.25]
    await session.close()


def assistant(*blocks, **more) -> dict:
    return {"type": "assistant", "message": {"model": "m", "content": list(blocks)}, **more}


@pytest.mark.parametrize(
    ("line", "events"),
    [
        (assistant({"type": "text", "text": "a"}), [Text("a")]),
        (
            assistant({"type": "text", "text": "a"}, {"type": "tool_use", "id": "1", "name": "Bash", "input": {}}),
            [Text("a"), ToolUse("Bash")],
        ),
        (assistant({"type": "text", "text": "sub"}, parent_tool_use_id="t"), []),
        (assistant({"type": "text", "text": "API Error"}, error="rate_limit"), []),
        (
            {
                "type": "stream_event",
                "uuid": "u",
                "session_id": "s",
                "event": {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "x"}},
            },
            [TextDelta("x")],
        ),
        ({"type": "system", "subtype": "api_retry", "attempt": 2, "error_status": 529}, [Retrying(2, 529)]),
        ({"type": "system", "subtype": "init"}, []),
        (
            {
                "type": "rate_limit_event",
                "uuid": "u",
                "session_id": "s",
                "rate_limit_info": {"status": "rejected", "resetsAt": 5},
            },
            [LimitReached(5)],
        ),
        (
            result("no", is_error=True, api_error_status=401),
            [Done("no", "s1", is_error=True, status=401, reason="success")],
        ),
    ],
)
def test_messages_become_events(line, events):
    message = parse_message(line)
    assert message is not None
    assert translate(message) == events
