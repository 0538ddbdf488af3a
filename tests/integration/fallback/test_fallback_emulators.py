"""OpenClaw's models against the emulated providers, through a real gateway and its tenant socket."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.app import Gateway, running_gateway
from gateway.broker.auth import hash_key
from gateway.sandbox.faults import Fault, FaultPlan
from gateway.sandbox.models import ModelWorld
from gateway.settings import Settings
from openclaw.agent.loop import AgentLoop, RunEvents
from openclaw.agent.models import CooldownFile, Models, NoModel, Restarted
from openclaw.agent.tools import Tool, ToolContext, ToolRegistry
from openclaw.agent.turns import Turn
from openclaw.transcript import Entry
from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.config.tomlwrite import overlay_file
from shared.gatewayclient import GatewayClient
from shared.providers import Completed, TextDelta, ToolCall, ToolSpec
from shared.secrets.files import Secret, write_private
from tests.support.offline_settings import write_offline_settings

CODEX, COPILOT = "openai-codex/gpt-5.1", "github-copilot/gpt-5-mini"


@dataclass
class Bed:
    """A gateway, the emulators behind it, and a tenant's client."""

    world: ModelWorld
    gateway: Gateway
    client: GatewayClient
    faults: FaultPlan
    folder: Path

    def models(self, *refs: str) -> Models:
        return Models(self.client, refs or (CODEX, COPILOT), kept=CooldownFile(self.folder / "cooldowns.json"))

    def asked(self) -> list[str]:
        return [entry.upstream for entry in self.world.requests if entry.op in {"responses", "chat.completions"}]


@asynccontextmanager
async def bed(folder: Path, *faults: Fault):
    plan = FaultPlan.of(faults)
    async with ModelWorld(faults=plan) as world:
        paths = Paths(state=folder / "s", runtime=folder / "r")
        files = {name: folder / f"{name}.json" for name in ("claude", "codex", "copilot")}
        world.seed_credentials(**files)
        logins = {f"{name}_file": str(path) for name, path in files.items()}
        write_offline_settings(paths, credentials=logins)
        upstreams = {
            "claude": {"api_base": world.claude_base},
            "codex": {"api_base": world.codex_base},
            "github": {"api_base": world.github_api_base},
        }
        overlay_file(operator_file("upstreams", paths), upstreams)
        write_private(paths.env_file, "")
        async with running_gateway(Settings.load(paths)) as running:
            key = secrets.token_hex(16)
            await running.op_tenant_key({"tenant": "openclaw", "sha256": hash_key(key), "uid": os.geteuid()})
            client = GatewayClient(paths.tenant_socket("openclaw"), Secret(key))
            try:
                yield Bed(world, running, client, plan, folder)
            finally:
                await client.close()


async def ask(models: Models, text: str = "hello"):
    turns = [Turn("user", text)]
    return [pair async for pair in models.stream("i", turns, [], run_id="run_1", session_id="s")]


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("f")


def refuse(status: int, *, upstream: str = "codex", op: str = "responses", body=None, **headers: str) -> Fault:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(upstream=upstream, op=op, nth="*", kind="status", status=status, headers=named, body=body)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_the_fallback_is_asked_within_two_seconds_and_the_primary_then_rests(short, status):
    async with bed(short, refuse(status)) as b:
        began = time.monotonic()
        events = await ask(b.models())
        assert time.monotonic() - began < 2
        assert events[0] == (COPILOT, Restarted(COPILOT))
        assert isinstance(events[-1][1], Completed)
        assert b.asked() == ["codex", "copilot"]
        # A new process knows it as well.
        await ask(b.models())
        assert b.asked() == ["codex", "copilot", "copilot"]


async def test_a_plans_limit_rests_until_the_provider_says_and_the_primary_is_then_asked_again(short):
    limit = {"error": {"type": "usage_limit_reached", "message": "m", "resets_in_seconds": 0.4}}
    async with bed(short, refuse(429, body=limit)) as b:
        models = b.models()
        await ask(models)
        b.faults.clear()
        await ask(models)
        assert b.asked() == ["codex", "copilot", "copilot"]
        await asyncio.sleep(0.45)
        events = await ask(models)
        assert events[-1][0] == CODEX
        assert b.asked()[-1] == "codex"


async def test_a_stream_cut_in_the_middle_is_begun_anew_elsewhere(short):
    fault = Fault(upstream="codex", op="responses", nth="*", applied=True, kind="half_body")
    async with bed(short, fault) as b:
        events = await ask(b.models())
        restarted = events.index((COPILOT, Restarted(COPILOT)))
        assert any(isinstance(event, TextDelta) for _, event in events[restarted:])
        assert isinstance(events[-1][1], Completed)
        assert b.models().paused_until(CODEX) is None, "a cut is not held against a model"


