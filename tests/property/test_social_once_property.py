"""Any order of requests, faults, deaths, holds and commands: what is online is what the states say."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.social.models import DROPPED, Job
from gateway.social.runner import LEASE
from shared.errors import GatewayError
from tests.support.social_bed import OPEN, post, settle, social_bed
from tests.support.social_kills import Guillotine, Killed, rig
from tests.support.social_seeds import name_of, request

FAULTS = st.sampled_from(
    [
        {"kind": "reset"},
        {"kind": "edge_page", "status": 502},
        {"kind": "status", "status": 400, "body": {"error": {"code": 1}}},
        {"kind": "status", "status": 400, "body": {"error": {"code": 4, "error_subcode": 2207051}}},
    ]
)
REFUSALS = st.sampled_from([(24, 4279009), (190, 463), (9, 2207042), (4, 0), (10, 0)])
ASK = {**OPEN, "mode": "approval"}
POLICY = {"tenants": {"nanoclaw": {"threads": ASK, "instagram": ASK}}}
KINDS = ("text", "image", "video", "carousel", "reel", "story")
"""A request's number chooses: the same request again is the same post."""


def allow(error: GatewayError, *codes: str) -> None:
    """A command may come too late; anything else is a defect."""
    if error.code not in codes:
        raise error


def name_of_job(job: Job) -> str:
    """As `name_of` names its post."""
    return job.content.text or job.content.media[0].url.rpartition("/")[2].removesuffix(".mp4").replace("-", " ")


class Publications(RuleBasedStateMachine):
    """A service on one database file in an emulated world."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.folder = tempfile.TemporaryDirectory()
        self.requests = 0
        self.run(self._begin())

    def run(self, work):
        return self.loop.run(work)

    async def _begin(self) -> None:
        self.bed = await self.stack.enter_async_context(social_bed(Path(self.folder.name)))
        self.social = await self.bed.service(POLICY)

    def teardown(self) -> None:
        self.run(self._finish())
        self.loop.close()
        self.folder.cleanup()

    async def _finish(self) -> None:
        """In the end everything is settled, and what is unknown is in front of a person."""
        self.bed.meta.faults.clear()
        await self.social.release()
        await self._restart()
        await settle(self.social, self.bed.clock, most_s=2 * 86400)
        for job in await self.social.store.jobs(limit=500):
            assert job.state in {"published", "needs_attention", "deleted", *DROPPED}, job
        await self._check()
        await self.stack.aclose()

    async def _restart(self) -> None:
        self.social = await self.bed.service()
        self.bed.clock.advance(LEASE.total_seconds() + 1)

    @rule(again=st.booleans(), approve=st.booleans())
    def submit(self, again: bool, approve: bool) -> None:
        async def work() -> None:
            self.requests += 0 if again and self.requests else 1
            number = self.requests
            kind = KINDS[number % len(KINDS)]
            network = "instagram" if kind in {"reel", "story"} else "threads"
            wanted = request(self.bed, kind, network, f"post {number}", idempotency_key=f"key{number}")
            try:
                info = await post(self.social, wanted)
                if approve and info.state == "awaiting_approval":
                    await self.social.approve(info.id, by="owner")
            except GatewayError as error:
                allow(error, "duplicate_content", "social.expired")

        self.run(work())

    @rule(seconds=st.sampled_from([1, 10, 45, 400, 90_000]))
    def pass_time(self, seconds: int) -> None:
        self.run(settle(self.social, self.bed.clock, most_s=seconds))

    @rule(
        op=st.sampled_from(["publish", "publish", "create", "status", "list", "delete"]),
        fault=FAULTS,
        applied=st.booleans(),
        upstream=st.sampled_from(["threads", "threads", "instagram"]),
    )
    def break_a_call(self, op: str, fault: dict, applied: bool, upstream: str) -> None:
        self.bed.fault(op, applied=applied, upstream=upstream, **fault)

    @rule(refusal=REFUSALS)
    def refuse_a_publish(self, refusal: tuple[int, int]) -> None:
        self.bed.graph_fault("publish", *refusal)

    @rule(at=st.integers(1, 60))
    def die_and_start(self, at: int) -> None:
        async def work() -> None:
            rigged = rig(await self.bed.service(), Guillotine(at))
            self.bed.clock.advance(LEASE.total_seconds() + 1)
            with suppress(Killed):
                await settle(rigged, self.bed.clock, most_s=120)
            await self._restart()

        self.run(work())

    @rule(held=st.booleans())
    def hold(self, held: bool) -> None:
        self.run(self.social.hold(by="owner") if held else self.social.release())

    @rule(pick=st.integers(0, 9), what=st.sampled_from(["cancel", "retry", "approve", "resolve", "delete"]))
    def command(self, pick: int, what: str) -> None:
        async def work() -> None:
            jobs = await self.social.store.jobs(limit=500)
            if not jobs:
                return
            job = jobs[pick % len(jobs)]
            try:
                match what:
                    case "cancel":
                        await self.social.cancel(job.id, by="owner")
                    case "retry":
                        await self.social.retry(job.id)
                    case "approve":
                        await self.social.approve(job.id, by="owner")
                    case "delete":
                        await self.social.delete(job.id, by="owner")
                    case _:
                        # The person looks before answering.
                        await self.social.resolve(job.id, posted=self._online(job) > 0, by="owner")
            except GatewayError as error:
                allow(error, "social.state", "social.expired", "duplicate_content", "permission_missing")

        self.run(work())

    def _online(self, job: Job) -> int:
        return self._live()[name_of_job(job)]

    def _live(self) -> Counter[str]:
        return Counter(name_of(item) for item in self.bed.meta.posts.live)

    @invariant()
    def states_tell_the_truth(self) -> None:
        self.run(self._check())

    async def _check(self) -> None:
        by_text: dict[str, list[Job]] = {}
        for job in await self.social.store.jobs(limit=500):
            by_text.setdefault(name_of_job(job), []).append(job)
        for text, jobs in by_text.items():
            online = self._live()[text]
            published = sum(job.state == "published" for job in jobs)
            doubtful = sum(job.state in {"publishing", "needs_attention", "deleting"} for job in jobs)
            assert published <= online <= published + doubtful, (text, online, [(j.state, j.detail) for j in jobs])
            assert online <= 1, (text, [(j.state, j.detail) for j in jobs])


Publications.TestCase.settings = settings(
    max_examples=12,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestPublications = Publications.TestCase
