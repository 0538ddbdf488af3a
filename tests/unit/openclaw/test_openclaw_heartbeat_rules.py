"""When there is a heartbeat, what of its answer is said, and when a conversation begins anew. Pure rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from openclaw.agent.policy import HeartbeatPolicy, SessionPolicy
from openclaw.heartbeat import BeatFacts, decide_beat, worth_saying
from openclaw.lanes import decide_reset, together
from openclaw.store import SessionRow

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("policy", "hour", "beats"),
    [
        ({}, 3, True),
        ({"active_from": "08:00", "active_to": "22:00"}, 7, False),
        ({"active_from": "08:00", "active_to": "22:00"}, 8, True),
        ({"active_from": "08:00", "active_to": "22:00"}, 22, False),
        ({"active_from": "22:00", "active_to": "06:00"}, 23, True),
        ({"active_from": "22:00", "active_to": "06:00"}, 12, False),
        ({"active_from": "08:00", "active_to": "22:00", "timezone": "Asia/Seoul"}, 0, True),
        ({"active_from": "08:00", "active_to": "22:00", "timezone": "Asia/Seoul"}, 14, False),
    ],
)
def test_active_hours_are_local(policy, hour, beats):
    facts = BeatFacts(NOON.replace(hour=hour), busy=False, file="look at the mail")
    assert (decide_beat(facts, HeartbeatPolicy.model_validate(policy)) == "") is beats


def test_a_busy_session_and_an_empty_file_are_left_alone():
    policy = HeartbeatPolicy()
    assert "at work" in decide_beat(BeatFacts(NOON, busy=True, file="x"), policy)
    for file in (None, "# Only a heading\n"):
        assert "asks for nothing" in decide_beat(BeatFacts(NOON, busy=False, file=file), policy)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("HEARTBEAT_OK", ""),
        ("**HEARTBEAT_OK**", ""),
        ("HEARTBEAT_OK.", ""),
        ("All quiet. HEARTBEAT_OK", ""),
        ("NO_REPLY", ""),
        ("  ", ""),
        ("The oven is on!", "The oven is on!"),
        ("HEARTBEAT_OK " + "x" * 400, "x" * 400),
        ("I will answer HEARTBEAT_OK tomorrow, not now", "I will answer HEARTBEAT_OK tomorrow, not now"),
    ],
)
def test_an_acknowledgement_is_not_said(answer, said):
    assert worth_saying(answer, 300) == said


def session(used_at: datetime) -> SessionRow:
    return SessionRow("agent:main:main", "s", "direct", "webchat", None, None, used_at, used_at)


@pytest.mark.parametrize(
    ("policy", "used_hours_ago", "anew"),
    [
        ({}, 7.9, False),
        ({}, 8.1, True),
        ({"at_hour": 13}, 20, False),
        ({"at_hour": 13}, 24, True),
        ({"timezone": "Asia/Seoul", "at_hour": 22}, 0.1, False),
        ({"timezone": "Asia/Seoul", "at_hour": 20}, 1.1, True),
        ({"reset": "idle", "idle_minutes": 60}, 0.9, False),
        ({"reset": "idle", "idle_minutes": 60}, 1, True),
        ({"reset": "off"}, 10_000, False),
    ],
)
def test_a_conversation_begins_anew_at_its_hour_or_after_a_pause(policy, used_hours_ago, anew):
    row = session(NOON - timedelta(hours=used_hours_ago))
    assert bool(decide_reset(row, SessionPolicy.model_validate(policy), NOON)) is anew


def test_what_was_left_out_is_mentioned():
    assert together(["a", "b"], []) == "a\nb"
    assert together(["a"], ["older"]).startswith("[1 earlier messages were too many")
