"""The Slack channel against the sandbox's Slack."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from gateway.sandbox.faults import Fault, FaultPlan
from gateway.sandbox.slack.limits import Rule
from gateway.sandbox.slack.models import BOT_SCOPES
from gateway.sandbox.slack.server import SlackEmulator
from gateway.sandbox.slack.sockets import Redelivery
from gateway.sandbox.slack.world import World
from shared.channels.base import Attachment, Button, ChannelHandlers, OutboundMessage, age_order
from shared.channels.inbox import Inbox
from shared.channels.live import LiveMessage
from shared.channels.outbox import Outbox
from shared.channels.slack.addresses import Place, message_id
from shared.channels.slack.channel import SlackChannel
from shared.channels.slack.make import slack_channel
from shared.channels.slack.mrkdwn import to_mrkdwn
from shared.errors import AuthRequired, ConfigError, Denied, Invalid, NotFound, RateLimited, Unavailable
from shared.lifecycle.backoff import Backoff
from shared.lifecycle.tasks import TaskPool
from shared.secrets.files import Secret
from shared.testing.channel_bed import channel_database, delivering, until


def fault(op, kind="status", **more):
    return Fault(upstream="slack", op=op, kind=kind, **more)


@asynccontextmanager
async def slack_world(*faults, scopes=BOT_SCOPES, **options):
    """#general and #lab with an owner, a friend and two apps; on loopback."""
    world = World()
    owner, friend = world.add_user("owner", real_name="Owner"), world.add_user("friend")
    app, other = world.add_app("nano", scopes=scopes), world.add_app("claw")
    everybody = (owner, friend, app.user, other.user)
    general, lab = world.add_channel("general", *everybody), world.add_channel("lab", *everybody)
    options = {"limits": {}, "redelivery": Redelivery(0.2, (0.0, 0.2, 0.2, 0.2, 0.2))} | options
    async with SlackEmulator(world, FaultPlan.of(faults), **options) as server:
        yield SimpleNamespace(
            world=world,
            server=server,
            faults=server.faults,
            sockets=server.sockets,
            owner=owner,
            friend=friend,
            app=app,
            other=other,
            general=general,
            lab=lab,
            chat=Place(general.id).chat,
            me=f"<@{app.user.id}>",
        )
        assert server.unknown_routes == []
        assert not [entry for entry in server.requests if entry.status == 400]


@dataclass
class Heard:
    messages: list = field(default_factory=list)
    changes: list = field(default_factory=list)
    cursors: dict = field(default_factory=dict)

    async def on_message(self, message):
        self.messages.append(message)
        newest = self.cursors.get(message.chat, message.id)
        self.cursors[message.chat] = max(newest, message.id, key=age_order)

    async def on_edit(self, message):
        self.changes.append((message.id, message.text))

    async def on_delete(self, chat, message):
        self.changes.append((message, None))

    async def known_chats(self):
        return dict(self.cursors)

    @property
    def texts(self):
        return [message.text for message in self.messages]

    def handlers(self, **more):
        told = {"on_edit": self.on_edit, "on_delete": self.on_delete, "known_chats": self.known_chats} | more
        return ChannelHandlers(told.pop("on_message", self.on_message), **told)


def channel_for(place, heard=None, *, handlers=None, bot_token="", app_token="", app=None):
    app = app or place.app
    return SlackChannel(
        Secret(bot_token or app.bot_token),
        Secret(app_token or app.app_token),
        handlers or (heard or Heard()).handlers(),
        api_base=place.server.api_base,
        backoff=Backoff(0.05, 0.2),
    )


@asynccontextmanager
async def running(channel, *, online=True):
    pool = TaskPool("test")
    task = pool.start(channel.run(), name="channel")
    try:
        if online:
            assert await channel.wait_online(10), channel.status
        yield task
    finally:
        await pool.close()


def said_by_app(place, channel=None):
    return place.world.texts(channel or place.general, place.app.user)


def unacknowledged(place):
    return [sent for sent in place.sockets.sent if not sent.acked.is_set()]


