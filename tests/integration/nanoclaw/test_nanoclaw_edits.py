"""Messages that change or go before they are answered, and threads."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from nanoclaw_standins import ScriptedGateway, a_message, a_tenant, echo, paths_in

from nanoclaw.groups import Group
from shared.channels.base import Attachment, ChannelStatus
from shared.errors import Unavailable

CHAT = "dc:1"


class Held:
    """Answers only once it is let go."""

    def __init__(self):
        self.go, self.asked = asyncio.Event(), asyncio.Event()

    async def __call__(self, worker, asked, prompt_uuid):
        self.asked.set()
        await self.go.wait()
        await echo(worker, asked, prompt_uuid)


@asynccontextmanager
async def a_lab(folder, gateway):
    async with a_tenant(folder, gateway) as (tenant, channel):
        if not len(tenant.registry):
            await tenant.intake.register(Group("lab", CHAT, "Lab"))
        yield tenant, channel


async def test_what_waits_behind_a_run_is_answered_as_edited_or_not_at_all(tmp_path):
    held = Held()
    gateway = ScriptedGateway(reply=held)
    async with a_lab(tmp_path, gateway) as (tenant, channel):
        hear, edit, delete = channel.handlers.on_message, channel.handlers.on_edit, channel.handlers.on_delete
        running, typo, oops = a_message("first"), a_message("helo"), a_message("oops")
        await hear(running)
        await asyncio.wait_for(held.asked.wait(), 10)
        for message in (typo, oops):
            await hear(message)
        await edit(replace(typo, text="hello"))
        await delete(CHAT, oops.id)
        await edit(replace(running, text="too late"))
        await delete(CHAT, running.id)
        held.go.set()
        await channel.says(lambda texts: len(texts) == 2)
        await tenant.lanes.idle()
        assert channel.texts() == ["echo: first", "echo: hello"]
        item = await tenant.inbox.find(CHAT, oops.id)
        assert (item.state, item.reason) == ("ignored", "taken back by its author")
    assert "oops" not in gateway.asked[-1].prompt


async def test_an_edit_that_calls_the_assistant_is_answered_and_one_that_does_not_is_only_kept(tmp_path):
    gateway = ScriptedGateway()
    async with a_lab(tmp_path, gateway) as (tenant, channel):
        message = a_message("what is the time", addressed=False)
        await channel.handlers.on_message(message)
        await channel.handlers.on_edit(replace(message, text="what time is it"))
        await tenant.lanes.idle()
        assert gateway.asked == []
        called = replace(message, text="@J what time is it", addressed=True)
        await channel.handlers.on_edit(called)
        await channel.handlers.on_edit(called)
        await channel.says(lambda texts: texts)
        await tenant.lanes.idle()
        assert channel.texts() == ["echo: @J what time is it"]
        assert await tenant.inbox.counts() == {"done": 1}


async def test_files_of_a_message_taken_back_are_removed(tmp_path):
    async with a_lab(tmp_path, ScriptedGateway()) as (_tenant, channel):
        channel.files["7"] = b"private"
        file = Attachment("7", "a.txt", "text/plain", 7, "http://127.0.0.1/")
        message = a_message("oops", addressed=False, attachments=(file,))
        await channel.handlers.on_message(message)
        path = paths_in(tmp_path).group("nanoclaw", "lab") / "attachments" / message.id
        async with asyncio.timeout(10):
            while not (path / "a.txt").exists():
                await asyncio.sleep(0.01)
        await channel.handlers.on_delete(CHAT, message.id)
        assert not path.exists()


async def test_what_waited_over_an_outage_is_read_again_before_it_is_answered(tmp_path):
    gateway = ScriptedGateway()
    kept, changed, gone = a_message("kept"), a_message("helo"), a_message("oops")
    async with a_lab(tmp_path, gateway) as (tenant, _):
        for message in (kept, changed, gone):
            await tenant.inbox.append(message)
    async with a_lab(tmp_path, gateway) as (tenant, channel):
        channel.status = ChannelStatus("online", since=datetime.now(UTC) + timedelta(seconds=1))
        channel.rereads = {kept.id: kept, changed.id: replace(changed, text="hello")}
        tenant.wake(kept)
        await channel.says(lambda texts: texts)
        await tenant.lanes.idle()
        assert [item.state for m in (kept, changed, gone) if (item := await tenant.inbox.find(CHAT, m.id))] == [
            "done",
            "done",
            "ignored",
        ]
    prompt = gateway.asked[0].prompt
    assert ("kept" in prompt, "hello" in prompt, "oops" in prompt, "helo" in prompt) == (True, True, False, False)


async def test_what_cannot_be_read_again_is_answered_as_it_was_stored(tmp_path):
    gateway = ScriptedGateway()
    waiting = a_message("hello")
    async with a_lab(tmp_path, gateway) as (tenant, _):
        await tenant.inbox.append(waiting)
    async with a_lab(tmp_path, gateway) as (tenant, channel):
        channel.status = ChannelStatus("online", since=datetime.now(UTC) + timedelta(seconds=1))

        async def fails(_chat, _message):
            raise Unavailable("Discord did not answer")

        channel.reread = fails
        tenant.wake(waiting)
        await channel.says(lambda texts: texts == ["echo: hello"])


def in_thread(text, chat="dc:50", **more):
    message = a_message(text, chat=chat, kind="thread", parent=CHAT, parent_name="general", **more)
    return replace(message, chat_name="side talk", guild="g1")


async def test_a_thread_is_answered_in_the_thread_by_its_channels_agent(tmp_path):
    async def say_first(worker, asked, prompt_uuid):
        await worker.call_tool("send_message", {"text": "working"})
        await echo(worker, asked, prompt_uuid)

    gateway = ScriptedGateway(reply=say_first)
    async with a_lab(tmp_path, gateway) as (tenant, channel):
        await channel.handlers.on_message(in_thread("@J hi"))
        await channel.says(lambda texts: len(texts) == 2, chat="dc:50")
        await tenant.lanes.idle()
        assert channel.texts("dc:50") == ["working", "echo: @J hi"]
        assert channel.texts(CHAT) == []
        assert channel.typing_in == ["dc:50"]
    assert [request.group for request in gateway.leases] == ["lab"]
    assert 'thread="side talk"' in gateway.asked[0].prompt


async def test_a_channel_and_its_threads_never_run_at_once_and_each_is_answered_in_its_place(tmp_path):
    running, most = set(), []

    async def slowly(worker, asked, prompt_uuid):
        running.add(prompt_uuid)
        most.append(len(running))
        await asyncio.sleep(0.05)
        running.discard(prompt_uuid)
        await echo(worker, asked, prompt_uuid)

    gateway = ScriptedGateway(reply=slowly)
    async with a_lab(tmp_path, gateway) as (tenant, channel):
        await channel.handlers.on_message(a_message("in the channel"))
        for number in range(3):
            await channel.handlers.on_message(in_thread(f"thread {number}", chat=f"dc:5{number}"))
        for number in range(3):
            await channel.says(lambda texts: texts, chat=f"dc:5{number}")
        await tenant.lanes.idle()
        assert [channel.texts(f"dc:5{number}") for number in range(3)] == [[f"echo: thread {n}"] for n in range(3)]
        assert channel.texts(CHAT) == ["echo: in the channel"]
        assert await tenant.inbox.counts() == {"done": 4}
    assert max(most) == 1
    assert {asked.session for asked in gateway.asked} == {gateway.asked[0].session}


async def test_a_thread_left_waiting_is_found_after_a_restart(tmp_path):
    gateway = ScriptedGateway()
    async with a_lab(tmp_path, gateway) as (tenant, _):
        await tenant.inbox.append(in_thread("@J hi"))
    async with a_lab(tmp_path, gateway) as (tenant, channel):
        await channel.says(lambda texts: texts == ["echo: @J hi"], chat="dc:50")
        await tenant.lanes.idle()
        assert [view.chat for view in tenant.lanes.view()] == []


@pytest.mark.parametrize("kind", ["guild", "thread"])
async def test_a_first_mention_in_a_thread_registers_its_channel(tmp_path, kind):
    gateway = ScriptedGateway()
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        message = in_thread("@J hi") if kind == "thread" else replace(a_message("@J hi"), chat_name="general")
        await channel.handlers.on_message(message)
        await channel.says(lambda texts: texts, chat=message.chat)
        assert [(group.folder, group.chat, group.name) for group in tenant.registry] == [("general", CHAT, "general")]
