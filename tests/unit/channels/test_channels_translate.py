import json
from dataclasses import asdict, replace
from datetime import UTC, datetime

import pytest

from shared.channels.base import Attachment, ButtonPress, InboundMessage, Sender
from shared.channels.discord.translate import Facts, Me, Skipped, channel_of, chat_of, translate
from shared.errors import Invalid

ME = Me("900", "나노봇", role_id="901")
PLAIN = Facts(
    id="1",
    channel_id="7",
    channel_name="general",
    kind="guild",
    author_id="200",
    author_name="Owner",
    content="hello",
    sent_at=datetime(2026, 1, 1, tzinfo=UTC),
    guild_id="5",
)
MENTIONED = replace(PLAIN, content="<@900> hello", mentioned_users=frozenset({"900"}))


def inbound(facts, **more) -> InboundMessage:
    result = translate(facts, ME, **more)
    assert isinstance(result, InboundMessage)
    return result


def test_plain_talk_is_passed_on_but_not_addressed():
    message = inbound(PLAIN)
    assert (message.chat, message.text, message.addressed, message.guild) == ("dc:7", "hello", False, "5")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("<@900> hello", "hello"),
        ("<@!900>, hello", "hello"),
        ("  <@900>  <@900>: hello", "hello"),
        ("hello <@900>", "hello"),
        ("hello <@900>, are you there", "hello @나노봇, are you there"),
        ("<@900>", ""),
        ("<@900>안녕", "안녕"),
    ],
)
def test_the_bots_own_mention_is_taken_out(content, text):
    message = inbound(replace(MENTIONED, content=content))
    assert (message.text, message.addressed) == (text, True)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("<@900> hello", "@J hello"),
        ("<@!900>, hello", "@J hello"),
        ("hello <@900>", "@J hello"),
        ("hello <@900>, are you there", "@J hello @J, are you there"),
        ("<@&901> hello", "@J hello"),
        ("<@900>", "@J"),
        ("@J hello <@900>", "@J hello"),
        ("<@900> `<@900>` is you", "@J `<@900>` is you"),
    ],
)
def test_a_mention_anywhere_becomes_what_the_assistant_is_called(content, text):
    facts = replace(MENTIONED, content=content, mentioned_roles=frozenset({"901"}))
    message = translate(facts, replace(ME, called="J"))
    assert (message.text, message.addressed) == (text, True)


def test_a_mention_that_is_only_forwarded_calls_nobody():
    message = translate(replace(PLAIN, content="[forwarded] <@900> hello"), replace(ME, called="J"))
    assert (message.text, message.addressed) == ("[forwarded] @J hello", False)


def test_a_reply_without_a_mention_gets_no_name_in_front_and_needs_none():
    facts = replace(PLAIN, reply_author_id="900", reply_author_name="나노봇", reply_text="<@900> asked")
    message = translate(facts, replace(ME, called="J"))
    assert (message.text, message.addressed, message.reply_to) == ("hello", True, "@J asked")


@pytest.mark.parametrize("content", ["`<@900>` hello", "```\n<@900>\n```", "``<@900> ` ``", "```x\n<@&901>```\nhi"])
def test_what_stands_in_code_is_left_as_it_is_and_calls_nobody(content):
    message = translate(replace(PLAIN, content=content), replace(ME, called="J"))
    assert (message.text, message.addressed) == (content.strip(), False)


def test_a_mention_of_the_bots_role_counts():
    message = inbound(replace(PLAIN, content="<@&901> hello", mentioned_roles=frozenset({"901"})))
    assert (message.text, message.addressed) == ("hello", True)


def test_a_mention_of_another_role_does_not():
    facts = replace(PLAIN, content="<@&902> hello", mentioned_roles=frozenset({"902"}), role_names={"902": "staff"})
    message = inbound(facts)
    assert (message.text, message.addressed) == ("@staff hello", False)


def test_without_a_role_no_role_matches():
    facts = replace(PLAIN, mentioned_roles=frozenset({""}))
    result = translate(facts, Me("900", "bot"))
    assert isinstance(result, InboundMessage)
    assert not result.addressed