# --- hearing ---------------------------------------------------------------------------------------------------------


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


# --- nothing lost, nothing twice -------------------------------------------------------------------------------------


async def test_nothing_is_acknowledged_before_it_is_stored():
    heard, gate = Heard(), asyncio.Event()

    async def on_message(message):
        await gate.wait()
        await heard.on_message(message)

    async with slack_world() as place, running(channel_for(place, handlers=heard.handlers(on_message=on_message))):
        place.world.say(place.owner, place.general, "patience")
        await until(lambda: len(place.sockets.sent) >= 2)  # so long in coming that Slack sends it again
        assert not [sent for sent in place.sockets.sent if sent.acked.is_set()]
        gate.set()
        await until(lambda: [sent for sent in place.sockets.sent if sent.acked.is_set()])
    assert heard.texts == ["patience"]


async def test_an_edit_is_not_acknowledged_before_it_is_stored():
    heard, gate = Heard(), asyncio.Event()

    async def on_edit(message):
        await gate.wait()
        await heard.on_edit(message)

    async with slack_world() as place, running(channel_for(place, handlers=heard.handlers(on_edit=on_edit))):
        said = place.world.say(place.owner, place.general, "frist")
        place.world.edit(place.general, said.ts, "first")
        await until(lambda: len(place.sockets.sent) >= 3)  # the edit was sent again
        first, *edits = place.sockets.sent
        assert first.acked.is_set()
        assert not any(edit.acked.is_set() for edit in edits)
        gate.set()
        await until(lambda: any(edit.acked.is_set() for edit in place.sockets.sent[1:]))
    assert set(heard.changes) == {(message_id(place.general.id, said.ts), "first")}


async def test_a_store_that_fails_for_a_while_loses_nothing():
    heard, troubles = Heard(), [Unavailable("disk full"), Unavailable("disk full")]

    async def on_message(message):
        if troubles:
            raise troubles.pop()
        await heard.on_message(message)

    async with slack_world() as place, running(channel_for(place, handlers=heard.handlers(on_message=on_message))):
        place.world.say(place.owner, place.general, "one")
        place.world.say(place.owner, place.general, "two")
        await until(lambda: len(heard.messages) == 2)
    assert heard.texts == ["one", "two"]


@pytest.mark.parametrize("kind", ["drop_ack", "duplicate"])
async def test_what_slack_sends_again_is_taken_once(kind):
    heard = Heard()
    async with slack_world(fault("socket.event.message", kind)) as place, running(channel_for(place, heard)):
        place.world.say(place.owner, place.general, "once")
        if kind == "drop_ack":
            await until(lambda: len(place.sockets.sent) == 2 and place.sockets.sent[1].acked.is_set())
        place.world.say(place.owner, place.general, "then")
        await until(lambda: "then" in heard.texts)
    assert heard.texts == ["once", "then"]


async def test_a_refreshed_connection_misses_nothing_and_reads_no_history():
    heard = Heard()
    async with slack_world() as place:
        channel = channel_for(place, heard)
        async with running(channel):
            place.world.say(place.owner, place.general, "before")
            await until(lambda: heard.texts == ["before"])
            place.sockets.disconnect(place.app, "warning", grace_s=0.3)
            place.world.say(place.owner, place.general, "meanwhile")
            await until(lambda: channel.status.identifies == 2)
            assert channel.status.state == "online"
            await until(lambda: place.sockets.connected(place.app) == 1)
            place.world.say(place.owner, place.general, "after")
            await until(lambda: len(heard.messages) == 3)
        assert place.server.of("conversations.history") == []
    assert heard.texts == ["before", "meanwhile", "after"]


