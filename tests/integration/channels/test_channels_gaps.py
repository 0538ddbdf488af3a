"""What is left out of what was missed is never silent: the tenant is told of it, and only of what is somebody's."""

from datetime import timedelta

import discord_bed
import slack_bed

from shared.channels.base import CatchUp, Gap, OutboundMessage
from shared.clock import SystemClock
from shared.testing.channel_bed import running
from shared.testing.waiting import until

BY_NUMBER = "only the newest 3 messages were read"
BY_AGE = "only messages of the last 24 hours were read"


class Later(SystemClock):
    """The machine's clock, two days on: what was just written is old."""

    def now(self):
        return super().now() + timedelta(days=2)


def discord_channel(place, heard, **more):
    return discord_bed.channel_for(place, handlers=heard.handlers(on_gap=heard.on_gap), **more)


def slack_channel(place, heard, **more):
    return slack_bed.channel_for(place, handlers=heard.handlers(on_gap=heard.on_gap), **more)


async def test_more_than_the_newest_messages_on_discord_is_a_gap_told_before_them():
    heard, bounds = discord_bed.Heard(), CatchUp(messages=3)
    async with discord_bed.discord_world() as place:
        async with running(discord_channel(place, heard, catch_up=bounds)):
            await place.world.say(place.owner, place.general, "one")
            await until(lambda: heard.texts == ["one"])
        for n in range(3):
            await place.world.say(place.owner, place.general, f"a{n}")
        async with running(discord_channel(place, heard, catch_up=bounds)):
            await until(lambda: heard.texts == ["one", "a0", "a1", "a2"])
        assert heard.gaps == []  # as many as are read, and none before them
        known = heard.messages[-1].id
        for n in range(5):
            await place.world.say(place.owner, place.general, f"b{n}")
        async with running(discord_channel(place, heard, catch_up=bounds)):
            await until(lambda: heard.texts[4:] == ["b2", "b3", "b4"])
    assert heard.gaps == [Gap(place.chat, known, BY_NUMBER)]


async def test_a_gap_in_a_thread_on_discord_says_which_channel_it_belongs_to():
    heard, bounds = discord_bed.Heard(), CatchUp(messages=3)
    async with discord_bed.discord_world() as place:
        thread = await place.world.start_thread(place.owner, place.general, "side talk")
        async with running(discord_channel(place, heard, catch_up=bounds)):
            await place.world.say(place.owner, thread.id, "one")
            await until(lambda: "one" in heard.texts)
        known = heard.messages[-1]
        for n in range(5):
            await place.world.say(place.owner, thread.id, f"b{n}")
        async with running(discord_channel(place, heard, catch_up=bounds)):
            await until(lambda: heard.texts[-3:] == ["b2", "b3", "b4"])
    assert heard.gaps == [Gap(known.chat, known.id, BY_NUMBER, parent=place.chat)]


async def test_old_messages_on_discord_are_a_gap_and_our_own_are_none():
    heard = discord_bed.Heard()
    async with discord_bed.discord_world() as place:
        channel = discord_channel(place, heard)
        async with running(channel):
            await place.world.say(place.owner, place.general, "one")
            await until(lambda: heard.texts == ["one"])
            await channel.send(OutboundMessage(place.chat, "an answer", "n1"))
        known = heard.messages[0].id
        async with running(discord_channel(place, heard, clock=Later())):
            await until(lambda: len(_histories(place)) == 2)  # within the bounds, and beyond them
        assert heard.gaps == []
        await place.world.say(place.owner, place.general, "too old by now")
        async with running(discord_channel(place, heard, clock=Later())):
            await until(lambda: heard.gaps)
    assert heard.gaps == [Gap(place.chat, known, BY_AGE)]
    assert heard.texts == ["one"]


async def test_a_chat_without_news_costs_no_request_more():
    heard = discord_bed.Heard()
    async with discord_bed.discord_world() as place:
        async with running(discord_channel(place, heard)):
            await place.world.say(place.owner, place.general, "one")
            await until(lambda: heard.texts == ["one"])
        async with running(discord_channel(place, heard, clock=Later())):
            await until(lambda: _histories(place))
            await place.world.say(place.owner, place.general, "live")
            await until(lambda: "live" in heard.texts)
    assert len(_histories(place)) == 1


def _histories(place):
    return [request for request in place.server.requests if request.op == "message.list"]


async def test_what_is_left_out_on_slack_is_told_too():
    heard = slack_bed.Heard()
    async with slack_bed.slack_world() as place:
        async with running(slack_channel(place, heard)):
            place.world.say(place.owner, place.general, "one")
            await until(lambda: heard.texts == ["one"])
        known = heard.messages[0].id
        for n in range(5):
            place.world.say(place.owner, place.general, f"b{n}")
        async with running(slack_channel(place, heard, clock=Later())):
            await until(lambda: heard.gaps)
        assert heard.texts == ["one"]
        async with running(slack_channel(place, heard, catch_up=CatchUp(messages=3))):
            await until(lambda: heard.texts[1:] == ["b2", "b3", "b4"])
        assert heard.gaps == [Gap(place.chat, known, BY_AGE), Gap(place.chat, known, BY_NUMBER)]
