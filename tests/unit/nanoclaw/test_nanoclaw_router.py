"""Who answers a batch."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from nanoclaw.config import LightPolicy
from nanoclaw.groups import Group
from nanoclaw.router import RouteFacts, decide_route
from shared.channels.base import Attachment, InboundMessage, Sender

ON = LightPolicy(enabled=True)
LAB = Group("lab", "dc:1", "Lab")
BASE = InboundMessage("dc:1", "Lab", "guild", "1", Sender("u", "Ann"), "", True, datetime(2026, 1, 1, tzinfo=UTC))


def tier(text, *, policy=ON, group=LAB, facts=None, **more):
    return decide_route([replace(BASE, text=text, **more)], group, policy, facts or RouteFacts()).tier


@pytest.mark.parametrize("text", ["hello", "@J 안녕하세요", "thanks!", "what is the capital of Peru?", "ㅋㅋㅋ"])
def test_small_talk_and_simple_questions_are_light(text):
    assert tier(text) == "LIGHT"


@pytest.mark.parametrize(
    "text",
    [
        "hello, please create a file",
        "what is in https://example.org ?",
        "what does ```x = 1``` do",
        "오늘 일정 저장해 줘",
        "tell me a story about dragons",
        "",
        "what is " + "very " * 60,
    ],
)
def test_anything_that_may_need_tools_goes_to_the_agent(text):
    assert tier(text) == "STANDARD"


def test_a_prefix_or_the_groups_setting_decides_before_the_words():
    assert tier("!light create a file") == "LIGHT"
    assert tier("@J !claude hello") == "STANDARD"
    assert tier("tell me a story", group=replace(LAB, route="light")) == "LIGHT"
    assert tier("hello", group=replace(LAB, route="agent")) == "STANDARD"


def test_the_agent_keeps_a_conversation_it_is_in():
    assert tier("hello", facts=RouteFacts(since_agent_s=10)) == "STANDARD"
    assert tier("hello", facts=RouteFacts(since_agent_s=10_000)) == "LIGHT"


def test_the_agent_answers_when_the_light_route_is_off_or_resting_or_there_is_a_file():
    assert tier("hello", policy=LightPolicy()) == "STANDARD"
    assert tier("hello", facts=RouteFacts(light_ready=False)) == "STANDARD"
    assert tier("hello", attachments=(Attachment("1", "a", "b", 1, ""),)) == "STANDARD"
