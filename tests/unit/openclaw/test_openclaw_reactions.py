"""One reaction of ours on a message: seen, at work, ended; never more than the policy wants."""

from __future__ import annotations

import asyncio

import pytest

from openclaw import reactions
from openclaw.config import DiscordPolicy
from openclaw.reactions import Reactions
from shared.channels.base import InboundMessage, Sender
from shared.clock import FakeClock
from shared.errors import Denied
from shared.lifecycle.tasks import TaskPool

MESSAGE = InboundMessage(
    "dc:1", "general", "guild", "5", Sender("2", "o"), "hi", addressed=True, sent_at=FakeClock().now(), guild="7"
)


class Board:
    """A channel that only knows reactions."""

    def __init__(self, refuses: bool = False) -> None:
        self.calls: list[str] = []
        self.refuses = refuses

    async def react(self, _chat, _message, emoji):
        if self.refuses:
            raise Denied("no")
        self.calls.append(f"+{emoji}")

    async def unreact(self, _chat, _message, emoji):
        self.calls.append(f"-{emoji}")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(reactions, "_SETTLE_S", 0.01)
    monkeypatch.setattr(reactions, "_DONE_HOLD_S", 0.01)


async def story(policy, *steps, refuses=False):
    board, tasks = Board(refuses), TaskPool("t")
    shown = Reactions(board, lambda: DiscordPolicy.model_validate(policy), tasks)
    for step in steps:
        step(shown)
        await asyncio.sleep(0.03)
    await tasks.drain(1)
    return board.calls


def seen(shown):
    shown.seen(MESSAGE)


def tool(name):
    return lambda shown: shown.tool(MESSAGE, name)


def ended(*, failed):
    return lambda shown: shown.ended([MESSAGE], failed=failed)


async def test_by_default_it_stays_and_a_failure_is_added():
    assert await story({}, seen, tool("exec"), ended(failed=False)) == ["+👀"]
    assert await story({}, seen, ended(failed=True)) == ["+👀", "+😱"]
    assert await story({"ack_scope": "off"}, seen, ended(failed=False)) == []


async def test_it_is_taken_back_after_the_answer():
    policy = {"remove_ack": True}
    assert await story(policy, seen, ended(failed=False)) == ["+👀", "-👀"]
    assert await story(policy, seen, ended(failed=True)) == ["+👀", "+😱", "-👀"]
    assert await story(policy, ended(failed=False)) == ["-👀"], "an earlier process put it there"


async def test_it_follows_what_the_agent_does():
    policy = {"status_reactions": True}
    calls = await story(policy, seen, tool("exec"), tool("web_fetch"), ended(failed=False))
    assert calls == ["+👀", "+👨\u200d💻", "-👀", "+⚡", "-👨\u200d💻", "+👍", "-⚡", "-👍"]
    assert await story(policy, seen, tool("cron"), ended(failed=True)) == ["+👀", "+🔥", "-👀", "+😱", "-🔥"]


async def test_a_tool_that_ends_at_once_is_not_shown_and_refusals_do_not_matter():
    def quick_tool(shown):
        shown.tool(MESSAGE, "exec")
        shown.ended([MESSAGE], failed=False)

    assert await story({"status_reactions": True}, seen, quick_tool) == ["+👀", "+👍", "-👀", "-👍"]
    assert await story({"remove_ack": True}, seen, ended(failed=True), refuses=True) == []
