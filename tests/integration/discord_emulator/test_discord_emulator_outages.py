"""Broken connections, refused tokens, limits and scripted faults: the client recovers as it does with Discord."""

import asyncio

import discord
import pytest
from discord_emulator_support import FREE, POLICY_INTENTS, Bot, online, town

from gateway.sandbox.discord.limits import LimitPolicy, Rule
from gateway.sandbox.faults import Fault
from shared.errors import DeadlineExceeded


def fault(op: str, kind: str, **more) -> Fault:
    return Fault(upstream="discord", op=op, kind=kind, **more)


async def disrupt(place, kind: str, **more) -> None:
    for session in place.world.sessions.of(place.app.id):
        if session.connection is not None:
            session.connection.disrupt(kind, **more)


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("reset", {}),
        ("reconnect", {}),
        ("invalid_session", {"resumable": True}),
        ("close", {"code": 1000}),
        ("close", {"code": 4000}),
        ("close", {"code": 4009}),
    ],
)
async def test_a_lost_connection_is_resumed_and_nothing_is_lost_or_doubled(kind, more):
    async with town() as place, online(place) as bot:
        await disrupt(place, kind, **more)
        await place.world.say(place.owner, place.general.id, "meanwhile")
        await bot.until(lambda: bot.resumes == 1 and bot.got)
        await place.world.say(place.owner, place.general.id, "after")
        await bot.until(lambda: bot.got[-1].content == "after")
        assert [m.content for m in bot.got] == ["meanwhile", "after"]
        assert bot.readies == 1


async def test_a_refused_resume_means_identify_and_catching_up_by_history():
    async with town() as place, online(place) as bot:
        seen = await place.world.say(place.owner, place.general.id, "seen")
        await bot.next_message()
        place.faults.add(fault("gateway.resume", "invalid_session"))
        await disrupt(place, "reset")
        await place.world.wait_for(lambda r: r.kind == "gateway.disconnect")
        await place.world.say(place.owner, place.general.id, "missed")
        await bot.until(lambda: bot.readies == 2)
        assert [m.content for m in bot.got] == ["seen"]
        channel = bot.get_channel(place.general.id)
        assert [m.content async for m in channel.history(after=discord.Object(seen.id))] == ["missed"]


async def test_a_bot_that_is_closed_is_shown_as_offline():
    async with town() as place:
        async with online(place):
            assert place.world.sessions.online(place.app.id)
        await place.world.wait_for(lambda r: r.kind == "gateway.disconnect")
        assert not place.world.sessions.online(place.app.id)


async def test_the_server_may_be_away_and_come_back():
    async with town() as place, online(place) as bot:
        await place.emulator.stop()
        await place.world.say(place.owner, place.general.id, "while it was down")
        await asyncio.sleep(0.1)
        await place.emulator.start()
        await bot.until(lambda: bot.got, 20)
        assert bot.got[0].content == "while it was down"


async def test_two_hundred_messages_arrive_in_order():
    async with town() as place, online(place) as bot:
        for number in range(200):
            await place.world.say(place.owner, place.general.id, str(number))
        await bot.until(lambda: len(bot.got) == 200)
        assert [m.content for m in bot.got] == [str(n) for n in range(200)]


async def test_a_wrong_token_is_refused_at_login_and_a_revoked_one_at_the_gateway():
    async with town() as place:
        bad = Bot()
        with pytest.raises(discord.LoginFailure):
            await bad.login("a.b.c")
        await bad.close()
        bot = Bot()
        running = asyncio.create_task(bot.start(place.token))
        await bot.until(lambda: bot.readies)
        place.world.rotate_token(place.app)
        with pytest.raises(discord.ConnectionClosed) as closed:
            await asyncio.wait_for(running, 5)
        assert closed.value.code == 4004
        await bot.close()


async def test_a_privileged_intent_that_is_off_is_refused_and_a_nonsense_one_too():
    async with town() as place:
        place.app.intents_allowed = 0
        bot = Bot()
        with pytest.raises(discord.PrivilegedIntentsRequired):
            await bot.start(place.token)
        await bot.close()
        odd = Bot(intents=1 << 40)
        with pytest.raises(discord.ConnectionClosed) as closed:
            await odd.start(place.token)
        assert closed.value.code == 4013
        await odd.close()


async def test_without_the_content_intent_text_is_blank_unless_it_is_for_the_bot():
    async with town() as place, online(place, Bot(intents=POLICY_INTENTS & ~32768)) as bot:
        await place.world.say(place.owner, place.general.id, "secret")
        await place.world.say(place.owner, place.general.id, f"{place.mention} open")
        await place.world.say(place.owner, await place.world.open_dm(place.owner, place.app), "dm")
        await bot.next_message(3)
        assert [m.content for m in bot.got] == ["", f"{place.mention} open", "dm"]


async def test_events_without_their_intent_do_not_come():
    async with town() as place, online(place, Bot(intents=1 | 4096)) as bot:
        await place.world.say(place.owner, place.general.id, "guild")
        await place.world.say(place.owner, await place.world.open_dm(place.owner, place.app), "dm")
        assert (await bot.next_message()).guild is None


async def test_a_full_bucket_slows_the_client_without_a_refusal():
    limits = LimitPolicy(rules=(Rule("message.create", 5, 1.5), *FREE.rules))
    async with town(limits=limits) as place, online(place) as bot:
        started = asyncio.get_running_loop().time()
        for number in range(6):
            await bot.get_channel(place.general.id).send(str(number))
        assert asyncio.get_running_loop().time() - started > 1
        assert place.emulator.limiter.hits == {}


