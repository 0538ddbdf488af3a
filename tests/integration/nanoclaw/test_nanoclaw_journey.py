"""A message's way through NanoClaw, from the channel to the answer, with a real database and real files."""

from __future__ import annotations

import json

from nanoclaw_standins import ScriptedGateway, a_message, a_tenant, echo


async def test_a_mention_in_a_guild_channel_is_answered(tmp_path):
    gateway = ScriptedGateway()
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        await channel.handlers.on_message(a_message("hello there"))
        assert await channel.says(lambda texts: len(texts) == 1) == ["echo: hello there"]
        await tenant.lanes.idle()
        assert channel.typing_in == ["dc:1"]
        assert await tenant.inbox.counts() == {"done": 1}
    assert [group.chat for group in tenant.registry] == ["dc:1"]


async def test_a_direct_message_is_answered_and_a_follow_up_reaches_the_live_worker(tmp_path):
    gateway = ScriptedGateway()
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        await channel.handlers.on_message(a_message("one", chat="dc:9", kind="dm"))
        await channel.says(lambda texts: texts == ["echo: one"], chat="dc:9")
        await tenant.lanes.idle()
        assert set(gateway.states.values()) == {"idle"}
        await channel.handlers.on_message(a_message("two", chat="dc:9", kind="dm"))
        await channel.says(lambda texts: texts == ["echo: one", "echo: two"], chat="dc:9")
    assert [(a.worker, a.turn) for a in gateway.asked] == [("w1", 1), ("w1", 2)]
    assert len(gateway.leases) == 1


async def test_messages_of_a_chat_are_answered_in_order_and_together_when_they_wait(tmp_path):
    gateway = ScriptedGateway()
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        for text in ("first", "second", "third"):
            await channel.handlers.on_message(a_message(text))
        await channel.says(lambda texts: bool(texts) and texts[-1] == "echo: third")
        await tenant.lanes.idle()
        heard = "".join(asked.prompt for asked in gateway.asked)
        assert [heard.index(f">{text}<") for text in ("first", "second", "third")] == sorted(
            heard.index(f">{text}<") for text in ("first", "second", "third")
        )
        assert await tenant.inbox.counts() == {"done": 3}


async def test_talk_that_calls_nobody_comes_along_with_the_next_call_once(tmp_path):
    gateway = ScriptedGateway()
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        await channel.handlers.on_message(a_message("hi"))
        await channel.says(lambda texts: len(texts) == 1)
        await channel.handlers.on_message(a_message("we meet at nine", addressed=False, sender="bob"))
        await channel.handlers.on_message(a_message("when do we meet?"))
        await channel.says(lambda texts: len(texts) == 2)
        await channel.handlers.on_message(a_message("thanks"))
        await channel.says(lambda texts: len(texts) == 3)
        await tenant.lanes.idle()
    assert "we meet at nine" in gateway.asked[1].prompt
    assert "we meet at nine" not in gateway.asked[2].prompt


async def test_the_agents_own_message_and_its_internal_thoughts(tmp_path):
    async def reply(worker, asked, prompt_uuid):
        answer = await worker.call_tool("send_message", {"text": "working on it"})
        assert answer["isError"] is False
        worker.result("<internal>secret plan</internal> done", prompt_uuid)

    gateway = ScriptedGateway(reply=reply)
    async with a_tenant(tmp_path, gateway) as (_, channel):
        await channel.handlers.on_message(a_message("please work"))
        assert await channel.says(lambda texts: len(texts) == 2) == ["working on it", "done"]


async def test_the_same_message_delivered_twice_is_answered_once(tmp_path):
    gateway = ScriptedGateway()
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        message = a_message("once")
        await channel.handlers.on_message(message)
        await channel.handlers.on_message(message)
        await channel.says(lambda texts: len(texts) == 1)
        await tenant.lanes.idle()
    assert len(gateway.asked) == 1


async def test_each_batch_leaves_one_routing_line_without_text(tmp_path):
    gateway = ScriptedGateway()
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        await channel.handlers.on_message(a_message("my secret question"))
        await channel.says(lambda texts: len(texts) == 1)
        await tenant.lanes.idle()
    [line] = tenant.paths.routing_metrics("nanoclaw").read_text().splitlines()
    entry = json.loads(line)
    assert entry["tier"] == "STANDARD"
    assert (entry["ok"], entry["input_tokens"], entry["output_tokens"]) == (True, 10, 5)
    assert "secret" not in line


async def test_a_long_answer_is_shown_while_it_grows_and_ends_as_the_result(tmp_path):
    import asyncio

    from nanoclaw_standins import a_policy

    go_on = asyncio.Event()

    async def reply(worker, asked, prompt_uuid):
        worker.delta("The answer ")
        await go_on.wait()
        worker.delta("is 42")
        worker.result("The answer is 42.", prompt_uuid)

    gateway = ScriptedGateway(reply=reply)
    policy = a_policy(streaming={"enabled": True, "after_s": 0})
    async with a_tenant(tmp_path, gateway, policy) as (tenant, channel):
        await channel.handlers.on_message(a_message("tell me"))
        await channel.says(lambda texts: texts == ["The answer"])
        go_on.set()
        await channel.says(lambda texts: texts == ["The answer is 42."])
        await tenant.lanes.idle()


async def test_state_is_there_after_a_restart_and_the_conversation_goes_on(tmp_path):
    gateway = ScriptedGateway(reply=echo)
    async with a_tenant(tmp_path, gateway) as (_, channel):
        await channel.handlers.on_message(a_message("one"))
        await channel.says(lambda texts: len(texts) == 1)
    async with a_tenant(tmp_path, gateway) as (_, channel):
        await channel.handlers.on_message(a_message("two"))
        await channel.says(lambda texts: len(texts) == 1)
    assert [(asked.worker, asked.turn) for asked in gateway.asked] == [("w1", 1), ("w1", 2)]


async def test_tools_work_in_a_worker_taken_over_after_a_restart(tmp_path):
    async def reply(worker, asked, prompt_uuid):
        if asked.turn == 2:
            await worker.use_tool("send_message", {"text": "said"})
        await echo(worker, asked, prompt_uuid)

    gateway = ScriptedGateway(reply=reply)
    async with a_tenant(tmp_path, gateway) as (_, channel):
        await channel.handlers.on_message(a_message("one"))
        await channel.says(lambda texts: len(texts) == 1)
    async with a_tenant(tmp_path, gateway) as (_, channel):
        await channel.handlers.on_message(a_message("two"))
        assert await channel.says(lambda texts: len(texts) == 2) == ["said", "echo: two"]
    assert len(gateway.leases) == 1


async def test_a_worker_left_in_mid_turn_is_ended_and_its_conversation_goes_on(tmp_path):
    gateway = ScriptedGateway()
    async with a_tenant(tmp_path, gateway) as (_, channel):
        await channel.handlers.on_message(a_message("one"))
        await channel.says(lambda texts: len(texts) == 1)
    gateway.states["w1"] = "busy"
    async with a_tenant(tmp_path, gateway) as (_, channel):
        await channel.handlers.on_message(a_message("two"))
        await channel.says(lambda texts: len(texts) == 1)
    first, second = gateway.leases
    assert (first.resume, second.resume) == (False, True)
    assert first.session_id == second.session_id
