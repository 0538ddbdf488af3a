"""Who gets a place and what becomes of a resting worker, decided without any worker."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.workers.places import Rest, Seat, decide_place, decide_rest
from gateway.workers.policy import WorkerPolicy

seats = st.lists(
    st.builds(
        Seat,
        worker_id=st.uuids().map(str),
        state=st.sampled_from(["starting", "busy", "idle", "paused", "stopping"]),
        is_standby=st.booleans(),
        used_at=st.floats(0, 1e6),
        memory_bytes=st.sampled_from([0, 90_000_000, 400_000_000]),
    ),
    max_size=8,
    unique_by=lambda seat: seat.worker_id,
)
policies = st.builds(WorkerPolicy, max_workers=st.integers(1, 8), standby_memory_mb=st.integers(0, 2000))


@given(seats, policies)
def test_only_a_resting_worker_is_evicted_and_only_when_all_places_are_taken(taken, policy) -> None:
    decision = decide_place(taken, policy, standby=False)
    by_id = {seat.worker_id: seat for seat in taken}
    if decision.kind == "evict":
        victim = by_id[decision.worker_id]
        assert victim.state in {"idle", "paused"}
        assert len(taken) >= policy.max_workers
        resting = [seat for seat in taken if seat.state in {"idle", "paused"}]
        if any(seat.is_standby for seat in resting):
            assert victim.is_standby
        elif any(seat.state == "paused" for seat in resting):
            assert victim.state == "paused"
        peers = [s for s in resting if (s.is_standby, s.state) == (victim.is_standby, victim.state)]
        if not victim.is_standby:
            assert victim.used_at == min(seat.used_at for seat in peers)
    assert (decision.kind == "take") == (len(taken) < policy.max_workers)
    assert decision.reason


@given(seats, policies)
def test_a_standby_worker_is_given_a_free_place_within_its_memory_or_refused(taken, policy) -> None:
    decision = decide_place(taken, policy, standby=True)
    assert decision.kind in {"take", "refuse"}
    if decision.kind == "take":
        assert len(taken) < policy.max_workers
        known = sum(seat.memory_bytes for seat in taken if seat.is_standby)
        assert known < policy.standby_memory_mb * 1024 * 1024


def rested(state, unused_s, **more) -> Rest:
    facts = {"silent_s": unused_s, "is_quiet": True, "is_ready": True} | more
    return Rest(state, unused_s, **facts)


@given(st.floats(0, 1e5), st.booleans(), st.booleans(), st.sampled_from(["starting", "stopping", "gone"]))
def test_a_worker_on_its_way_is_left_alone(unused_s, is_quiet, can_pause, state) -> None:
    assert decide_rest(rested(state, unused_s, is_quiet=is_quiet), WorkerPolicy(), can_pause=can_pause) == "keep"


def test_what_becomes_of_a_resting_worker() -> None:
    policy = WorkerPolicy(pause_after_s=10, idle_timeout_s=100)

    def rest(state, unused_s, *, can_pause=True, policy=policy, **more):
        return decide_rest(rested(state, unused_s, **more), policy, can_pause=can_pause)

    assert rest("idle", 9) == "keep"
    assert rest("idle", 10) == "pause"
    assert rest("idle", 10, is_quiet=False) == "keep"
    assert rest("idle", 10, can_pause=False) == "keep"
    assert rest("idle", 50, is_ready=False) == "keep", "its tenant is still making it ready"
    assert rest("idle", 50, silent_s=1) == "keep", "it was just asked something"
    assert rest("paused", 99) == "keep"
    assert rest("busy", 99) == "keep"
    assert {rest(state, 100, is_ready=False, silent_s=0) for state in ("idle", "paused", "busy")} == {"end"}
    assert rest("idle", 50, policy=policy.model_copy(update={"pause_after_s": 0})) == "keep"
