"""Who decides about a command, once, and what an approver and a model read."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from openclaw import schema
from openclaw.approvals import store
from openclaw.approvals.card_text import buttons, card_text, changeable_words, file_text, in_code
from openclaw.approvals.decide import action_of, decide_approval, read_action, read_words
from openclaw.approvals.models import Approval, Press, Question
from openclaw.approvals.service import Approvals
from openclaw.config import ApprovalsPolicy
from openclaw.gateway import MIGRATIONS
from shared.clock import FakeClock
from shared.errors import Busy, NotFound
from shared.execpolicy.grants import Hole
from shared.storage import Database

START = datetime(2026, 1, 1, tzinfo=UTC)
QUESTION = Question(
    "echo hi", ("echo", "hi"), "/usr/bin/echo", "", {}, 60.0, "program-unlisted", "echo is not among the safe programs"
)
WAITING = Approval("apr_1", "agent:main:main", "run_1", "", QUESTION, "d", "requested", START, START + timedelta(60))
APPROVERS = ("operator", "200")
SOME_TEXT = st.text(st.characters(codec="utf-8"), max_size=3000)


def press(approver: str, answer: str, approval_id: str = "apr_1") -> Press:
    return Press(approval_id, answer, approver, "name")


@settings(deadline=None)  # timings of a busy machine say nothing
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["operator", "200", "300", ""]),
            st.sampled_from(["allow_once", "allow_always", "deny"]),
            st.integers(0, 40),
        ),
        max_size=8,
    )
)
def test_the_first_approver_in_time_decides_and_nobody_else(events):
    engine = create_engine("sqlite://")
    schema.metadata.create_all(engine)
    waiting = replace(WAITING, expires_at=START + timedelta(seconds=60))
    expected, now = "requested", START
    with engine.begin() as c:
        assert store.add(c, waiting, 10)
        for approver, answer, seconds in events:
            now += timedelta(seconds=seconds)
            ruling = decide_approval(press(approver, answer), store.get(c, "apr_1"), APPROVERS, now)
            counts = expected == "requested" and approver in APPROVERS and now < waiting.expires_at
            assert ruling.counts == counts
            # The store has the last word: even an answer that was let through can win once at most, and in time.
            won = store.settle(c, "apr_1", answer, by=approver, now=now) if approver in APPROVERS else False
            assert won == counts
            expected = answer if won else expected
        assert store.get(c, "apr_1").state == expected
        ended = store.expire(c, waiting.expires_at)
        assert [found.state for found in ended] == (["expired"] if expected == "requested" else [])
        claimed = [store.claim(c, "apr_1", now) for _ in range(2)]
        assert claimed == [expected in ("allow_once", "allow_always"), False]
    engine.dispose()


def test_a_stranger_learns_nothing_about_what_exists():
    for approval in (None, WAITING, replace(WAITING, state="deny", decided_by="owner")):
        ruling = decide_approval(press("300", "deny"), approval, APPROVERS, START)
        assert (ruling.counts, ruling.refusal) == (False, "foreign")
        assert "owner" not in ruling.reason


def test_always_is_refused_where_it_cannot_be_remembered():
    asked = replace(WAITING, question=replace(QUESTION, always="it has variables"))
    assert "it has variables" in decide_approval(press("200", "allow_always"), asked, APPROVERS, START).reason
    assert [button.label for button in buttons(asked)] == ["Allow once", "Deny"]


async def test_many_answers_at_once_have_one_winner(tmp_path: Path):
    db = Database(tmp_path / "o.db", migrations=MIGRATIONS)
    await db.open()
    clock = FakeClock()
    approvals = Approvals(db, ApprovalsPolicy(approvers=APPROVERS, max_pending=1), clock)
    told: list[str] = []
    approvals.listeners.append(lambda approval: told.append(approval.state))
    where = {"session_key": "agent:main:main", "run_id": "r", "chat": ""}
    first = await approvals.request(QUESTION, "d", **where)
    with pytest.raises(Busy, match="wait for an approval already"):
        await approvals.request(QUESTION, "d", **where)
    answers = [press(who, what, first.approval_id) for who in APPROVERS for what in ("deny", "allow_always")] * 5
    rulings = await asyncio.gather(*(approvals.press(answer) for answer in answers))
    assert sum(ruling.counts for ruling in rulings) == 1
    assert {ruling.refusal for ruling in rulings if not ruling.counts} == {"late"}
    assert len(told) == 2
    state = (await approvals.get(first.approval_id)).state
    assert len(await approvals.grants()) == (state == "allow_always"), "a grant comes with the decision, or not at all"
    await db.close()


async def test_a_grant_may_have_holes_and_can_be_taken_back(tmp_path: Path):
    db = Database(tmp_path / "o.db", migrations=MIGRATIONS)
    await db.open()
    approvals = Approvals(db, ApprovalsPolicy(approvers=APPROVERS), FakeClock())
    question = replace(QUESTION, command="curl --http3 https://api.example.org/items/1")
    asked = await approvals.request(question, "d", session_key="agent:main:main", run_id="r", chat="")
    hole = Hole(name="value2", prefix="https://api.example.org/items/")
    assert (await approvals.press(press("operator", "allow_always", asked.approval_id), [(2, hole)])).counts
    (grant,) = await approvals.grants()
    assert grant.grant["words"][2] == {"name": "value2", "prefix": "https://api.example.org/items/"}
    await approvals.use_grant(["curl", "--http3", "https://api.example.org/items/2"], "")
    assert (await approvals.grants())[0].last_used_at is not None
    await approvals.revoke(grant.grant_id)
    with pytest.raises(NotFound, match="openclaw approvals grants"):
        await approvals.revoke(grant.grant_id)
    await db.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("apr_1 allow", ("apr_1", "allow_once", ())),
        (" apr_1 Allow-Always ", ("apr_1", "allow_always", ())),
        ("apr_1 deny", ("apr_1", "deny", ())),
        ("apr_1 always 2=https://h.example/a/ 4=", ("apr_1", "allow_always", ((2, "https://h.example/a/"), (4, "")))),
        ("apr_1 maybe", None),
        ("", None),
        ("apr_1", None),
        ("apr_1 allow and more", None),
        ("apr_1 allow 2=x", None),
        ("apr_1 always two=x", None),
        ("apr_1 always " + "1=x " * 30, None),
    ],
)
def test_answers_as_text(text, expected):
    found = read_words(text)
    if expected is None:
        assert found is None
    else:
        holes = tuple((position, hole.prefix) for position, hole in found.holes)
        assert (found.approval_id, found.answer, holes) == expected


def test_a_card_says_which_words_may_be_let_change():
    command = "curl -s https://api.example.org/items/1 -H 'X-A: b' plain http://nothing"
    assert changeable_words(command) == [(2, "https://api.example.org/"), (4, ""), (5, "")]
    assert changeable_words("node -e 1 https://api.example.org/x") == []
    assert changeable_words("curl 'unclosed") == []


def test_answers_on_buttons_fit_the_platform():
    action = action_of("apr_0123456789abcdef", "allow_always")
    assert len(action) <= 97
    assert read_action(action) == ("apr_0123456789abcdef", "allow_always")
    for other in ("", "exec:", "exec:apr_1", "exec:apr_1:run", "else:apr_1:deny"):
        assert read_action(other) is None


@settings(deadline=None)
@given(SOME_TEXT, st.lists(SOME_TEXT, max_size=3), SOME_TEXT, SOME_TEXT)
def test_no_command_can_leave_its_code_block_or_grow_the_card_too_long(command, argv, reason, name):
    question = replace(QUESTION, command=command, argv=("x", *argv), reason=reason, env={name: "v"}, cwd=f"/{name}")
    asked = replace(WAITING, question=question)
    text = card_text(asked)
    assert len(text.encode("utf-16-le")) // 2 <= 2000
    assert text.count("```") == 4
    assert all(line.count("`") % 2 == 0 for line in text.replace("```", "").splitlines())
    whole = file_text(asked)
    assert in_code(command).replace("\u02cb", "`") in whole.replace("\u02cb", "`")