def test_a_reply_to_the_bot_counts_and_carries_what_it_answers():
    facts = replace(
        PLAIN, reply_author_id="900", reply_author_name="나노봇", reply_text="ask <@200>", names={"200": "Owner"}
    )
    message = inbound(facts)
    assert message.addressed
    assert (message.reply_to, message.reply_to_sender) == ("ask @Owner", "나노봇")


def test_a_reply_to_somebody_else_does_not_count():
    assert not inbound(replace(PLAIN, reply_author_id="201", reply_text="x")).addressed


def test_a_direct_message_is_always_addressed():
    message = inbound(replace(PLAIN, kind="dm", guild_id=""))
    assert (message.addressed, message.chat_kind, message.guild) == (True, "dm", "")


def test_a_thread_knows_its_parent():
    message = inbound(replace(PLAIN, kind="thread", parent_id="6", parent_name="lab"))
    assert (message.parent, message.parent_name) == ("dc:6", "lab")


def test_ids_in_the_text_become_names():
    facts = replace(
        PLAIN,
        content="<@201> see <#8> <:party:77> <a:wave:78> <@999>",
        names={"201": "Friend"},
        channel_names={"8": "lab"},
    )
    assert inbound(facts).text == "@Friend see #lab :party: :wave: @unknown-user"


def test_names_are_not_read_as_patterns():
    facts = replace(PLAIN, content="<@201> hi", names={"201": r"\1 <@900>"})
    assert inbound(facts).text == r"@\1 <@900> hi"


@pytest.mark.parametrize("change", [{"author_is_bot": True}, {"is_webhook": True}])
def test_bots_and_webhooks_are_skipped_unless_wanted(change):
    facts = replace(MENTIONED, **change)
    assert isinstance(translate(facts, ME), Skipped)
    assert inbound(facts, answer_bots=True).sender.is_bot


def test_our_own_messages_and_notices_are_always_skipped():
    assert isinstance(translate(replace(PLAIN, author_id="900"), ME, answer_bots=True), Skipped)
    assert isinstance(translate(replace(PLAIN, notice="pins_add"), ME, answer_bots=True), Skipped)
    told = translate(replace(PLAIN, notice="new_member", mentioned_users=frozenset({ME.id})), ME, notices=True)
    assert isinstance(told, InboundMessage)
    assert (told.notice, told.text, told.addressed) == ("new_member", "", False)


def test_files_come_along_also_without_text():
    file = Attachment("1", "a.txt", "text/plain", 3, "http://127.0.0.1/a.txt")
    message = inbound(replace(PLAIN, content="", attachments=(file,)))
    assert (message.text, message.attachments) == ("", (file,))


def test_addresses_go_both_ways():
    assert channel_of(chat_of(7)) == 7


@pytest.mark.parametrize("chat", ["sl:7", "dc:", "dc:x", "dc:-1", "7"])
def test_other_addresses_are_refused(chat):
    with pytest.raises(Invalid, match="not the address of a chat on Discord"):
        channel_of(chat)


def test_half_a_character_is_replaced_so_that_the_message_can_be_stored():
    message = inbound(replace(PLAIN, content="hi \ud83d there", author_name="o\udc00", channel_name="g\ud800"))
    for text in (message.text, message.sender.name, message.chat_name):
        assert "\ufffd" in text
        text.encode()


def test_half_a_character_is_replaced_wherever_a_text_came_in():
    half = "\ud83d"
    message = inbound(
        replace(
            PLAIN,
            content=half,
            parent_name=half,
            reply_text=half,
            reply_author_name=half,
            attachments=(Attachment("1", half, half, 1, f"https://cdn.example/{half}"),),
        )
    )
    press = ButtonPress(message.chat, message.id, "post:edit", Sender("1", half), half)
    assert (message.parent_name, message.reply_to_sender, message.attachments[0].name) == ("\ufffd",) * 3
    for value in (message, press):
        json.dumps(asdict(value), ensure_ascii=False, default=str).encode()
