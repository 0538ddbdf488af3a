"""Which groups' agents are started ahead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from nanoclaw.agent.base import LiveWorker
from nanoclaw.groups import Group
from nanoclaw.standby import StandbyLimits, decide_standby

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIMITS = StandbyLimits(standby=2, places=5, recent=timedelta(hours=6))


def ago(**values: float) -> datetime:
    return NOW - timedelta(**values)


def a_group(folder: str, **more) -> Group:
    return Group(folder, f"dc:{folder}", folder, is_main=folder == "main", **more)


GROUPS = [a_group(name) for name in ("main", "a", "b", "c")]


def test_the_last_to_speak_come_first_and_main_is_always_in_line() -> None:
    active = {"a": ago(hours=1), "b": ago(minutes=1), "c": ago(hours=7)}
    assert decide_standby(GROUPS, active, [], LIMITS, NOW) == ["b", "a"]
    assert decide_standby(GROUPS, {"b": ago(minutes=1)}, [], LIMITS, NOW) == ["b", "main"]
    assert decide_standby(GROUPS, {}, [], LIMITS, NOW) == ["main"]
    assert decide_standby(GROUPS, active | {"main": ago(seconds=1)}, [], LIMITS, NOW) == ["main", "b"]


def test_a_group_that_has_its_worker_needs_none_and_one_place_stays_free() -> None:
    active = {"a": ago(hours=1), "b": ago(minutes=1)}
    live = [LiveWorker("b")]
    assert decide_standby(GROUPS, active, live, LIMITS, NOW) == ["a", "main"]
    assert decide_standby(GROUPS, active, [*live, LiveWorker("main", is_standby=True)], LIMITS, NOW) == ["a"]
    three = [LiveWorker("x"), LiveWorker("y"), LiveWorker("z")]
    assert decide_standby(GROUPS, active, three, LIMITS, NOW) == ["b"]
    assert decide_standby(GROUPS, active, [*three, LiveWorker("w")], LIMITS, NOW) == []
    assert decide_standby(GROUPS, active, [], StandbyLimits(2, 1, timedelta(hours=6)), NOW) == []


def test_an_isolated_runs_worker_is_not_the_groups_own_and_light_groups_never_need_one() -> None:
    active = {"a": ago(minutes=1)}
    assert decide_standby(GROUPS, active, [LiveWorker("a", is_isolated=True)], LIMITS, NOW) == ["a", "main"]
    groups = [a_group("a", route="light")]
    assert decide_standby(groups, active, [], LIMITS, NOW) == []


@given(
    st.dictionaries(st.sampled_from(["main", "a", "b", "c", "d", "e"]), st.integers(0, 100_000)),
    st.lists(st.builds(LiveWorker, st.sampled_from(["main", "a", "b", "x"]), st.booleans(), st.booleans()), max_size=6),
    st.integers(0, 6),
    st.integers(0, 8),
)
def test_never_more_than_there_is_room_for_nor_for_a_group_that_is_ready(active, live, standby, places) -> None:
    groups = [a_group(folder) for folder in ["main", "a", "b", "c", "d", "e"]]
    last = {folder: ago(seconds=seconds) for folder, seconds in active.items()}
    wanted = decide_standby(groups, last, live, StandbyLimits(standby, places, timedelta(hours=6)), NOW)
    assert len(wanted) == len(set(wanted))
    assert not wanted or len(wanted) + len(live) < places
    assert not wanted or len(wanted) + sum(w.is_standby for w in live) <= standby
    assert not set(wanted) & {w.folder for w in live}
    assert all(folder == "main" or now_s <= 21_600 for folder in wanted for now_s in [active.get(folder, 0)])