async def test_after_an_outage_everything_is_caught_up_in_order_and_once():
    heard = Heard()
    async with slack_world(redelivery=Redelivery(0.2, ())) as place:
        channel = channel_for(place, heard)
        async with running(channel):
            place.world.say(place.owner, place.general, "before")
            fresh = place.world.say(place.owner, place.general, "fresh thread")
            place.world.say(place.owner, place.general, "known", thread=fresh.ts)
            new = place.world.say(place.owner, place.general, "no thread yet")
            await until(lambda: len(heard.messages) == 4)
            place.faults.add(fault("apps.connections.open", status=503, nth=(1, 2)))
            place.sockets.cut(place.app)
            await until(lambda: not place.sockets.connected(place.app))
            place.world.say(place.owner, place.general, "missed 1")
            place.world.say(place.friend, place.general, "missed in the known thread", thread=fresh.ts)
            place.world.say(place.friend, place.general, f"{place.me} missed in a new thread", thread=new.ts)
            place.world.say(place.owner, place.general, "missed 2")
            await channel.wait_online(10)
            place.world.say(place.owner, place.general, "live")
            await until(lambda: "live" in heard.texts)
            await until(lambda: len(set(heard.texts)) == 9)
    there = [message.text for message in heard.messages if message.chat == place.chat]
    assert there == ["before", "fresh thread", "no thread yet", "missed 1", "missed 2", "live"]
    assert {m.text for m in heard.messages if m.chat_kind == "thread"} == {
        "known",
        "missed in the known thread",
        "missed in a new thread",
    }
    assert next(m for m in heard.messages if m.text == "missed in a new thread").addressed


async def test_the_inbox_has_each_message_once_whatever_is_read_again(tmp_path):
    async with slack_world() as place, channel_database(tmp_path) as (db, tables):
        inbox = Inbox(db, tables)

        async def store(message):
            await inbox.append(message)

        handlers = ChannelHandlers(store, known_chats=lambda: inbox.cursors("sl"))
        channel = channel_for(place, handlers=handlers)
        async with running(channel):
            root = place.world.say(place.owner, place.general, "0")
            for n in range(1, 5):
                place.world.say(place.owner, place.general, f"{place.me} {n}", thread=root.ts if n % 2 else "")
                place.sockets.cut(place.app)
                await until(lambda: not place.sockets.connected(place.app))
                await until(lambda: place.sockets.connected(place.app))
            await until(lambda: not unacknowledged(place) or place.sockets.sent[-1].acked.is_set())
            async with asyncio.timeout(10):
                while (await inbox.counts()).get("new") != 5:
                    await asyncio.sleep(0.01)
        cursors = await inbox.cursors("sl")
    assert set(cursors) == {place.chat, Place(place.general.id, root.ts).chat}


async def test_edits_and_deletions_by_their_authors_are_told_after_the_message():
    heard, gate = Heard(), asyncio.Event()

    async def on_message(message):
        await gate.wait()
        await heard.on_message(message)

    async with slack_world() as place:
        channel = channel_for(place, handlers=heard.handlers(on_message=on_message))
        async with running(channel):
            said = place.world.say(place.owner, place.general, "frist")
            place.world.edit(place.general, said.ts, "first")
            place.world.unfurl(place.general, said.ts)
            place.world.delete(place.general, said.ts)
            mine = await channel.send(OutboundMessage(place.chat, "mine", "n1"))
            await channel.edit(place.chat, mine, "still mine")
            await channel.delete(place.chat, mine)
            await until(lambda: sum(sent.acked.is_set() for sent in place.sockets.sent) >= 3)  # ours and the preview
            assert heard.changes == []
            gate.set()
            await until(lambda: len(heard.changes) == 3)
            root = place.world.say(place.owner, place.general, "asked")
            place.world.say(place.friend, place.general, "answered", thread=root.ts)
            place.world.delete(place.general, root.ts)
            await until(lambda: len(heard.changes) == 4)
            await until(lambda: not unacknowledged(place) or place.sockets.sent[-1].acked.is_set())
    id_ = message_id(place.general.id, said.ts)
    assert heard.changes == [(id_, "first"), (id_, None), (mine, None), (message_id(place.general.id, root.ts), None)]


