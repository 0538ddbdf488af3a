"""Files in and out, and what a message can be besides text, through an unmodified discord.py."""

from dataclasses import replace

import pytest
from discord_bed import Heard, channel_for, discord_world, fault

from gateway.sandbox.discord.drafts import Extras
from gateway.sandbox.discord.models import Upload
from shared.channels.base import OutboundFile
from shared.channels.outbox import Outbox
from shared.channels.text import length, split_message
from shared.errors import NotFound, Unavailable
from shared.lifecycle.backoff import Backoff
from shared.testing.channel_bed import channel_database, delivering, running
from shared.testing.waiting import until


def files_of_bot(place):
    messages = [m for m in place.world.state.messages.get(place.general, {}).values() if m.author_id == place.bot.id]
    cdn = place.world.core.cdn
    return [(m.content, [(file.filename, cdn.get(file.id)) for file in m.attachments]) for m in messages]


@pytest.mark.parametrize(
    "trouble",
    [
        None,
        fault("message.create", status=503, body={"code": 0, "message": "down"}),
        fault("message.create", "reset"),
        fault("message.create", "reset", applied=True),
        fault("message.create", "half_body", applied=True),
    ],
    ids=lambda f: "fine" if f is None else f"{f.kind}{'-applied' if f.applied else ''}",
)
@pytest.mark.parametrize("text", ["see", ""])
async def test_files_are_delivered_once_whatever_happens_to_the_call(tmp_path, trouble, text):
    sources = [tmp_path / "a", tmp_path / "b"]
    for source in sources:
        source.write_bytes(source.name.encode() * 1000)
    async with discord_world(*([trouble] if trouble else [])) as place:
        channel = channel_for(place)
        async with channel_database(tmp_path) as (db, tables), running(channel):
            spool = tmp_path / "spool"
            outbox = Outbox(db, tables, lambda _chat: channel, backoff=Backoff(0.01, 0.01), spool=spool)
            files = (OutboundFile("a.png", sources[0]), OutboundFile("보고서.txt", sources[1]))
            async with delivering(outbox):
                await outbox.post("run_1", place.chat, text, files=files)
                await outbox.deliver("run_1", timeout_s=20)
            assert list(spool.iterdir()) == []
        assert files_of_bot(place) == [(text, [("a.png", b"a" * 1000), ("보고서.txt", b"b" * 1000)])]
        sent = [seen for seen in place.server.requests if seen.op == "message.create"]
        assert sent[-1].body["enforce_nonce"] is True
        assert sent[-1].body["allowed_mentions"]["parse"] == []


async def test_twenty_five_files_and_four_thousand_characters_come_in_whole():
    heard = Heard()
    text = ("```py\nx = '👨‍👩‍👧'\n```\n🇰🇷❤️" * 200)[:3990]
    async with discord_world() as place:
        place.owner.nitro = True
        channel = channel_for(place, heard)
        async with running(channel):
            uploads = [Upload(f"{n}.txt", b"%d" % n, "text/plain") for n in range(25)]
            await place.world.say(place.owner, place.general, text, attachments=uploads)
            await until(lambda: heard.messages)
            (message,) = heard.messages
            contents = [await channel.fetch_attachment(file, 10) for file in message.attachments]
    assert message.text == text
    assert [file.name for file in message.attachments] == [f"{n}.txt" for n in range(25)]
    assert contents == [b"%d" % n for n in range(25)]
    assert all(length(part) <= 2000 for part in split_message(text))


async def test_an_expired_address_is_told_and_the_message_read_again_has_a_fresh_one():
    heard = Heard()
    async with discord_world() as place:
        channel = channel_for(place, heard)
        async with running(channel):
            await place.world.say(place.owner, place.general, "see", attachments=[Upload("a.txt", b"hello")])
            await until(lambda: heard.messages)
            (message,) = heard.messages
            (file,) = message.attachments
            with pytest.raises(NotFound, match="expired"):
                await channel.fetch_attachment(replace(file, url=file.url.replace("hm=", "hm=0")), 100)
            again = await channel.reread(message.chat, message.id)
            assert await channel.fetch_attachment(again.attachments[0], 100) == b"hello"


async def test_what_is_not_text_is_told_in_words_and_breaks_nothing():
    heard = Heard()
    async with discord_world() as place:
        channel = channel_for(place, heard)
        async with running(channel):
            say = place.world.say
            source = await say(place.friend, place.lab, "the plan", attachments=[Upload("plan.txt", b"1. go")])
            await say(place.owner, place.general, "", extras=Extras(stickers=["Wave"]))
            poll = Extras(question="Lunch?", answers=["Yes", "No"])
            await say(place.owner, place.general, f"<@{place.bot.id}> vote", extras=poll)
            await place.world.forward(place.owner, place.lab, source.id, place.general)
            await say(place.owner, place.general, "", attachments=[Upload("only.bin", b"x")])
            await say(place.owner, place.general, f"<@{place.bot.id}>")
            await until(lambda: len([m for m in heard.messages if m.chat == place.chat]) == 5)
            forwarded = next(m for m in heard.messages if m.text.startswith("[forwarded]"))
            assert await channel.fetch_attachment(forwarded.attachments[0], 100) == b"1. go"
    general = [m for m in heard.messages if m.chat == place.chat]
    assert [(m.text, m.addressed, [file.name for file in m.attachments]) for m in general] == [
        ("[Sticker: Wave]", False, []),
        ("vote\n[Poll: Lunch? — Yes / No]", True, []),
        ("[forwarded] the plan", False, ["plan.txt"]),
        ("", False, ["only.bin"]),
        ("", True, []),
    ]


async def test_a_mention_in_code_is_none_for_discord_either():
    heard = Heard()
    async with discord_world() as place, running(channel_for(place, heard, called="J")):
        await place.world.say(place.owner, place.general, f"`<@{place.bot.id}>` is an example")
        await place.world.say(place.owner, place.general, f"please <@{place.bot.id}> help")
        await until(lambda: len(heard.messages) == 2)
    assert [(m.text, m.addressed) for m in heard.messages] == [
        (f"`<@{place.bot.id}>` is an example", False),
        ("@J please @J help", True),
    ]


async def test_a_file_we_may_not_send_is_a_failure_with_its_reason(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    refusal = fault("message.create", status=413, body={"code": 40005, "message": "Request entity too large"})
    async with discord_world(refusal) as place:
        channel = channel_for(place)
        async with channel_database(tmp_path) as (db, tables), running(channel):
            outbox = Outbox(db, tables, lambda _chat: channel, spool=tmp_path / "spool")
            async with delivering(outbox):
                await outbox.post("run_1", place.chat, "", files=(OutboundFile("a", tmp_path / "a"),))
                with pytest.raises(Unavailable, match="Request entity too large"):
                    await outbox.deliver("run_1", timeout_s=20)
                row = await outbox.requeue((await outbox.dead_letters())[0].id)
                await outbox.deliver("run_1", row.ordinal, timeout_s=20)
        assert files_of_bot(place) == [("", [("a", b"x")])]
