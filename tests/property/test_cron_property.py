"""Any sequence of looks, ends, restarts, clock jumps and changes: one run an occurrence at most, and none is lost."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from openclaw.config import CronPolicy
from openclaw.cron.models import Ended
from openclaw.cron.service import CronJobs
from openclaw.cron.store import CronRows
from openclaw.gateway import MIGRATIONS
from shared.clock import FakeClock
from shared.storage import Database

SCHEDULES = (
    {"kind": "every", "everyMs": 90_000},
    {"kind": "every", "everyMs": 420_000, "anchorMs": 0},
    {"kind": "cron", "expr": "0 * * * *"},
    {"kind": "cron", "expr": "30 2 * * *", "tz": "Europe/Berlin"},
    {"kind": "at", "at": "2026-03-29T01:10:00+00:00"},
)
START = datetime(2026, 3, 29, 0, 40, tzinfo=UTC)  # the night in which Berlin's clocks are put forward


class CronMachine(RuleBasedStateMachine):
    """Two jobs over one database file; only the file and the clock outlive a restart."""

    def __init__(self):
        super().__init__()
        self.stack = contextlib.ExitStack()
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.runner = self.stack.enter_context(asyncio.Runner())
        self.clock = FakeClock(START)
        self.policy = CronPolicy(max_errors=1000)
        self.ran = Counter()
        self.going = {}
        self.expected = {}
        self.open()

    def open(self):
        self.db = Database(self.folder / "openclaw.db", migrations=MIGRATIONS)
        self.do(self.db.open())
        self.jobs = CronJobs(self.db, self.policy, self.clock)

    def do(self, work):
        return self.runner.run(work)

    def rows(self, work):
        return self.do(self.db.read(lambda c: work(CronRows(c))))

    def teardown(self):
        for run in self.rows(lambda rows: rows.open_runs()):
            self.ran[run.run_id] += 1
            self.do(self.jobs.write(self.jobs.settling(run, Ended("ok"), [])))
        assert self.rows(lambda rows: rows.open_runs()) == []
        assert set(self.ran) == {run.run_id for run in self.rows(lambda rows: rows.runs()) if run.state != "skipped"}
        self.do(self.db.close())
        self.stack.close()

    @initialize(picked=st.lists(st.sampled_from(SCHEDULES), min_size=2, max_size=2))
    def make_jobs(self, picked):
        for schedule in picked:
            payload = {"kind": "agentTurn", "message": "m"}
            fields = {"name": "j", "schedule": schedule, "payload": payload, "deleteAfterRun": False}
            job = self.do(self.jobs.add(fields))
            self.expected[job.job_id] = job.next_at

    @rule(seconds=st.sampled_from((1, 29, 90, 600, 3600, 86_400)))
    def pass_time(self, seconds):
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from((-86_400, -3600, -61, -1, 61, 3600, 200_000)))
    def set_the_clock(self, seconds):
        self.clock.jump(seconds)

    @rule()
    def look(self):
        now = self.clock.now()
        busy = {run.job_id for run in self.rows(lambda rows: rows.open_runs())}
        claims = self.do(self.jobs.claim())
        made = {(run.job_id, run.occurrence_at) for run in self.rows(lambda rows: rows.runs() + rows.open_runs())}
        for job_id, due_at in self.expected.items():
            if due_at is not None and due_at <= now and job_id not in busy:
                assert (job_id, due_at) in made, "an occurrence was lost"
                next_at = self.rows(lambda rows, job_id=job_id: rows.job(job_id)).next_at
                assert next_at is None or next_at > now
        for run in claims.ready:
            if run.run_id not in self.going:
                self.going[run.run_id] = run
        self.note()

    @rule(state=st.sampled_from(("ok", "error")))
    def end(self, state):
        if self.going:
            run_id = min(self.going)
            run = self.going.pop(run_id)
            found = []
            self.do(self.jobs.write(self.jobs.settling(run, Ended(state), found)))
            self.ran[run_id] += len(found)
            self.note()

    @rule()
    def restart(self):
        """The process dies while runs go on; the next one finds them open."""
        self.do(self.db.close())
        self.going.clear()
        self.open()

    @rule(data=st.data(), enabled=st.booleans())
    def switch(self, data, enabled):
        job_id = data.draw(st.sampled_from(sorted(self.expected)))
        job = self.do(self.jobs.find(job_id))
        if not (enabled and job.spec.runs_once):  # its moment may be over
            self.do(self.jobs.update(job_id, {"enabled": enabled}))
        self.note()

    @rule(data=st.data())
    def by_hand(self, data):
        self.do(self.jobs.run(data.draw(st.sampled_from(sorted(self.expected)))))

    def note(self):
        for job_id in self.expected:
            self.expected[job_id] = self.do(self.jobs.find(job_id)).next_at

    @invariant()
    def an_occurrence_runs_once_and_a_job_never_beside_itself(self):
        assert max(self.ran.values(), default=0) <= 1
        open_jobs = Counter(run.job_id for run in self.rows(lambda rows: rows.open_runs()))
        assert max(open_jobs.values(), default=0) <= 1


CronMachine.TestCase.settings = settings(
    max_examples=12,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
TestCron = CronMachine.TestCase