async def test_a_signed_out_primary_falls_back_and_says_so_when_nobody_is_left(short):
    async with bed(short) as b:
        b.world.revoke("codex")
        assert (await ask(b.models()))[-1][0] == COPILOT
        with pytest.raises(NoModel, match="sign in"):
            await ask(b.models(CODEX))


async def test_every_model_of_the_policy_answers(short):
    async with bed(short) as b:
        catalog = b.models().catalog
        listed = (*catalog.listed("openai-codex"), *catalog.listed("github-copilot"))
        assert len(listed) == 28
        for model in listed:
            assert (await ask(Models(b.client, [model.ref])))[-1][0] == model.ref
        spoken = {entry.op for entry in b.world.of("copilot")}
        assert spoken == {"models", "chat.completions", "responses", "messages"}


ONLY_RESPONSES, ONLY_MESSAGES = "github-copilot/gpt-5.1-codex", "github-copilot/claude-opus-4.6"


@pytest.mark.parametrize(("ref", "op"), [(ONLY_RESPONSES, "responses"), (ONLY_MESSAGES, "messages")])
async def test_a_model_with_one_wire_talks_and_calls_tools_in_openclaws_agent(short, ref, op):
    ran = []

    async def uptime(arguments, _context):
        ran.append(arguments)
        return "up 3 days"

    spec = ToolSpec("exec", "runs a command", {"type": "object", "properties": {"command": {"type": "string"}}})
    tools = ToolRegistry([Tool(spec, uptime, "Exec", "runtime")])
    async with bed(short, refuse(503)) as b:
        # The primary is down, so it is the fallback that answers.
        loop = AgentLoop(b.models(CODEX, ref), tools, max_rounds=4)
        recorded = []

        async def record(message):
            recorded.append(message)
            return Entry(f"entry{len(recorded)}", "", message)

        async def answer(*turns):
            context = ToolContext("run_1", "main")
            return await loop.run("be kind", turns, context=context, session_id="s", record=record, events=RunEvents())

        said = await answer(Turn("user", "hello"))
        assert (said.text, said.model) == ("echo: hello", ref)
        ran_it = await answer(Turn("user", "!run uptime"))
        assert (ran_it.text, ran) == ("tool exec said: up 3 days", [{"command": "uptime"}])
        assert [message["role"] for message in recorded] == ["assistant", "toolResult"]
        assert ran_it.usage.input_tokens > 0
        asked = [entry for entry in b.world.of("copilot", op) if entry.status == 200]
        assert [entry.headers["x-initiator"] for entry in asked] == ["user", "user", "agent"]
        assert {entry.op for entry in b.world.of("copilot")} <= {op, "models"}
        async with asyncio.timeout(3):
            while sum(int(row["requests"]) for row in await b.gateway.store.usage()) < 4:
                await asyncio.sleep(0.01)
        row = next(row for row in await b.gateway.store.usage() if row["provider"] == "copilot")
        assert (row["requests"], row["model"], row["bucket"]) == (3, ref.split("/")[1], "copilot-premium")
        assert int(row["output_tokens"]) > 0


async def test_a_conversation_begun_with_codex_goes_on_in_messages(short):
    """Ids of calls and encrypted items of another provider must not reach a model that refuses them."""
    async with bed(short) as b:
        call = ToolCall("call_1|fc_abc.def", "exec", "not json")
        turns = [
            Turn("user", "do it"),
            Turn("assistant", "", (call,), native=({"type": "reasoning", "id": "r"},), native_for=CODEX),
            Turn("tool", "", call_id=call.id),
            Turn("user", "and now?"),
        ]
        stream = b.models(ONLY_MESSAGES).stream("i", turns, [], run_id="r", session_id="s")
        events = [event async for _, event in stream]
        assert isinstance(events[-1], Completed)
        [seen] = b.world.of("copilot", "messages")
        roles = [message["role"] for message in seen.body["messages"]]
        assert roles == ["user", "assistant", "user"]
        use, result = seen.body["messages"][1]["content"][0], seen.body["messages"][2]["content"][0]
        assert (use["type"], use["input"], result["tool_use_id"]) == ("tool_use", {}, use["id"])
        assert re.fullmatch("[A-Za-z0-9_-]+", use["id"])
        assert seen.body["max_tokens"] == 16_384, "as long as Copilot says that it may be"


async def test_calls_become_rows_with_their_bucket_and_cost(short):
    async with bed(short) as b:
        await ask(b.models())
        await ask(b.models(COPILOT))
        async with asyncio.timeout(3):
            while sum(int(row["requests"]) for row in await b.gateway.store.usage()) < 2:
                await asyncio.sleep(0.01)
        rows = {row["provider"]: row for row in await b.gateway.store.usage()}
        assert rows["codex"]["bucket"] == "codex-plan"
        assert rows["copilot"]["bucket"] == "copilot-included"
        assert int(rows["codex"]["cost_micros"]) > 0
        assert rows["copilot"]["premium_micros"] == 0
