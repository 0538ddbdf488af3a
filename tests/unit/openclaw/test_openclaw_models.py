"""Which model is asked when one fails."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import pytest

from openclaw.agent.models import Models, NoModel, Restarted
from openclaw.agent.turns import Turn
from shared.clock import FakeClock
from shared.providers import Completed, TextDelta

REFS = ["openai-codex/gpt-5.1", "github-copilot/gpt-4.1"]
DONE = {"type": "response.completed", "response": {"usage": {"input_tokens": 1, "output_tokens": 1}}}
TEXT = {"type": "response.output_text.delta", "output_index": 0, "delta": "hi"}
CHAT = [{"choices": [{"delta": {"content": "hello"}}]}, {"choices": [{"delta": {}, "finish_reason": "stop"}]}]


class Answer:
    def __init__(self, status, events, body=b""):
        self.status, self.headers, self._events, self._body = status, {}, events, body

    async def aiter_bytes(self):
        for event in self._events:
            yield f"data: {json.dumps(event)}\n\n".encode()

    async def read(self, limit=0):
        return self._body


class Scripted:
    """A model client that plays answers by route."""

    def __init__(self, **answers):
        self.answers, self.asked = answers, []

    @asynccontextmanager
    async def model(self, route, body, *, run_id):
        self.asked.append(route)
        yield self.answers["responses" if route == "responses" else "chat"]


async def ask(models):
    turns = [Turn("user", "x")]
    return [event async for _, event in models.stream("i", turns, [], run_id="r", session_id="s")]


def failing(status, **error):
    return Answer(status, [], json.dumps({"error": error}).encode())


async def test_the_primary_answers_alone():
    client = Scripted(responses=Answer(200, [TEXT, DONE]))
    events = await ask(Models(client, REFS, FakeClock()))
    assert events[0] == TextDelta("hi")
    assert isinstance(events[-1], Completed)
    assert client.asked == ["responses"]


async def test_a_cut_answer_is_begun_anew_by_the_fallback():
    client = Scripted(responses=Answer(200, [TEXT]), chat=Answer(200, CHAT))
    events = await ask(Models(client, REFS, FakeClock()))
    assert events[:3] == [TextDelta("hi"), Restarted(REFS[1]), TextDelta("hello")]


async def test_a_usage_limit_is_not_tried_again_before_it_resets():
    clock = FakeClock()
    limit = failing(429, type="usage_limit_reached", message="m", resets_in_seconds=600)
    client = Scripted(responses=limit, chat=failing(429, type="rate_limit_error", message="m"))
    models = Models(client, REFS, clock)
    with pytest.raises(NoModel, match="usage limit"):
        await ask(models)
    with pytest.raises(NoModel):
        await ask(models)
    assert client.asked == ["responses", "chat/completions", "chat/completions"]
    clock.advance(601)
    client.answers["responses"] = Answer(200, [TEXT, DONE])
    await ask(models)
    assert models.paused_until(REFS[0]) is None


async def test_pauses_grow_and_a_success_forgets_them():
    clock = FakeClock()
    client = Scripted(responses=failing(500, message="m"), chat=Answer(200, CHAT))
    models = Models(client, REFS, clock)
    waits = []
    for _ in range(5):
        await ask(models)
        waits.append((models.paused_until(REFS[0]) - clock.now()).total_seconds())
        clock.advance(waits[-1] + 1)
    assert waits == [60, 300, 1500, 3600, 3600]


async def test_a_conversation_that_is_too_long_is_said_and_not_sent_elsewhere():
    client = Scripted(responses=failing(400, code="context_length_exceeded", message="m"))
    with pytest.raises(NoModel, match="/new"):
        await ask(Models(client, REFS, FakeClock()))
    assert client.asked == ["responses"]


async def test_an_unknown_provider_is_passed_over():
    client = Scripted(chat=Answer(200, CHAT))
    await ask(Models(client, ["nobody/x", REFS[1]], FakeClock()))
    assert client.asked == ["chat/completions"]
