"""Who is answered on Discord, and what is recorded for everybody else."""

from __future__ import annotations

import pytest

from openclaw.config import DiscordPolicy
from openclaw.discord_policy import decide_discord
from openclaw.runs import Outcome
from openclaw.sessions import discord_session
from openclaw.wording import prompt_text, reply_of
from shared.channels.base import Attachment, InboundMessage, Sender
from shared.clock import FakeClock

AT = FakeClock().now()
OWNER, OTHER = Sender("1", "owner"), Sender("2", "other")


def message(**fields):
    base = {
        "chat": "dc:10",
        "chat_name": "general",
        "chat_kind": "guild",
        "id": "100",
        "sender": OWNER,
        "text": "hi",
        "addressed": True,
        "sent_at": AT,
        "guild": "7",
    }
    return InboundMessage(**(base | fields))


def policy(**fields):
    return DiscordPolicy.model_validate(fields)


GUILD = {"guilds": {"7": {"users": ["1"], "channels": ["10"]}}}
DM = {"chat_kind": "dm", "guild": ""}


@pytest.mark.parametrize(
    ("fields", "rules", "kind"),
    [
        ({}, GUILD, "answer"),
        ({"addressed": False}, GUILD, "context"),
        ({"addressed": False}, {"guilds": {"7": {"require_mention": False}}}, "answer"),
        ({"sender": OTHER}, GUILD, "ignore"),
        ({"sender": OTHER, "addressed": False}, GUILD, "ignore"),
        ({"chat": "dc:11"}, GUILD, "ignore"),
        ({"chat": "dc:99", "chat_kind": "thread", "parent": "dc:10"}, GUILD, "answer"),
        ({"guild": "8"}, GUILD, "ignore"),
        ({"guild": "8"}, {"group_policy": "open"}, "answer"),
        ({"guild": "8", "addressed": False}, {"group_policy": "open", "require_mention": False}, "answer"),
        ({}, {"group_policy": "disabled"}, "ignore"),
        ({"sender": Sender("3", "bot", is_bot=True)}, {"group_policy": "open"}, "ignore"),
        ({"text": "  "}, GUILD, "ignore"),
        ({"text": "", "notice": "pins_add"}, GUILD, "ignore"),
        (DM | {"text": "", "notice": "call"}, {}, "ignore"),
        ({"text": "", "attachments": (Attachment("1", "a", "b", 1, "u"),)}, GUILD, "answer"),
        (DM, {}, "pair"),
        (DM | {"sender": Sender("5", "paired")}, {}, "answer"),
        (DM, {"allow_from": ["1"]}, "answer"),
        (DM, {"dm_policy": "allowlist"}, "ignore"),
        (DM | {"sender": Sender("5", "paired")}, {"dm_policy": "allowlist"}, "ignore"),
        (DM, {"dm_policy": "open"}, "answer"),
        (DM, {"dm_policy": "disabled", "allow_from": ["1"]}, "ignore"),
        ({"sender": Sender("5", "paired")}, GUILD, "ignore"),
    ],
)
def test_every_message_gets_a_decision_and_a_reason(fields, rules, kind):
    decision = decide_discord(message(**fields), policy(**rules), {"5"})
    assert decision.kind == kind
    assert decision.reason


def test_sessions_of_chats():
    assert discord_session("dc:10", "guild") == "agent:main:discord:channel:10"
    assert discord_session("dc:10", "thread") == "agent:main:discord:channel:10"
    assert discord_session("dc:10", "dm") == "agent:main:main"


def test_the_model_sees_senders_in_guilds_and_plain_words_in_direct_messages():
    assert prompt_text([message(**DM), message(text="there", **DM)], []) == "hi\nthere"
    text = prompt_text([message()], [message(sender=OTHER, text="before")])
    assert text.index("other: before") < text.index("owner: hi")
    assert "[in reply to other: old]" in prompt_text([message(reply_to="old", reply_to_sender="other")], [])


@pytest.mark.parametrize(
    ("outcome", "said", "reason"),
    [
        (Outcome("ok", "fine"), "fine", "answered"),
        (Outcome("ok", "NO_REPLY"), "", "the agent chose not to answer"),
        (Outcome("ok", " "), "", "the agent chose not to answer"),
        (Outcome("aborted", "half"), "half", "stopped"),
        (
            Outcome("error", error="it broke (run x)"),
            "Sorry, I could not answer: it broke (run x)",
            "answered with an error",
        ),
    ],
)
def test_what_is_said_for_an_outcome(outcome, said, reason):
    assert reply_of(outcome) == (said, reason)
