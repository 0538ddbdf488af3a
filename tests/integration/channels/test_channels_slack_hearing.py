"""The Slack channel against the sandbox's Slack: what it hears."""

from slack_bed import Heard, channel_for, fault, slack_world, unacknowledged

from gateway.sandbox.slack.models import BOT_SCOPES
from shared.channels.base import OutboundMessage
from shared.channels.slack.addresses import Place, message_id
from shared.testing.channel_bed import running
from shared.testing.waiting import until


async def test_a_mention_is_one_message_addressed_and_readable_though_it_comes_as_two_events():
    heard = Heard()
    async with slack_world() as place, running(channel_for(place, heard)):
        said = place.world.say(place.owner, place.general, f"{place.me} hello <@{place.friend.id}> &amp; all")
        await until(lambda: len(place.sockets.sent) == 2 and not unacknowledged(place))
    (message,) = heard.messages
    assert (message.text, message.addressed, message.chat) == ("hello @friend & all", True, place.chat)
    assert (message.id, message.sender.name) == (message_id(place.general.id, said.ts), "Owner")
    assert message.chat_name == place.general.id  # without channels:read nobody tells us the name


async def test_a_channel_is_called_by_its_name_when_the_app_may_know_it():
    heard = Heard()
    async with slack_world(scopes=(*BOT_SCOPES, "channels:read")) as place, running(channel_for(place, heard)):
        place.world.say(place.owner, place.general, "hi")
        await until(lambda: heard.messages)
    assert heard.messages[0].chat_name == "general"


async def test_names_that_cannot_be_had_do_not_hold_a_message_up():
    heard = Heard()
    async with slack_world(fault("users.info", status=500, nth="*")) as place, running(channel_for(place, heard)):
        place.world.say(place.owner, place.general, "hi")
        await until(lambda: heard.messages)
    assert heard.messages[0].sender.name == place.owner.id


async def test_two_apps_do_not_hear_each_other():
    nano, claw = Heard(), Heard()
    async with slack_world() as place:
        one, two = channel_for(place, nano), channel_for(place, claw, app=place.other)
        async with running(one), running(two):
            await one.send(OutboundMessage(place.chat, f"<@{place.other.user.id}> hi", "n1"))
            place.world.say(place.owner, place.general, "done")
            await until(lambda: nano.texts and claw.texts)
            await until(lambda: not unacknowledged(place))
    assert nano.texts == claw.texts == ["done"]


async def test_a_burst_keeps_its_order_in_every_chat():
    heard = Heard()
    async with slack_world() as place, running(channel_for(place, heard)):
        for n in range(50):
            place.world.say(place.owner, place.general, f"g{n}")
            place.world.say(place.owner, place.lab, f"l{n}")
        await until(lambda: len(heard.messages) == 100)
    for prefix in "gl":
        assert [text for text in heard.texts if text[0] == prefix] == [f"{prefix}{n}" for n in range(50)]


async def test_a_thread_is_a_chat_with_a_parent_and_is_answered_there():
    heard = Heard()
    async with slack_world() as place:
        channel = channel_for(place, heard)
        async with running(channel):
            root = place.world.say(place.owner, place.general, "side talk")
            place.world.say(place.friend, place.general, f"{place.me} here", thread=root.ts)
            await until(lambda: "here" in heard.texts)
            message = heard.messages[-1]
            await channel.send(OutboundMessage(message.chat, "I see", "n1"))
        answer = list(place.general.messages.values())[-1]
    assert (message.chat_kind, message.chat) == ("thread", Place(place.general.id, root.ts).chat)
    assert (message.parent, message.addressed) == (place.chat, True)
    assert (answer.text, answer.thread_ts) == ("I see", root.ts)


async def test_an_answer_to_a_message_of_ours_is_addressed():
    heard = Heard()
    async with slack_world() as place:
        channel = channel_for(place, heard)
        async with running(channel):
            sent = await channel.send(OutboundMessage(place.chat, "I am here", "n1"))
            place.world.say(place.owner, place.general, "really?", thread=sent.partition("@")[0])
            await until(lambda: heard.messages)
    assert heard.messages[0].addressed


async def test_in_a_private_channel_only_mentions_are_heard_and_a_refused_history_stops_nothing():
    heard = Heard()
    async with slack_world() as place:
        secret = place.world.add_channel("secret", place.owner, place.app.user, is_private=True)
        heard.cursors[Place(secret.id).chat] = message_id(secret.id, "1700000000.000001")
        async with running(channel_for(place, heard)):
            place.world.say(place.owner, secret, "just talking")
            place.world.say(place.owner, secret, f"{place.me} psst")
            await until(lambda: heard.messages)
    assert heard.texts == ["psst"]


async def test_an_event_that_makes_no_sense_is_put_away():
    heard = Heard()
    broken = fault("socket.event.message", "malformed", body={"type": "message", "ts": 7})
    async with slack_world(broken) as place, running(channel_for(place, heard)):
        place.world.say(place.owner, place.general, "garbled")
        place.world.say(place.owner, place.general, "clear")
        await until(lambda: heard.messages)
        await until(lambda: not unacknowledged(place))
    assert heard.texts == ["clear"]
