"""Who is answered, what is kept, what is ignored; and which registrations stand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from nanoclaw.config import NanoclawPolicy
from nanoclaw.groups import Group, GroupRegistry, check_new_group, decide_trigger, folder_for, home_of
from shared.channels.base import Attachment, InboundMessage, Sender
from shared.errors import Conflict, Invalid, NotFound

ON_MENTION = NanoclawPolicy.model_validate({"chats": {"register": "on_mention"}})
LAB = Group("lab", "dc:1", "Lab")
MAIN = Group("main", "dc:1", "Main", is_main=True, requires_trigger=False)


def message(text="hi", *, addressed=False, kind="guild", is_bot=False, sender="u1", **more):
    return InboundMessage(
        chat="dc:1",
        chat_name="Lab #general",
        chat_kind=kind,
        id="5",
        sender=Sender(sender, "ann", is_bot=is_bot),
        text=text,
        addressed=addressed,
        sent_at=datetime(2026, 1, 1, tzinfo=UTC),
        **more,
    )


@pytest.mark.parametrize(
    ("given", "group", "policy", "kind"),
    [
        (message(addressed=True), LAB, NanoclawPolicy(), "answer"),
        (message("@J hello"), LAB, NanoclawPolicy(), "answer"),
        (message("  @j, hello"), LAB, NanoclawPolicy(), "answer"),
        (message("@J야 안녕"), LAB, NanoclawPolicy(), "answer"),
        (message("@James hello"), LAB, NanoclawPolicy(), "context"),
        (message("hello @J"), LAB, NanoclawPolicy(), "context"),
        (message("```\n@J hello\n```"), LAB, NanoclawPolicy(trigger_pattern="@J"), "context"),
        (message("see `@J hello`"), LAB, NanoclawPolicy(trigger_pattern="@J"), "context"),
        (message("@J explain ```x```"), LAB, NanoclawPolicy(), "answer"),
        (message("```x``` @J explain"), LAB, NanoclawPolicy(), "context"),
        (message("@J hello", reply_to="quoted", reply_to_sender="bob"), LAB, NanoclawPolicy(), "answer"),
        (message("bob: hello", reply_to="@J hello", reply_to_sender="bob"), LAB, NanoclawPolicy(), "context"),
        (message("hello"), LAB, NanoclawPolicy(), "context"),
        (message("hello"), MAIN, NanoclawPolicy(), "answer"),
        (message(""), MAIN, NanoclawPolicy(), "context"),
        (message("", attachments=(Attachment("1", "a.png", "image/png", 1, "u"),)), MAIN, NanoclawPolicy(), "answer"),
        (message(kind="dm"), LAB, NanoclawPolicy(), "answer"),
        (message(addressed=True, is_bot=True), LAB, NanoclawPolicy(), "ignore"),
        (message(addressed=True), None, NanoclawPolicy(), "ignore"),
        (message(kind="dm"), None, NanoclawPolicy(), "ignore"),
        (message(addressed=True), None, ON_MENTION, "register"),
        (message(kind="dm"), None, ON_MENTION, "register"),
        (message("hello"), None, ON_MENTION, "ignore"),
        (message(kind="dm", sender="boss"), None, NanoclawPolicy(chats={"owner_ids": ["boss"]}), "register"),
        (message(addressed=True, sender="boss"), None, NanoclawPolicy(chats={"owner_ids": ["boss"]}), "ignore"),
    ],
)
def test_what_happens_to_a_message_and_that_there_is_a_reason(given, group, policy, kind):
    decision = decide_trigger(given, group, policy)
    assert decision.kind == kind
    assert decision.reason


@pytest.mark.parametrize("text", ["@나노봇 안녕", "@나노봇아 안녕", "@나노봇, 안녕", "@나노봇"])
def test_a_korean_name_is_a_trigger_with_and_without_a_particle(text):
    policy = NanoclawPolicy(assistant_name="나노봇")
    assert decide_trigger(message(text), LAB, policy).kind == "answer"


def test_a_groups_own_pattern_replaces_the_assistants():
    group = Group("lab", "dc:1", "Lab", trigger_pattern=r"^hey\b")
    assert decide_trigger(message("Hey you"), group, NanoclawPolicy()).kind == "answer"
    assert decide_trigger(message("@J you"), group, NanoclawPolicy()).kind == "context"


def test_a_folder_name_is_readable_free_and_never_a_special_one():
    assert folder_for(message(kind="dm"), set()) == "dm-ann"
    first = folder_for(message(), set())
    second = folder_for(message(), {first})
    assert first.startswith("lab-general")
    assert second not in {first, "main", "global"}
    main = InboundMessage("dc:3", "main", "guild", "1", Sender("u", "u"), "x", True, datetime(2026, 1, 1, tzinfo=UTC))
    assert folder_for(main, set()) != "main"


@pytest.mark.parametrize(
    ("group", "error"),
    [
        (Group("../etc", "dc:2", ""), Invalid),
        (Group("global", "dc:2", ""), Invalid),
        (Group("main", "dc:2", ""), Invalid),
        (Group("x", "dc:2", "", is_main=True), Invalid),
        (Group("x", "nowhere", ""), Invalid),
        (Group("x", "dc:2", "", trigger_pattern="("), Invalid),
        (Group("x", "dc:1", ""), Conflict),
        (Group("lab", "dc:2", ""), Conflict),
    ],
)
def test_a_registration_that_cannot_stand_is_refused(group, error):
    with pytest.raises(error):
        check_new_group(group, [LAB])


def test_the_registry_finds_by_folder_and_chat_and_lists_main_first():
    registry = GroupRegistry([Group("abc", "dc:2", ""), Group("main", "dc:3", "", is_main=True)])
    assert [group.folder for group in registry] == ["main", "abc"]
    assert registry.find("dc:2") is registry.find("abc")
    with pytest.raises(NotFound, match="groups list"):
        registry.find("nothing")


THREAD = message("@J hi", kind="thread", parent="dc:6", parent_name="lab")


def test_a_thread_belongs_to_the_group_of_its_channel_unless_it_has_its_own():
    channel, own = Group("lab", "dc:6", "lab"), Group("side", "dc:1", "side talk")
    registry = GroupRegistry([channel])
    assert registry.of_chat(THREAD.chat, THREAD.parent) is channel
    assert registry.lane_of(THREAD.chat, THREAD.parent) == "dc:6"
    registry.put(own)
    assert registry.of_chat(THREAD.chat, THREAD.parent) is own
    assert registry.lane_of(THREAD.chat, THREAD.parent) == "dc:1"
    assert registry.of_chat("dc:9") is None
    assert registry.lane_of("dc:9") == "dc:9"


def test_a_thread_that_registers_itself_registers_its_channel():
    assert decide_trigger(THREAD, None, ON_MENTION).kind == "register"
    assert home_of(THREAD) == ("dc:6", "lab")
    assert folder_for(THREAD, set()) == "lab"
    assert home_of(message()) == ("dc:1", "Lab #general")