async def test_a_429_is_waited_out_and_the_message_is_sent_once():
    async with town() as place, online(place) as bot:
        for scope in ("user", "global", "shared"):
            place.faults.add(
                fault(
                    "message.create",
                    "status",
                    status=429,
                    headers={"Retry-After": "0.2", "X-RateLimit-Scope": scope},
                    body={"message": "slow", "retry_after": 0.2, "global": scope == "global"},
                )
            )
            await bot.get_channel(place.general.id).send(scope)
        sent = [r.content for r in place.world.core.log.records if r.kind == "message.create"]
        assert sent == ["user", "global", "shared"]


async def test_a_lost_answer_and_a_retry_with_the_same_nonce_make_one_message():
    async with town() as place, online(place) as bot:
        channel = bot.get_channel(place.general.id)
        place.faults.add(fault("message.create", "reset", applied=True))
        with pytest.raises((discord.DiscordServerError, OSError, Exception)) as lost:
            await channel.send("once", nonce="job-1-part-1")
        assert not isinstance(lost.value, discord.HTTPException)
        again = await channel.send("once", nonce="job-1-part-1")
        assert again.nonce == "job-1-part-1"
        assert [m.id async for m in channel.history()] == [again.id]


async def test_a_503_is_raised_at_once_and_a_502_is_retried():
    async with town() as place, online(place) as bot:
        channel = bot.get_channel(place.general.id)
        place.faults.add(fault("message.create", "status", status=503))
        with pytest.raises(discord.DiscordServerError):
            await channel.send("first")
        place.faults.add(fault("message.create", "status", status=502, applied=True))
        await channel.send("second")
        assert [m.content async for m in channel.history()] == ["second"]


async def test_an_edge_page_and_a_cut_body_reach_the_client_as_errors():
    async with town() as place, online(place) as bot:
        channel = bot.get_channel(place.general.id)
        place.faults.add(fault("message.create", "edge_page", status=429))
        with pytest.raises(discord.HTTPException) as refused:
            await channel.send("x")
        assert refused.value.status == 429
        place.faults.add(fault("message.create", "half_body"))
        with pytest.raises(Exception, match=r"payload|reset|disconnected"):
            await channel.send("y")


async def test_missing_acks_make_the_client_reconnect_and_resume():
    async with town(heartbeat_ms=300) as place, online(place) as bot:
        place.faults.add(fault("gateway.heartbeat", "drop_ack", nth=(1, 2, 3, 4, 5, 6)))
        bot.ws._keep_alive.heartbeat_timeout = 0.5
        await place.world.wait_for(lambda r: r.kind == "gateway.resume", 10)


async def test_a_silent_client_is_timed_out_with_4009():
    async with town(heartbeat_ms=200) as place, online(place) as bot:
        bot.ws._keep_alive.stop()
        await place.world.wait_for(lambda r: r.kind == "gateway.resume", 5)


async def test_a_duplicate_dispatch_arrives_twice():
    async with town() as place, online(place) as bot:
        place.faults.add(fault("gateway.dispatch.MESSAGE_CREATE", "duplicate"))
        await place.world.say(place.owner, place.general.id, "echo")
        await bot.next_message(2)
        assert bot.got[0].id == bot.got[1].id


async def test_a_malformed_event_ends_the_client():
    async with town() as place:
        bot = Bot()
        running = asyncio.create_task(bot.start(place.token))
        await bot.until(lambda: bot.readies)
        place.faults.add(fault("gateway.dispatch.MESSAGE_CREATE", "malformed"))
        await place.world.say(place.owner, place.general.id, "boom")
        with pytest.raises((TypeError, KeyError)):
            await asyncio.wait_for(running, 5)
        await bot.close()


@pytest.mark.parametrize("kind", ["status", "edge_page"])
async def test_a_refused_upgrade_is_seen_as_such(kind):
    async with town() as place:
        place.faults.add(fault("gateway.connect", kind, status=503, nth=(1,)))
        bot = Bot()
        with pytest.raises(AttributeError):  # discord.py's own defect on a refused first connect
            await bot.start(place.token)
        await bot.close()


async def test_identifies_are_counted_and_the_last_one_costs_the_token():
    limits = LimitPolicy(rules=FREE.rules, per_second=10_000, identify_limit=2)
    async with town(limits=limits) as place:
        async with online(place):
            pass
        async with online(place) as bot:
            assert (await bot.http.request(discord.http.Route("GET", "/gateway/bot")))["session_start_limit"] == {
                "total": 2,
                "remaining": 0,
                "reset_after": pytest.approx(86_400_000, abs=60_000),
                "max_concurrency": 1,
            }
        third = Bot()
        with pytest.raises(discord.ConnectionClosed) as closed:
            await third.start(place.token)
        assert closed.value.code == 4004
        await third.close()
        assert place.world.bot_token(place.app) != place.token


async def test_waiting_for_what_never_comes_says_what_came():
    async with town() as place, online(place) as bot:
        await bot.get_channel(place.general.id).send("something else")
        with pytest.raises(DeadlineExceeded, match="something else"):
            await place.world.wait_for(lambda r: r.content == "wanted", 0.05)
