"""How OpenClaw's models keep their rests, follow the wire, and say what happened."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from openclaw.agent.models import CooldownFile, Models, NoModel, context_tokens
from openclaw.agent.turns import Turn
from openclaw.protocol.methods.agents import METHODS
from shared.clock import FakeClock
from shared.providers import Completed

REFS = ["openai-codex/gpt-5.1", "github-copilot/gpt-4.1"]
CODEX_ANSWER = [{"type": "response.completed", "response": {"usage": {"input_tokens": 1, "output_tokens": 1}}}]
CHAT_ANSWER = [{"choices": [{"delta": {"content": "hello"}}]}, {"choices": [{"delta": {}, "finish_reason": "stop"}]}]


class Answer:
    def __init__(self, status, events=(), error=None):
        self.status, self.headers, self._events, self._error = status, {}, events, error

    async def aiter_bytes(self):
        for event in self._events:
            yield f"data: {json.dumps(event)}\n\n".encode()

    async def read(self, limit=0):
        return json.dumps({"error": self._error}).encode()


class Gateway:
    """A tenant socket that plays answers by route and remembers what it was asked."""

    def __init__(self, responses=None, chat=None, **copilot):
        self.answers = {"responses": responses, "chat/completions": chat or Answer(200, CHAT_ANSWER)}
        self.answers |= {f"copilot/{route}": answer for route, answer in copilot.items()}
        self.asked = []

    @asynccontextmanager
    async def model(self, route, body, *, run_id):
        self.asked.append((route, body["model"]))
        yield self.answers[route]


async def ask(models):
    return [event async for _, event in models.stream("i", [Turn("user", "x")], [], run_id="r", session_id="s")]


def limit(**error):
    return Answer(429, error={"type": "usage_limit_reached", "message": "m", **error})


async def test_a_rest_outlives_a_restart_and_the_primary_is_asked_again_when_it_ends(tmp_path):
    clock, kept = FakeClock(), CooldownFile(tmp_path / "agent" / "cooldowns.json")
    first = Models(Gateway(limit(resets_in_seconds=600)), REFS, clock, kept=kept)
    await ask(first)
    gateway = Gateway(Answer(200, CODEX_ANSWER))
    again = Models(gateway, REFS, clock, kept=kept)
    assert again.paused_until(REFS[0]) == first.paused_until(REFS[0])
    await ask(again)
    clock.advance(600)
    assert isinstance((await ask(again))[-1], Completed)
    assert gateway.asked == [("chat/completions", "gpt-4.1"), ("responses", "gpt-5.1")]
    assert Models(gateway, REFS, clock, kept=kept).paused_until(REFS[0]) is None
    assert (tmp_path / "agent" / "cooldowns.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("junk", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000])
async def test_a_broken_file_is_only_forgotten(tmp_path, junk):
    path = tmp_path / "cooldowns.json"
    path.write_bytes(junk)
    models = Models(Gateway(limit(resets_in_seconds=60)), REFS, FakeClock(), kept=CooldownFile(path))
    assert isinstance((await ask(models))[-1], Completed)
    assert json.loads(path.read_text())


async def test_a_full_disk_costs_no_answer(tmp_path):
    (tmp_path / "file").touch()
    models = Models(Gateway(limit()), REFS, FakeClock(), kept=CooldownFile(tmp_path / "file" / "cooldowns.json"))
    assert isinstance((await ask(models))[-1], Completed)
    assert models.paused_until(REFS[0]) is not None


async def test_the_route_follows_the_wire_and_short_names_are_understood():
    gateway = Gateway(messages=Answer(503, error={"message": "m"}))
    gateway.answers["copilot/responses"] = Answer(503, error={"message": "m"})
    asked = ["gpt-5.1-codex", "claude-sonnet-4.5", "gemini-3-pro"]
    await ask(Models(gateway, [f"github-copilot/{name}" for name in asked], FakeClock()))
    assert gateway.asked == [
        ("copilot/responses", "gpt-5.1-codex"),
        ("copilot/messages", "claude-sonnet-4.5"),
        ("chat/completions", "gemini-3-pro-preview"),
    ]


@pytest.mark.parametrize("code", ["unsupported_api_for_model", "model.route"])
async def test_a_wire_that_the_account_or_the_policy_refuses_gives_way_to_the_models_next_one(code):
    refused = Answer(400, error={"code": code, "message": "m"})
    gateway = Gateway(messages=refused)
    models = Models(gateway, ["github-copilot/claude-sonnet-4.5"], FakeClock())
    assert isinstance((await ask(models))[-1], Completed)
    assert [route for route, _ in gateway.asked] == ["copilot/messages", "chat/completions"]
    assert models.paused_until("github-copilot/claude-sonnet-4.5") is None
    only = Gateway(messages=refused, chat=refused)
    with pytest.raises(NoModel):
        await ask(Models(only, ["github-copilot/claude-sonnet-4.5"], FakeClock()))


async def test_a_budget_that_is_used_up_is_quoted_and_not_held_against_the_model():
    words = "the budget openclaw-day of openclaw has no room for this call: $4.98 of $5.00 are used or set aside"
    refused = Answer(429, error={"message": words, "type": "rate_limit_error", "code": "budget.exhausted"})
    models = Models(Gateway(refused, refused), REFS, FakeClock())
    with pytest.raises(NoModel) as caught:
        await ask(models)
    assert caught.value.detail.startswith(words)
    assert caught.value.code == "budget.exhausted"
    assert models.paused_until(REFS[0]) is None


async def test_what_is_told_says_when_the_resting_primary_comes_back():
    clock = FakeClock()
    models = Models(Gateway(limit(resets_in_seconds=7200), Answer(500, error={"message": "m"})), REFS, clock)
    with pytest.raises(NoModel, match="usage limit"):
        await ask(models)
    with pytest.raises(NoModel, match=r"gpt-4.1 had an internal error.*gpt-5.1 rests until 02:00 UTC"):
        await ask(models)


async def test_a_failed_models_connection_is_closed_before_the_next_is_asked():
    events = []

    class Watched(Gateway):
        @asynccontextmanager
        async def model(self, route, body, *, run_id):
            events.append(f"open {route}")
            try:
                async with super().model(route, body, run_id=run_id) as answer:
                    yield answer
            finally:
                events.append(f"close {route}")

    await ask(Models(Watched(Answer(500, error={"message": "m"})), REFS, FakeClock()))
    routes = ("responses", "chat/completions")
    assert events == [f"{what} {route}" for route in routes for what in ("open", "close")]


async def test_why_nobody_is_asked_is_said():
    models = Models(Gateway(limit(resets_in_seconds=600), limit(resets_in_seconds=300)), REFS, FakeClock())
    with pytest.raises(NoModel, match="usage limit"):
        await ask(models)
    with pytest.raises(NoModel, match=r"every model's usage limit is reached until 00:05 UTC"):
        await ask(models)
    waiting = Answer(429, error={"message": "m", "type": "rate_limit_error", "resets_in_seconds": 60})
    models = Models(Gateway(waiting, limit(resets_in_seconds=300)), REFS, FakeClock())
    with pytest.raises(NoModel):
        await ask(models)
    with pytest.raises(NoModel, match=r"asks us to wait until 00:01 UTC"):
        await ask(models)


async def test_a_refusal_by_an_edge_does_not_ask_for_a_new_sign_in():
    with pytest.raises(NoModel, match="not allowed to the operator's account"):
        await ask(Models(Gateway(Answer(403, error={"message": "no"})), REFS[:1], FakeClock()))


async def test_many_runs_at_once_share_what_is_known(tmp_path):
    path = tmp_path / "cooldowns.json"
    models = Models(Gateway(limit(resets_in_seconds=600)), REFS, FakeClock(), kept=CooldownFile(path))
    answers = await asyncio.gather(*(ask(models) for _ in range(20)))
    assert all(isinstance(events[-1], Completed) for events in answers)
    (kept,) = json.loads(path.read_text()).values()
    assert kept["firm"] is True


def test_the_list_of_models_begins_with_the_agents_own_and_shows_the_catalogue():
    models = Models(Gateway(), ["github-copilot/gemini-3-pro", "nobody/x", REFS[0]], FakeClock())
    runs = SimpleNamespace(loop=SimpleNamespace(models=models))
    call = SimpleNamespace(services=SimpleNamespace(runs=runs))
    method = next(method for method in METHODS if method.name == "models.list")
    rows = method.handler(call, None)["models"]
    assert [row["id"] for row in rows[:2]] == ["gemini-3-pro-preview", "gpt-5.1"]
    assert len(rows) == 28
    assert rows[1] == {
        "id": "gpt-5.1",
        "name": "gpt-5.1",
        "provider": "openai-codex",
        "contextWindow": 272_000,
        "reasoning": True,
        "input": ["text"],
    }


def test_windows_are_the_models_own():
    assert context_tokens("openai-codex/gpt-5.1") == 272_000
    assert context_tokens("openai-codex/gpt-5.3-codex-spark") == 128_000
    assert context_tokens("github-copilot/gpt-4.1") == 64_000
    assert context_tokens("nobody/x") is None
