"""What a Slack message means, and how places and messages are named."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.channels.base import age_order
from shared.channels.slack.addresses import Place, message_id, moment_of, place_of, ts_at, ts_of
from shared.channels.slack.translate import Me, Names, Skipped, read_message, translate
from shared.errors import Invalid

ME = Me("U9", "nano", bot_id="B9", team="T1")
NAMES = Names({"U1": "Ann", "U2": "Bob"}, {"C1": "general"})
TS = "1700000000.000100"


def event(text="hello", **more):
    return {"type": "message", "channel": "C1", "user": "U1", "ts": TS, "text": text, **more}


def read(text="hello", **more):
    return translate(read_message(event(text, **more)), ME, NAMES)


def test_a_mention_is_addressed_and_readable():
    message = read("<@U9>  hello <@U2> &amp; <@U9>")
    assert (message.text, message.addressed, message.chat) == ("hello @Bob &", True, "sl:C1")
    assert (message.chat_name, message.chat_kind, message.guild) == ("general", "guild", "T1")
    assert (message.sender.id, message.sender.name) == ("U1", "Ann")
    assert (message.id, message.sent_at) == (f"{TS}@C1", moment_of(TS))
    assert read("only <@U9> in the middle").text == "only @nano in the middle"


@pytest.mark.parametrize(
    ("text", "read_as"),
    [
        ("<@U9> hello", "@J hello"),
        ("hello <@U9>", "@J hello"),
        ("what does <@U9> say", "@J what does @J say"),
        ("<@U9> @j hello", "@j hello"),
        ("<@U9>", "@J"),
        ("hello @J", "hello @J"),
    ],
)
def test_a_mention_becomes_the_assistants_name_in_front(text, read_as):
    me = replace(ME, called="J")
    assert translate(read_message(event(text)), me, NAMES).text == read_as


def test_talk_is_not_addressed():
    assert not read("hello <@U2>").addressed


def test_a_thread_is_a_chat_with_a_parent():
    message = read(thread_ts="1600000000.000001", parent_user_id="U2")
    assert (message.chat, message.parent, message.chat_kind) == ("sl:C1:1600000000.000001", "sl:C1", "thread")
    assert (message.chat_name, message.parent_name, message.addressed) == ("general thread", "general", False)
    assert read(thread_ts="1600000000.000001", parent_user_id="U9").addressed
    assert read(thread_ts=TS).chat == "sl:C1"  # what others hang on stands in the channel itself


def test_direct_messages_are_addressed():
    message = read(channel="D1")
    assert (message.chat_kind, message.chat_name, message.guild, message.addressed) == ("dm", "Ann", "", True)


@pytest.mark.parametrize(
    "more",
    [
        {"user": "U9"},
        {"user": "", "bot_id": "B9"},
        {"bot_id": "B2"},
        {"subtype": "channel_join"},
        {"user": None},
        {"subtype": "bot_message", "user": None},
    ],
)
def test_our_own_other_bots_and_notices_are_skipped(more):
    assert isinstance(read(**more), Skipped)


def test_files_come_along():
    file = {"id": "F1", "name": "a.png", "mimetype": "image/png", "size": 7, "url_private": "https://files.example/a"}
    message = read("", subtype="file_share", files=[file, "rubbish", {"id": "F2"}])
    assert [(a.id, a.name, a.size_bytes) for a in message.attachments] == [("F1", "a.png", 7), ("F2", "file", 0)]


@pytest.mark.parametrize("broken", [{"ts": None}, {"ts": "yesterday"}, {"channel": 5}, {"thread_ts": "x"}])
def test_a_message_without_its_essentials_is_refused(broken):
    with pytest.raises(Invalid):
        read_message(event(**broken))


def test_unknown_people_go_by_their_id():
    message = translate(read_message(event("<@U5> hi", user="U7")), ME, Names())
    assert (message.sender.name, message.text, message.chat_name) == ("U7", "@unknown-user hi", "C1")


def test_addresses_are_read_back():
    for place in (Place("C024BE91L"), Place("C024BE91L", TS)):
        assert place_of(place.chat) == place
    assert ts_of(message_id("C1", TS)) == TS
    assert moment_of(ts_at(datetime(2026, 3, 1, 12, 0, 0, 500, tzinfo=UTC))) == datetime(
        2026, 3, 1, 12, 0, 0, 500, tzinfo=UTC
    )


@pytest.mark.parametrize("chat", ["dc:1", "sl:1", "sl:", "sl:C1:", "sl:C1:1", "sl:C1:1700000000.000100:2", "sl:c1"])
def test_other_addresses_are_refused(chat):
    with pytest.raises(Invalid):
        place_of(chat)


@pytest.mark.parametrize("message", ["", "1", TS, f"{TS}@", "x@C1"])
def test_other_message_ids_are_refused(message):
    with pytest.raises(Invalid):
        ts_of(message)


def test_ids_are_ordered_by_age_whatever_the_channel_is_called():
    ids = [message_id("C024BE91LONG", "1700000000.000001"), message_id("C1", "1700000000.000002")]
    assert max(ids, key=age_order) == ids[1]


def test_half_a_character_is_replaced_so_that_the_message_can_be_stored():
    assert read("hi \ud83d there").text == "hi \ufffd there"


def test_half_a_character_in_names_is_replaced_too():
    names = Names({"U1": "A\ud83d"}, {"C1": "gen\ud83deral"})
    file = {
        "id": "F1",
        "name": "a\udc00.txt",
        "mimetype": "text/plain",
        "size": 1,
        "url_private": "https://f.example/1",
    }
    message = translate(read_message(event("x", thread_ts="1700000000.000001", files=[file])), ME, names)
    for text in (message.parent_name, message.chat_name, message.sender.name, message.attachments[0].name):
        assert "\ufffd" in text
        text.encode()
