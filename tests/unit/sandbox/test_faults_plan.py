"""A fault plan strikes exactly the calls it names, and a wrong plan says where it is wrong."""

from pathlib import Path
from typing import get_args

import pytest

from gateway.sandbox.discord import rest_interactions, rest_messages, rest_places
from gateway.sandbox.faults import Fault, FaultPlan, Kind, parse_fault
from shared.errors import ConfigError, Invalid


def fault(**fields) -> Fault:
    return Fault(**{"upstream": "discord", "op": "message.create", "kind": "reset"} | fields)


def struck(plan: FaultPlan, times: int, op: str = "message.create", upstream: str = "discord") -> list[int]:
    return [n for n in range(1, times + 1) if plan.take(upstream, op) is not None]


@pytest.mark.parametrize(
    ("nth", "calls"),
    [(1, [1]), (3, [3]), ((2, 4), [2, 4]), ("*", [1, 2, 3, 4, 5])],
    ids=["first", "third", "two", "all"],
)
def test_it_strikes_the_calls_it_names(nth, calls):
    assert struck(FaultPlan.of([fault(nth=nth)]), 5) == calls


def test_other_calls_and_other_upstreams_are_left_alone():
    plan = FaultPlan.of([fault(nth="*")])
    assert struck(plan, 2, op="message.edit") == []
    assert struck(plan, 2, upstream="claude") == []


def test_a_wildcard_covers_a_family_of_calls():
    plan = FaultPlan.of([fault(op="message.*", nth=2)])
    assert plan.take("discord", "message.edit") is None
    assert plan.take("discord", "message.create") is not None


def test_counting_begins_when_the_fault_is_queued():
    plan = FaultPlan()
    struck(plan, 5)
    plan.add(fault(nth=1))
    assert struck(plan, 2) == [1]


def test_of_two_faults_on_one_call_the_earlier_queued_strikes():
    plan = FaultPlan.of([fault(kind="stall"), fault(kind="reset")])
    first = plan.take("discord", "message.create")
    assert first is not None
    assert first.kind == "stall"
    assert plan.take("discord", "message.create") is None


def test_what_fired_and_what_is_still_to_come_can_be_seen():
    plan = FaultPlan.of([fault(nth=1), fault(nth=3), fault(nth="*", op="typing")])
    plan.take("discord", "message.create")
    assert [(f.op, f.count) for f in plan.fired] == [("message.create", 1)]
    assert [f.nth for f in plan.queued] == [3, "*"]
    assert plan.calls == {("discord", "message.create"): 1}
    assert plan.clear() == 3
    assert plan.queued == []


def test_a_file_is_read_line_by_line(tmp_path):
    path = tmp_path / "plan.jsonl"
    path.write_text(
        "# two lost answers\n\n"
        '{"upstream": "discord", "op": "message.create", "nth": [1, 2], "applied": true, "kind": "reset"}\n'
        '{"upstream": "claude", "op": "messages", "kind": "status", "status": 429, "headers": {"Retry-After": "2"}}\n'
    )
    plan = FaultPlan.load(path)
    assert [(f.upstream, f.nth, f.applied, f.status) for f in plan.queued] == [
        ("discord", (1, 2), True, None),
        ("claude", 1, False, 429),
    ]


def test_every_wrong_line_is_named_at_once(tmp_path):
    path = tmp_path / "plan.jsonl"
    path.write_text('{"upstream": "discord"}\n{"upstream":"discord","op":"typing","kind":"reset"}\nnot json\n')
    with pytest.raises(ConfigError) as refused:
        FaultPlan.load(path)
    assert f"{path}:1: not a fault (op: Field required)" in refused.value.detail
    assert f"{path}:3:" in refused.value.detail
    assert f"{path}:2:" not in refused.value.detail


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="nowhere"):
        FaultPlan.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ('{"upstream":"discord","op":"typing","kind":"explode"}', "kind"),
        ('{"upstream":"discord","op":"typing","kind":"reset","when":"now"}', "when"),
        ('{"upstream":"discord","op":"typing","kind":"reset","nth":0}', "nth"),
        ('{"upstream":"Discord!","op":"typing","kind":"reset"}', "upstream"),
    ],
)
def test_a_wrong_field_is_named(line, field):
    with pytest.raises(Invalid, match=rf"\({field}"):
        parse_fault(line)


def test_parameters_have_defaults():
    assert fault(kind="stall").seconds == 3600
    assert fault(kind="stall", body={"seconds": 0.5}).seconds == 0.5
    assert fault(kind="invalid_session").flag("resumable") is False
    assert fault(body={"a": 1}).payload() == (b'{"a": 1}', "application/json")
    assert fault(body="<html>").payload() == (b"<html>", "text/html")
    assert fault().payload() is None


def test_every_kind_and_every_discord_operation_is_documented():
    text = (Path(__file__).parents[3] / "docs" / "sandbox-faults.md").read_text()
    routes = [*rest_places.ROUTES, *rest_messages.ROUTES, *rest_interactions.ROUTES]
    names = {route.op for route in routes} | set(get_args(Kind))
    assert {name for name in names if f"`{name}`" not in text} == set()
