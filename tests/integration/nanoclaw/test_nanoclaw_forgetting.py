"""What NanoClaw no longer keeps after `message_days`, and what it says once although it forgot that it did."""

from __future__ import annotations

from datetime import UTC, datetime

from nanoclaw_standins import ScriptedGateway, a_message, a_policy, a_tenant

from nanoclaw.store import RunRecord
from shared.channels.base import Gap
from shared.clock import FakeClock


def a_run(run_id: str, folder: str, ended_at: datetime) -> RunRecord:
    return RunRecord(run_id, 1, folder, "dc:1", "STANDARD", True, "", "answered", ended_at, ended_at)


async def test_old_runs_and_unused_background_are_forgotten_but_for_each_groups_newest_run(tmp_path):
    clock = FakeClock(datetime(2026, 3, 1, 12, tzinfo=UTC))
    async with a_tenant(tmp_path, ScriptedGateway(), clock=clock) as (tenant, _):
        began = clock.now()
        for run_id, folder in (("a1", "lab"), ("a2", "lab"), ("b1", "quiet")):
            await tenant.store.record(a_run(run_id, folder, began))
        await tenant.inbox.append(a_message("nobody asked"), state="context")
        clock.advance(20 * 86_400)
        await tenant.store.record(a_run("a3", "lab", clock.now()))
        await tenant.inbox.append(a_message("newer"), state="context")
        clock.advance(11 * 86_400)
        assert (await tenant.maintenance.run_now("messages.forget")).detail == (
            "1 received and 0 sent messages forgotten, 2 runs forgotten"
        )
        assert [run.run_id for run in await tenant.store.recent_runs()] == ["a3", "b1"]
        assert (await tenant.store.last_active())["quiet"] == began
        assert await tenant.inbox.counts() == {"context": 1}


async def test_a_gap_is_said_once_even_after_the_sentence_was_forgotten_and_only_to_groups(tmp_path):
    clock = FakeClock(datetime(2026, 3, 1, 12, tzinfo=UTC))
    policy = a_policy(groups={"lab": {"chat": "dc:1"}})
    async with a_tenant(tmp_path, ScriptedGateway(), policy, clock=clock) as (tenant, channel):
        for chat in ("dc:1", "dc:1", "dc:2"):
            await channel.handlers.on_gap(Gap(chat, "5", "only the newest 3 messages were read"))
        assert await tenant.outbox.flush(5)
        clock.advance(31 * 86_400)
        assert "1 sent" in (await tenant.maintenance.run_now("messages.forget")).detail
        await channel.handlers.on_gap(Gap("dc:1", "5", "only the newest 3 messages were read"))
        await channel.handlers.on_gap(Gap("dc:1", "9", "only messages of the last 24 hours were read"))
        assert await tenant.outbox.flush(5)
        said = list(channel.sent["dc:1"].values())
        assert ["newest 3" in said[0], "last 24 hours" in said[1], len(said)] == [True, True, 2]
        assert "dc:2" not in channel.sent


async def test_a_gap_in_a_groups_thread_is_said_in_the_thread(tmp_path):
    policy = a_policy(groups={"lab": {"chat": "dc:1"}})
    async with a_tenant(tmp_path, ScriptedGateway(), policy) as (tenant, channel):
        await channel.handlers.on_gap(Gap("dc:3", "5", "only the newest 3 messages were read", parent="dc:1"))
        assert await tenant.outbox.flush(5)
        assert [chat for chat, texts in channel.sent.items() if texts] == ["dc:3"]
