"""Any sequence of looks, answers, restarts, clock jumps and pauses: at most one run an occurrence, and none is lost."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from nanoclaw.tasks.models import OPERATOR
from shared.clock import FakeClock
from shared.schedule import next_after
from tests.support.tasks_bed import CLUB, LAB, START, a_bed

SCHEDULES = (("interval", "7m"), ("cron", "*/10 * * * *"), ("cron", "30 9 * * *"), ("interval", "90s"))


class TaskMachine(RuleBasedStateMachine):
    """Two tasks of two groups over one database file; only the file and the clock outlive a restart."""

    def __init__(self):
        super().__init__()
        self.stack = contextlib.ExitStack()
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.runner = self.stack.enter_context(asyncio.Runner())
        self.clock = FakeClock(START)
        self.expected = {}
        self.answered = Counter()
        self.claimed = {}
        self.open_bed()

    def open_bed(self):
        self.context = a_bed(self.folder, clock=self.clock)
        self.bed = self.do(self.context.__aenter__())

    def do(self, work):
        return self.runner.run(work)

    def teardown(self):
        self.everything_that_was_claimed_gets_its_answer()
        self.do(self.context.__aexit__(None, None, None))
        self.stack.close()

    def everything_that_was_claimed_gets_its_answer(self):
        self.restart()
        for chat in (LAB.chat, CLUB.chat):
            while self.do(self.bed.inbox.is_open(chat)):
                self.begin(chat)
                self.end(chat)
        self.look()
        for run in self.do(self.bed.runs()):
            if run.state == "ok":
                assert self.answered[run.message_id] == 1, run
            else:
                # The last look may have claimed what came due meanwhile.
                assert run.state == "withdrawn" or run.claimed_at == self.clock.now(), run
                assert self.answered[run.message_id] == 0

    @initialize(first=st.sampled_from(SCHEDULES), second=st.sampled_from(SCHEDULES))
    def make_tasks(self, first, second):
        for group, (kind, value) in ((LAB, first), (CLUB, second)):
            task = self.do(self.bed.add(group, schedule_kind=kind, schedule_value=value, missed="run_once"))
            self.expected[task.id] = task.next_at

    # --- time --------------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from((1, 29, 90, 600, 3600, 86_400)))
    def pass_time(self, seconds):
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from((-86_400, -3600, -61, -1, 61, 3600, 200_000)))
    def set_the_clock(self, seconds):
        self.clock.jump(seconds)

    @rule()
    def look(self):
        """What the due loop does when it wakes."""
        now = self.clock.now()
        busy = self.tasks_with_an_unanswered_prompt()
        self.do(self.bed.tick())
        made = {(run.task_id, run.scheduled_at) for run in self.do(self.bed.runs())}
        for task_id, expected in self.expected.items():
            if expected is None or expected > now or task_id in busy:
                continue
            assert (task_id, expected) in made, "an occurrence was lost"
            task = self.do(self.bed.task(task_id))
            assert task.next_at == next_after(task.schedule, now)
            self.expected[task_id] = task.next_at

    def tasks_with_an_unanswered_prompt(self):
        async def look():
            items = [(run, await self.bed.inbox.find(run.chat, run.message_id)) for run in await self.bed.runs()]
            return {run.task_id for run, item in items if item.state in {"new", "claimed"}}

        return self.do(look())

    # --- lanes -------------------------------------------------------------------------------------------------------

    @rule(chat=st.sampled_from((LAB.chat, CLUB.chat)))
    def begin(self, chat):
        if chat not in self.claimed and (items := self.do(self.bed.inbox.claim(chat))):
            assert len(items) == 1
            self.claimed[chat] = items[0]

    @rule(chat=st.sampled_from((LAB.chat, CLUB.chat)))
    def end(self, chat):
        if item := self.claimed.pop(chat, None):
            self.do(self.bed.inbox.finish([item.id], run_id="run_1"))
            self.answered[item.message.id] += 1

    # --- people and machines -----------------------------------------------------------------------------------------

    @rule()
    def restart(self):
        self.do(self.context.__aexit__(None, None, None))
        self.claimed.clear()
        self.open_bed()
        self.do(self.bed.inbox.reset_claims())

    @precondition(lambda self: self.expected)
    @rule(data=st.data())
    def pause(self, data):
        task_id = data.draw(st.sampled_from(sorted(self.expected)))
        self.do(self.bed.tasks.pause(OPERATOR, task_id))
        self.expected[task_id] = None

    @precondition(lambda self: self.expected)
    @rule(data=st.data())
    def resume(self, data):
        task_id = data.draw(st.sampled_from(sorted(self.expected)))
        was_paused = self.expected[task_id] is None
        task = self.do(self.bed.tasks.resume(OPERATOR, task_id))
        if was_paused:
            assert task.next_at > self.clock.now(), "an old time would fire at once"
            self.expected[task_id] = task.next_at

    @invariant()
    def each_occurrence_has_at_most_one_run_and_one_prompt(self):
        runs = self.do(self.bed.runs())
        assert len({(run.task_id, run.scheduled_at) for run in runs}) == len(runs)
        assert sum(self.do(self.bed.inbox.counts()).values()) == len(runs)
        assert max(self.answered.values(), default=0) <= 1
        for task_id in self.expected:
            assert sum(run.task_id == task_id and run.state == "open" for run in runs) <= 1


TestTaskMachine = TaskMachine.TestCase
TestTaskMachine.settings = settings(
    max_examples=15,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a step is a disk write: shrinking would take minutes
)
