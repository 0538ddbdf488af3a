"""The registry of tools: what is offered, and that every call ends in a clear, bounded result."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import ValidationError

from openclaw.agent.policy import LoopDetectionPolicy, ToolsPolicy
from openclaw.agent.repetition import Done, decide_repetition, done
from openclaw.agent.tool_policy import is_offered, profiles_of
from openclaw.agent.tools import Arguments, FromOutside, ToolContext, ToolRegistry, make_tool
from openclaw.sessions import MAIN_SESSION, is_private
from shared.errors import Invalid
from shared.providers import ToolCall

CHANNEL = "agent:main:discord:channel:5"
HERE = ToolContext("run_1", MAIN_SESSION)


class Words(Arguments):
    some_words: str = ""


def tool(name, function, **more):
    return make_tool(name, "d", Words, function, label=name, group=more.pop("group", "fs"), **more)


async def echo(given, _context):
    return given.some_words


@pytest.mark.parametrize(
    ("policy", "offered"),
    [
        ({}, True),
        ({"deny": ["group:fs"]}, False),
        ({"deny": ["RE*"]}, False),
        ({"profile": "messaging"}, False),
        ({"profile": "messaging", "also_allow": ["read"]}, True),
        ({"profile": "coding", "allow": ["write"]}, False),
        ({"profile": "coding", "allow": ["Read"]}, True),
        ({"also_allow": ["read"], "deny": ["read"]}, False),
    ],
)
def test_profile_lists_and_deny_decide_what_is_offered(policy, offered):
    assert is_offered("read", "fs", ToolsPolicy.model_validate(policy)) is offered


def test_policies_that_contradict_themselves_are_refused():
    for bad in (
        {"allow": ["read"], "also_allow": ["write"]},
        {"deny": ["rm -rf"]},
        {"loop_detection": {"warn": 8, "critical": 4}},
        {"loop_detection": {"breaker": 31}},
    ):
        with pytest.raises(ValidationError):
            ToolsPolicy.model_validate(bad)


def test_every_tool_is_in_the_full_profile():
    assert profiles_of("read", "fs") == ["coding", "full"]
    assert profiles_of("anything", "mcp") == ["full"]


def test_only_the_owners_own_sessions_are_private():
    assert is_private(MAIN_SESSION)
    assert is_private("agent:main:notes")
    for key in (CHANNEL, "agent:main:cron:1", "agent:main:subagent:2", "agent:main:discord:direct:7", "main"):
        assert not is_private(key)


async def test_a_private_tool_does_not_exist_in_a_channel():
    registry = ToolRegistry([tool("secret", echo, private=True), tool("open", echo)])
    assert [spec.name for spec in registry.specs(CHANNEL)] == ["open"]
    result = await registry.run(ToolCall("c", "secret", "{}"), ToolContext("r", CHANNEL))
    assert result.is_error
    assert "no tool named 'secret'" in result.text


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (ToolCall("c", "eco", "{}"), "did you mean echo?"),
        (ToolCall("c", "echo", "{broken"), "not a JSON object"),
        (ToolCall("c", "echo", '["list"]'), "not a JSON object"),
        (ToolCall("c", "echo", '{"other":1}'), "echo: other:"),
        (ToolCall("c", "echo", '{"someWords":5}'), "echo: someWords: Input should be a valid string"),
    ],
)
async def test_a_wrong_call_is_told_to_the_model(call, told):
    result = await ToolRegistry([tool("echo", echo)]).run(call, HERE)
    assert result.is_error
    assert told in result.text


async def test_a_tool_that_never_returns_even_when_cancelled_ends_in_a_result(monkeypatch):
    monkeypatch.setattr("openclaw.agent.tools._CANCEL_S", 0.02)
    release = asyncio.Event()

    async def stubborn(_given, _context):
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return "late"

    registry = ToolRegistry([tool("stubborn", stubborn, timeout_s=0.02)])
    result = await registry.run(ToolCall("c", "stubborn", "{}"), HERE)
    assert result.is_error
    assert "did not end within 0.02 s" in result.text
    release.set()
    await registry.close()


async def test_aborting_a_run_ends_the_tool():
    ended = asyncio.Event()

    async def waits(_given, _context):
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    registry = ToolRegistry([tool("waits", waits)])
    running = asyncio.ensure_future(registry.run(ToolCall("c", "waits", "{}"), HERE))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended.is_set()


async def test_a_long_result_is_bounded_and_the_rest_is_kept():
    kept = {}

    async def keep(session, name, text):
        kept[session, name] = text
        return "results/x.txt"

    registry = ToolRegistry([tool("echo", echo)], ToolsPolicy(result_chars=1000), keep)
    words = "a" * 900 + "b" * 900
    result = await registry.run(ToolCall("c1", "echo", f'{{"someWords":"{words}"}}'), HERE)
    assert len(result.text) < 1200
    assert "800 characters left out" in result.text
    assert "results/x.txt" in result.text
    assert result.text.endswith("b" * 250)
    assert kept == {(MAIN_SESSION, "run_1-c1"): words}


async def test_a_full_disk_costs_the_rest_and_not_the_result():
    async def keep(_session, _name, _text):
        raise OSError(28, "No space left on device")

    registry = ToolRegistry([tool("echo", echo)], ToolsPolicy(result_chars=1000), keep)
    result = await registry.run(ToolCall("c1", "echo", f'{{"someWords":"{"x" * 5000}"}}'), HERE)
    assert not result.is_error
    assert "not kept" in result.text


async def test_words_from_outside_are_marked():
    async def page(_given, _context):
        return FromOutside("page")

    registry = ToolRegistry([tool("page", page), tool("echo", echo), tool("web", echo, outside=True)])
    outside = [(await registry.run(ToolCall("c", name, "{}"), HERE)).outside for name in ("page", "echo", "web")]
    assert outside == [True, False, True]


async def test_a_failure_in_our_own_code_shows_nothing_of_it():
    async def fails(_given, _context):
        raise KeyError("secret detail")

    result = await ToolRegistry([tool("fails", fails)]).run(ToolCall("c", "fails", "{}"), HERE)
    assert result.text == "the tool failed with an internal error"


async def test_a_refusal_is_told_as_it_is():
    async def refuses(_given, _context):
        raise Invalid("because")

    result = await ToolRegistry([tool("refuses", refuses)]).run(ToolCall("c", "refuses", "{}"), HERE)
    assert (result.text, result.is_error) == ("because", True)


# --- going round in circles ----------------------------------------------------------

POLICY = LoopDetectionPolicy(warn=3, critical=5, breaker=7)
CALL = ToolCall("c", "read", '{"path":"a"}')


@pytest.mark.parametrize(
    ("repeats", "level"), [(2, "none"), (3, "warn"), (4, "warn"), (5, "refuse"), (7, "stop"), (20, "stop")]
)
def test_the_same_call_with_the_same_result_is_warned_refused_and_ended(repeats, level):
    verdict = decide_repetition([done(CALL, "same")] * repeats, CALL, POLICY)
    assert verdict.level == level
    assert level == "none" or f"{repeats} times" in verdict.reason


def test_a_call_whose_result_changes_may_be_repeated_twice_as_often():
    history = [done(CALL, str(number)) for number in range(5)]
    assert decide_repetition(history, CALL, POLICY).level == "none"
    assert decide_repetition([*history, done(CALL, "5")], CALL, POLICY).level == "warn"


def test_two_calls_that_take_turns_are_seen():
    other = ToolCall("c", "write", "{}")
    history = [done(CALL, "x"), done(other, "y")] * 4
    alone = LoopDetectionPolicy(warn=4, critical=9, breaker=12)
    assert decide_repetition(history, CALL, alone).level == "warn"
    broken = [*history[:-2], Done("read", CALL.arguments, "new"), history[-1]]
    assert decide_repetition(broken, CALL, alone).level == "none"


def test_different_calls_are_work():
    history = [done(ToolCall("c", "read", str(number)), "x") for number in range(30)]
    assert decide_repetition(history, CALL, POLICY).level == "none"
    assert decide_repetition([done(CALL, "x")] * 9, CALL, LoopDetectionPolicy(enabled=False)).level == "none"
