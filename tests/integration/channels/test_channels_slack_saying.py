"""The Slack channel against the sandbox's Slack: what it says, once, and what is refused."""

import asyncio

import pytest
from slack_bed import channel_for, fault, said_by_app, slack_world

from gateway.sandbox.slack.limits import Rule
from gateway.sandbox.slack.models import BOT_SCOPES
from shared.channels.base import Attachment, Button, OutboundMessage
from shared.channels.live import LiveMessage
from shared.channels.outbox import Outbox
from shared.channels.slack.addresses import Place, message_id
from shared.channels.slack.mrkdwn import to_mrkdwn
from shared.errors import Denied, Invalid, NotFound, RateLimited, Unavailable
from shared.lifecycle.backoff import Backoff
from shared.testing.channel_bed import channel_database, delivering, running
from shared.testing.waiting import until


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