async def test_a_message_is_read_again_as_it_stands_now():
    async with slack_world() as place:
        channel = channel_for(place)
        async with running(channel):
            root = place.world.say(place.owner, place.general, "asked")
            answer = place.world.say(place.friend, place.general, "answered", thread=root.ts)
            gone = place.world.say(place.owner, place.general, "oops")
            place.world.edit(place.general, root.ts, "asked anew")
            place.world.edit(place.general, answer.ts, "answered anew")
            place.world.delete(place.general, gone.ts)
            mine = await channel.send(OutboundMessage(place.chat, "mine", "n1"))
            thread = Place(place.general.id, root.ts).chat
            told = [
                await channel.reread(chat, message_id(place.general.id, ts))
                for chat, ts in ((place.chat, root.ts), (thread, answer.ts), (place.chat, gone.ts))
            ]
            assert [message and message.text for message in told] == ["asked anew", "answered anew", None]
            assert await channel.reread(place.chat, mine) is None
            place.world.delete(place.general, root.ts)
            assert await channel.reread(place.chat, message_id(place.general.id, root.ts)) is None


# --- saying ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trouble",
    [
        fault("chat.postMessage", status=503, body={"ok": False, "error": "service_unavailable"}),
        fault("chat.postMessage", status=200, body={"ok": False, "error": "internal_error"}),
        fault("chat.postMessage", "reset"),
        fault("chat.postMessage", "reset", applied=True),
        fault("chat.postMessage", "half_body"),
        fault("chat.postMessage", "malformed"),
    ],
    ids=lambda f: f"{f.kind}{f.status or ''}{'-applied' if f.applied else ''}",
)
@pytest.mark.parametrize("where", ["channel", "thread"])
async def test_every_message_is_delivered_once_whatever_happens_to_the_call(tmp_path, trouble, where):
    async with slack_world() as place:
        root = place.world.say(place.owner, place.general, "question").ts
        chat = Place(place.general.id, root if where == "thread" else "").chat
        channel = channel_for(place)
        async with channel_database(tmp_path) as (db, tables), running(channel):
            place.faults.add(trouble)
            with pytest.raises(Unavailable):
                await channel.send(OutboundMessage(chat, "probe", "probe"))
            await channel.send(OutboundMessage(chat, "probe", "probe"))
            place.faults.add(trouble)
            outbox = Outbox(db, tables, lambda _chat: channel, backoff=Backoff(0.01, 0.01))
            async with delivering(outbox):
                await outbox.post("run_1", chat, "answer")
                await outbox.deliver("run_1", timeout_s=10)
        assert said_by_app(place) == ["probe", "answer"]


@pytest.mark.parametrize("window_s", [0, 60], ids=["long-ago", "just-now"])
@pytest.mark.parametrize("where", ["channel", "thread"])
async def test_the_next_process_finds_what_the_last_one_sent_without_hearing_of_it(tmp_path, window_s, where):
    text = "same words 👍 <b> https://example.org"
    async with slack_world(fault("chat.postMessage", "stall", applied=True)) as place:
        root = place.world.say(place.owner, place.general, "question").ts
        chat = Place(place.general.id, root if where == "thread" else "").chat
        async with channel_database(tmp_path) as (db, tables):
            first = channel_for(place)
            async with running(first):
                outbox = Outbox(db, tables, lambda _chat: first)
                async with delivering(outbox):
                    await outbox.put("run_1", 0, chat=chat, text=text)
                    await until(lambda: said_by_app(place))
        async with channel_database(tmp_path) as (db, tables):
            second = channel_for(place)
            async with running(second):
                outbox = Outbox(db, tables, lambda _chat: second, nonce_window_s=window_s)
                async with delivering(outbox):
                    await outbox.put("run_2", 0, chat=chat, text=text)
                    found = await outbox.deliver("run_1", timeout_s=10)
                    other = await outbox.deliver("run_2", timeout_s=10)
        assert len(said_by_app(place)) == len(place.server.of("chat.postMessage")) == 2
        made = [m.ts for m in place.general.messages.values() if m.user is place.app.user]
        assert [message_id(place.general.id, ts) for ts in made] == [found, other]


