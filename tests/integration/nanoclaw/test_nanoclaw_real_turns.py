"""Turns that are interrupted, heard out or spoilt, against the real Claude command line of the pinned version."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from nanoclaw_real_cli import a_cli_gateway
from nanoclaw_standins import a_message, a_policy, a_tenant

pytestmark = pytest.mark.slow


async def test_a_stop_interrupts_the_turn_and_the_conversation_goes_on_in_the_same_worker(cli, tmp_path):
    async with a_cli_gateway(cli, tmp_path / "g") as (gateway, api), a_tenant(tmp_path, gateway) as (tenant, channel):
        api.is_held = True
        await channel.handlers.on_message(a_message("first"))
        await api.waits.wait()
        assert await channel.handlers.on_command("stop", a_message("")) == "Stopped."
        await tenant.lanes.idle()
        assert channel.texts() == ["Stopped by ann."]
        api.is_held = False
        api.go_on.set()
        await channel.handlers.on_message(a_message("second"))
        # The agent knows what it was interrupted in.
        await channel.says(lambda texts: texts[-1].startswith("echo 2: ") and "second" in texts[-1])
        await tenant.lanes.idle()
        assert await tenant.inbox.counts() == {"done": 2}
    assert len(gateway.leases) == 1


async def test_a_turn_is_heard_out_by_the_next_process_and_its_prompt_is_put_once(cli, tmp_path):
    policy = a_policy(runs={"drain_s": 0})
    async with a_cli_gateway(cli, tmp_path / "g") as (gateway, api):
        async with a_tenant(tmp_path, gateway, policy) as (_, channel):
            api.is_held = True
            await channel.handlers.on_message(a_message("first USE_TOOL"))
            await api.waits.wait()
        # Now the model asks for the tool: while nobody is there, and then the next process is.
        api.is_held = False
        api.go_on.set()
        async with a_tenant(tmp_path, gateway, policy) as (tenant, channel):
            said, answer = await channel.says(lambda texts: len(texts) == 2)
            await tenant.lanes.idle()
            [run] = await tenant.store.recent_runs()
            assert said == "said by tool"
            assert answer.startswith("echo 1: ")
            assert (run.ok, run.attempt) == (True, 1)
            await channel.handlers.on_message(a_message("second USE_TOOL"))
            await channel.says(lambda texts: texts[-1].startswith("echo 2: "))
            await tenant.lanes.idle()
    assert len(gateway.leases) == 1
    assert len(api.requests) == 4, "two for each turn: nothing was asked twice"


async def test_a_prompt_written_twice_under_its_uuid_is_asked_once_and_a_second_tool_answer_is_ignored(cli, tmp_path):
    """What a restart relies on; see `nanoclaw.agent.replay`."""

    class Stuttering:
        """A stream that writes everything twice."""

        def __init__(self, stream):
            self.stream = stream

        def __aiter__(self):
            return self.stream.__aiter__()

        async def write(self, data):
            await self.stream.write(data)
            await self.stream.write(data)

        async def close(self):
            await self.stream.close()

    async with a_cli_gateway(cli, tmp_path / "g") as (gateway, api):
        attach = gateway.attach
        gateway.attach = lambda worker_id, after=0: Stuttering(attach(worker_id, after))
        async with a_tenant(tmp_path, gateway) as (tenant, channel):
            for number in (1, 2):
                await channel.handlers.on_message(a_message(f"m{number} USE_TOOL"))
                await channel.says(lambda texts, n=number: bool(texts) and texts[-1].startswith(f"echo {n}: "))
                await tenant.lanes.idle()
            assert len(channel.texts()) == 4
    assert len(api.requests) == 4


def cut_in_half(transcript: Path) -> None:
    transcript.write_bytes(transcript.read_bytes()[: transcript.stat().st_size // 2])


def random_bytes(transcript: Path) -> None:
    transcript.write_bytes(os.urandom(4000))


def a_folder_in_its_place(transcript: Path) -> None:
    transcript.unlink()
    transcript.mkdir()


@pytest.mark.parametrize("spoil", [cut_in_half, random_bytes, a_folder_in_its_place], ids=lambda spoil: spoil.__name__)
async def test_a_corrupted_transcript_costs_memory_and_no_message(cli, tmp_path, spoil):
    async with a_cli_gateway(cli, tmp_path / "g") as (gateway, _), a_tenant(tmp_path, gateway) as (tenant, channel):
        await channel.handlers.on_message(a_message("first"))
        await channel.says(lambda texts: len(texts) == 1)
        await tenant.lanes.idle()
        await gateway.end_worker("w1")
        spoil(next((gateway.home / "config" / "projects").rglob(f"{gateway.leases[0].session_id}.jsonl")))
        await asyncio.sleep(0.1)
        await channel.handlers.on_message(a_message("second"))
        texts = await channel.says(lambda texts: len(texts) == 2)
        await tenant.lanes.idle()
        assert texts[1].startswith("echo ")
        assert "second" in texts[1]
        assert await tenant.inbox.counts() == {"done": 2}