async def test_edit_delete_and_what_is_refused():
    async with slack_world() as place:
        channel = channel_for(place)
        async with running(channel):
            id_ = await channel.send(OutboundMessage(place.chat, "draft", "n1"))
            await channel.edit(place.chat, id_, "**final**")
            assert said_by_app(place) == ["*final*"]
            with pytest.raises(Denied):
                await channel.react(place.chat, id_, "👍")  # the policy's scopes do not include it
            with pytest.raises(Denied):
                await channel.react(place.chat, id_, "🦄")
            await channel.delete(place.chat, id_)
            await channel.delete(place.chat, id_)
            with pytest.raises(NotFound):
                await channel.edit(place.chat, id_, "too late")
            with pytest.raises(Invalid):
                await channel.send(OutboundMessage(place.chat, "&" * 801, "n2"))
            with pytest.raises(Invalid):
                await channel.send(OutboundMessage(place.chat, " ", "n2"))
            with pytest.raises(NotFound):
                await channel.send(OutboundMessage("sl:C0NOWHERE", "nowhere", "n3"))
            with pytest.raises(Denied):
                await channel.edit(place.chat, message_id(place.general.id, _said(place)), "not yours")
            with pytest.raises(Denied):
                await channel.fetch_attachment(Attachment("F1", "a.png", "image/png", 1, "https://x"), 10)


def _said(place):
    return place.world.say(place.owner, place.general, "mine").ts


async def test_a_reaction_is_added_where_the_app_may():
    async with slack_world(scopes=(*BOT_SCOPES, "reactions:write")) as place:
        channel = channel_for(place)
        async with running(channel):
            id_ = message_id(place.general.id, _said(place))
            await channel.react(place.chat, id_, "👀")
            await channel.react(place.chat, id_, "👀")
        assert next(iter(place.general.messages.values())).reactions == {"eyes": [place.app.user.id]}


async def test_model_text_pings_nobody_and_buttons_become_words():
    async with slack_world() as place:
        channel = channel_for(place)
        async with running(channel):
            text = f"<!channel> <@{place.owner.id}> [here](https://example.org)"
            await channel.send(OutboundMessage(place.chat, text, "n1", buttons=(Button("y", "Yes"), Button("n", "No"))))
        (message,) = place.general.messages.values()
        assert message.mentions == set()
        assert message.text == (f"&lt;!channel&gt; &lt;@{place.owner.id}&gt; <https://example.org|here>\n`Yes` · `No`")
        (sent,) = place.server.of("chat.postMessage")
        assert (sent.body["parse"], sent.body["link_names"], sent.body["unfurl_links"]) == ("none", "false", "false")


async def test_too_many_messages_wait_as_long_as_slack_says(tmp_path):
    async with slack_world(limits={"chat.postMessage": Rule(1, 1.0, per_channel=True)}) as place:
        channel = channel_for(place)
        async with channel_database(tmp_path) as (db, tables), running(channel):
            await channel.send(OutboundMessage(place.chat, "first", "n1"))
            with pytest.raises(RateLimited) as limited:
                await channel.send(OutboundMessage(place.chat, "second", "n2"))
            assert limited.value.retry_after_s == 1
            outbox = Outbox(db, tables, lambda _chat: channel)
            async with delivering(outbox):
                await outbox.post("run_1", place.chat, "third")
                await outbox.deliver("run_1", timeout_s=10)
        assert said_by_app(place) == ["first", "third"]
        assert place.server.of("conversations.history") == []  # a refused call leaves no doubt


async def test_a_streamed_answer_ends_whole_however_much_of_it_must_be_escaped(tmp_path):
    text = "\n".join(f"line {n}: <a href='x'>&amp; more</a>" for n in range(150))
    async with slack_world() as place:
        channel = channel_for(place)
        async with channel_database(tmp_path) as (db, tables), running(channel):
            outbox = Outbox(db, tables, lambda _chat: channel)
            async with delivering(outbox), LiveMessage(outbox, "run_1", place.chat, interval_s=0.05) as live:
                for end in (10, 500, 1500, 4500):
                    live.update(text[:end])
                    await asyncio.sleep(0.1)
                for row in await live.finish(text):
                    await outbox.deliver("run_1", row.ordinal, timeout_s=20)
        parts = said_by_app(place)
        assert len(parts) > 1
        assert "\n".join(parts) == to_mrkdwn(text)


# --- failing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "kind", "words"),
    [
        ({"bot_token": "xoxb-wrong"}, AuthRequired, "SLACK_BOT_TOKEN"),
        ({"app_token": "xapp-wrong"}, AuthRequired, "SLACK_APP_TOKEN"),
    ],
    ids=["bot", "app"],
)
async def test_a_refused_token_is_final_and_says_which(spoil, kind, words):
    async with slack_world() as place:
        channel = channel_for(place, **spoil)
        async with running(channel, online=False) as task:
            await asyncio.wait_for(task, 5)
        assert channel.status.state == "failed"
        assert isinstance(channel.status.failure, kind)
        assert words in channel.status.reason
        with pytest.raises(Unavailable):
            await channel.send(OutboundMessage(place.chat, "hi", "n1"))


async def test_missing_scopes_are_final_and_named():
    async with slack_world(scopes=("chat:write", "app_mentions:read")) as place:
        channel = channel_for(place)
        async with running(channel, online=False) as task:
            await asyncio.wait_for(task, 5)
        assert isinstance(channel.status.failure, ConfigError)
        assert "channels:history, users:read" in channel.status.reason


async def test_an_app_token_without_its_scope_is_final():
    async with slack_world() as place:
        place.app.app_scopes = ()
        channel = channel_for(place)
        async with running(channel, online=False) as task:
            await asyncio.wait_for(task, 5)
        assert "connections:write" in channel.status.reason


async def test_socket_mode_switched_off_is_final():
    async with slack_world() as place:
        channel = channel_for(place)
        async with running(channel) as task:
            place.sockets.disconnect(place.app, "link_disabled")
            await asyncio.wait_for(task, 5)
        assert isinstance(channel.status.failure, ConfigError)
        assert "Socket Mode" in channel.status.reason


async def test_a_token_revoked_while_we_run_keeps_the_message_and_fails_the_channel():
    async with slack_world(fault("chat.postMessage", "token_revoked")) as place:
        channel = channel_for(place)
        async with running(channel) as task:
            with pytest.raises(Unavailable):
                await channel.send(OutboundMessage(place.chat, "hi", "n1"))
            await asyncio.wait_for(task, 5)
        assert isinstance(channel.status.failure, AuthRequired)


@pytest.mark.parametrize(
    "trouble",
    [
        fault("auth.test", status=503),
        fault("auth.test", "reset"),
        fault("apps.connections.open", status=429, headers={"Retry-After": "0"}),
        fault("apps.connections.open", "malformed"),
        fault("socket.connect", status=500),
        fault("socket.connect", "reset"),
    ],
    ids=lambda f: f"{f.op}-{f.kind}",
)
async def test_whatever_passes_is_tried_again(trouble):
    async with slack_world(trouble) as place:
        channel = channel_for(place)
        async with running(channel):
            assert channel.status.user_id == place.app.user.id


@pytest.mark.parametrize(
    ("bot", "app", "words"),
    [
        ("xoxb-1", "", "SLACK_APP_TOKEN is not"),
        ("", "xapp-1", "SLACK_BOT_TOKEN is not"),
        ("xapp-1", "xoxb-1", "SLACK_BOT_TOKEN is not a token of its kind"),
        ("xoxb-1", "xoxp-1", "begins with xapp-"),
    ],
)
def test_half_a_configuration_is_refused_in_words(bot, app, words):
    with pytest.raises(ConfigError) as refused:
        slack_channel(bot, app, {})
    assert words in refused.value.detail
    assert "-1" not in refused.value.detail


def test_without_tokens_slack_is_off():
    assert slack_channel("", "", {}) is None
