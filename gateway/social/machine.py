"""One step of a publication: decide, write, call, write. Source: reference notes on the Meta APIs, §7.

The container is the unit of "once": its id is stored before it is published, and it becomes one post at most. After a
publish call whose outcome is unknown nothing is repeated before both the container's status and the account's own list
say that nothing happened; a new container is then never made.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never

from gateway.social.checks import Checks
from gateway.social.decide import HOLD_LOOK, PublicationFacts, decide_start
from gateway.social.deletions import Deletions
from gateway.social.doubts import LOOK_AFTER, Doubts
from gateway.social.hosting.service import MediaHost
from gateway.social.media import MediaProbe
from gateway.social.models import Job, Lease, PostRefused
from gateway.social.policy import SocialPolicy
from gateway.social.steps import RETRY_S, Step
from gateway.social.store import SocialStore
from shared.clock import Clock
from shared.errors import AuthRequired, Conflict, GatewayError
from shared.obs.log import get_logger
from shared.secrets.files import Secret
from shared.social.graph import SocialClient
from shared.social.models import TITLES, ContainerStatus, Media, Network
from shared.social.problems import SocialError
from shared.social.validate import PostCode

_log = get_logger(__name__)

STATUS_WAITS_S = (2.0, 5.0, 10.0, 30.0, 60.0, 60.0, 60.0, 60.0)
"""Between readings of a container's status: five minutes in all, as documented."""
PROCESSING_LIMIT = timedelta(minutes=5)
PAUSE_BEFORE_PUBLISH = timedelta(seconds=2)
SAME_CONTAINER_TRIES = 2
RECREATIONS = 2
_HELD = "social.held"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A tenant's account at a network.

    Attributes:
        user_id: the network's own id of it.
    """

    token: Secret
    user_id: str

    def account(self, network: Network) -> str:
        """Names the account among all."""
        return f"{network}:{self.user_id}"


TokenOf = Callable[[str, Network], Awaitable[SignedIn]]
"""The current token of a tenant at a network; raises `AuthRequired` when somebody has to sign in."""


class Machine:
    """Moves jobs on.

    Args:
        store: keeps them.
        clients: calls, by network.
        token_of: tokens.
        policy: who may post.
        checks: looks at pictures and videos.
        host: serves files of ours.
        media: looks at their public addresses before a network does.
        clock: tells when.
    """

    def __init__(
        self,
        store: SocialStore,
        clients: Mapping[Network, SocialClient],
        token_of: TokenOf,
        policy: SocialPolicy,
        checks: Checks,
        host: MediaHost,
        media: MediaProbe,
        clock: Clock,
    ) -> None:
        self._store = store
        self._clients = clients
        self._token_of = token_of
        self._policy = policy
        self._checks = checks
        self._host = host
        self._media = media
        self._clock = clock
        self._doubts = Doubts(store, clock)
        self._deletions = Deletions(clock)

    async def step(self, job: Job, lease: Lease) -> Job:
        """Do the next thing for a job; at most one call that changes something at the network.

        Raises:
            LeaseLost: another process works for the account.
            Conflict: a person changed the job meanwhile.
        """
        work = Step(self._store, lease, self._clock)
        match job.state:
            case "awaiting_approval":
                return await work.end(job, "rejected", "approval_rejected", "nobody approved it in time")
            case "queued" | "scheduled":
                return await self._start(job, work)
            case "creating" | "processing" | "ready" | "publishing" | "published" | "deleting":
                return await self._call(job, work)
            case "needs_attention" | "failed" | "rejected" | "cancelled" | "deleted":
                return await work.write(job, next_at=None)
        assert_never(job.state)

    async def _start(self, job: Job, work: Step) -> Job:
        """Everything is checked again at the due time: policy, approval, quota, pictures."""
        facts = PublicationFacts(
            now=self._clock.now(),
            taken=await self._store.taken(job),
            is_held=bool(await self._store.held_by()),
        )
        decision = decide_start(job, self._policy, facts)
        if decision.action == "wait":
            code = decision.code or ""
            return await work.write(job, next_at=decision.until, error_code=code, detail=decision.reason)
        if decision.action == "refuse":
            return await work.end(job, "failed", decision.code or "posting_not_allowed", decision.reason)
        try:
            signed_in = await self._sign_in(job)
            for media in job.content.files:
                seen, name = await self._checks.look(job.tenant, media)
                if seen.sha256 != media.sha256:
                    changed = f"the {media.kind} behind {(name or media.url)[:120]} is not the one that was accepted"
                    raise PostRefused("media_rejected", changed)
            await self._check_quota(job, signed_in.token)
        except PostRefused as refused:
            return await work.end(job, "failed", refused.post_code, refused.detail)
        except GatewayError as error:
            return await work.again(job, "upstream_unavailable", error.detail)
        return await work.write(job, state="creating", next_at=self._clock.now(), tries=0, error_code="", detail="")

    async def _check_quota(self, job: Job, token: Secret) -> None:
        try:
            quota = await self._clients[job.network].quota(token)
        except SocialError as error:
            if error.action == "refused":
                raise PostRefused(error.post_code, error.detail) from None
            # The network enforces it at publish anyway.
            _log.info("social.quota_unread", job=job.id, reason=error.post_code)
            return
        if quota.total and quota.used >= quota.total:
            detail = f"{TITLES[job.network]} counts {quota.used} of {quota.total} posts in its window"
            raise PostRefused("quota_exceeded", detail)

    async def _sign_in(self, job: Job) -> SignedIn:
        try:
            signed_in = await self._token_of(job.tenant, job.network)
        except AuthRequired as error:
            raise PostRefused("auth_expired", error.detail) from None
        if signed_in.account(job.network) != job.account:
            detail = (
                f"another account than {job.account} is signed in for {job.tenant}; the post was accepted for that one"
            )
            raise PostRefused("auth_expired", detail)
        return signed_in

    async def _call(self, job: Job, work: Step) -> Job:
        try:
            token = (await self._sign_in(job)).token
        except PostRefused as refused:
            if job.state == "publishing":
                return await self._doubts.look_later(job, work, refused.detail)
            if job.state == "published":
                return await work.write(job, next_at=None)
            if job.state == "deleting":
                return await self._deletions.give_up(job, work, refused.post_code, refused.detail)
            return await work.end(job, "failed", refused.post_code, refused.detail)
        except GatewayError as error:
            if job.state == "publishing":
                return await self._doubts.look_later(job, work, error.detail)
            if job.state == "deleting":
                return await self._deletions.later(job, work, "upstream_unavailable", error.detail)
            return await work.again(job, "upstream_unavailable", error.detail)
        client = self._clients[job.network]
        match job.state:
            case "creating":
                return await self._create(job, work, client, token)
            case "processing":
                return await self._await_container(job, work, client, token)
            case "ready":
                return await self._publish(job, work, client, token)
            case "publishing":
                job, found = await self._doubts.look(job, work, client, token)
                return await self._repeat(job, work, client, token) if found == "not_online" else job
            case "deleting":
                return await self._deletions.step(job, work, client, token)
            case _:
                return await self._doubts.complete(job, work, client, token)

    async def _create(self, job: Job, work: Step, client: SocialClient, token: Secret) -> Job:
        """Containers are invisible and expire, so making one may be repeated."""
        now = self._clock.now()
        try:
            if job.content.kind == "carousel":
                if len(job.children) < len(job.content.media):
                    item = await self._public(job, job.content.media[len(job.children)])
                    child = await client.create_item(token, item)
                    return await work.write(job, children=(*job.children, child), next_at=now, tries=0)
                for child in job.children:
                    status = await client.status(token, child)
                    if status.state != "FINISHED":
                        return await self._not_finished(job, work, client, token, status)
            content = job.content
            if content.kind != "carousel" and content.media:
                content = content.model_copy(update={"media": (await self._public(job, content.media[0]),)})
            if content.cover is not None:
                content = content.model_copy(update={"cover": await self._public(job, content.cover)})
            container = await client.create(token, content, job.children)
        except PostRefused as refused:
            return await work.end(job, "failed", refused.post_code, refused.detail)
        except SocialError as error:
            if error.action == "refused":
                return await work.end(job, "failed", error.post_code, error.detail)
            return await work.again(job, error.post_code, error.detail)
        first_look = self._clock.now() + timedelta(seconds=STATUS_WAITS_S[0])
        return await work.write(
            job, state="processing", container_id=container, container_at=now, next_at=first_look, tries=0
        )

    async def _public(self, job: Job, media: Media) -> Media:
        """The address a network is given; one of ours is fetched once from outside first, as the network will."""
        public = await self._host.public(job, media)
        if media.hosted:
            seen = await self._media.look(public.url)
            if seen.sha256 != media.sha256:
                raise PostRefused("media_unreachable", f"{self._host.policy.public_base} serves something else")
        return public

    async def _await_container(self, job: Job, work: Step, client: SocialClient, token: Secret) -> Job:
        """Every kind is waited for, text too: publishing too early is the networks' most frequent refusal."""
        try:
            status = await client.status(token, job.container_id)
        except SocialError as error:
            if error.action == "refused":
                return await work.end(job, "failed", error.post_code, error.detail)
            return await self._poll_later(job, work, error.post_code, error.detail)
        match status.state:
            case "FINISHED":
                return await work.write(job, state="ready", next_at=self._clock.now() + PAUSE_BEFORE_PUBLISH, tries=0)
            case "PUBLISHED":
                # Not as far as we know: find out before anything else.
                return await self._doubts.begin(job, work, "its container is published already")
            case "IN_PROGRESS" | "ERROR" | "EXPIRED":
                return await self._not_finished(job, work, client, token, status)
        assert_never(status.state)

    async def _not_finished(
        self, job: Job, work: Step, client: SocialClient, token: Secret, status: ContainerStatus
    ) -> Job:
        title = TITLES[job.network]
        if status.state == "ERROR":
            said = f": {status.detail}" if status.detail else ""
            return await work.end(job, "failed", "media_rejected", f"{title} could not use it{said}")
        if status.state == "IN_PROGRESS":
            detail = f"{title} is still working on it after five minutes"
            return await self._poll_later(job, work, "media_processing_timeout", detail)
        return await self._new_container(job, work, client, token, f"the container reads {status.state}")

    async def _poll_later(self, job: Job, work: Step, code: PostCode, detail: str) -> Job:
        if job.tries >= len(STATUS_WAITS_S):
            return await work.end(job, "failed", code, detail)
        wait = timedelta(seconds=STATUS_WAITS_S[job.tries])
        return await work.write(job, next_at=self._clock.now() + wait, tries=job.tries + 1)

    async def _new_container(self, job: Job, work: Step, client: SocialClient, token: Secret, why: str) -> Job:
        """Give a container up for another; only while nothing speaks for its being online."""
        if job.is_unknown:
            return await self._doubts.look_later(job, work, why)
        if job.publish_attempts:
            # "Not found" is also what a published container may answer.
            matches = await self._doubts.matches(job, client, token)
            if matches is None or matches:
                return await self._doubts.begin(job, work, why)
        if job.recreations >= RECREATIONS:
            return await work.end(
                job, "failed", "container_not_found", f"{why}; tried with {RECREATIONS + 1} containers"
            )
        return await work.write(
            job,
            state="creating",
            container_id="",
            container_at=None,
            children=(),
            intent_at=None,
            publish_attempts=0,
            recreations=job.recreations + 1,
            tries=0,
            next_at=self._clock.now() + timedelta(seconds=RETRY_S),
        )

    async def _publish(self, job: Job, work: Step, client: SocialClient, token: Secret) -> Job:
        """The one call that cannot be taken back; what it is about is on disk before it leaves."""
        if job.approved_digest and job.content.digest(job.account) != job.approved_digest:
            return await work.end(job, "failed", "approval_rejected", "the post is not the one that was approved")
        now = self._clock.now()
        try:
            if self._policy.kill_switch or await self._store.held_by():
                raise Conflict("all posting is held", code=_HELD)
            job = await work.write(
                job,
                unless_held=True,
                state="publishing",
                intent_at=now,
                publish_attempts=job.publish_attempts + 1,
                next_at=now + LOOK_AFTER,
                error_code="",
                detail="",
            )
        except Conflict as held:
            if held.code != _HELD:
                raise
            return await work.write(job, next_at=now + HOLD_LOOK, error_code="held", detail=held.detail)
        try:
            media_id = await client.publish(token, job.container_id)
        except SocialError as error:
            return await self._not_published(job, work, client, token, error)
        return await self._doubts.settle(job, work, media_id)

    async def _repeat(self, job: Job, work: Step, client: SocialClient, token: Secret) -> Job:
        """Publish the same container again: it is certainly not online."""
        if job.is_spam_block:
            detail = f"{TITLES[job.network]} took it for spam and did not publish it"
            return await work.end(job, "failed", "blocked_by_platform", detail)
        return await self._publish(job, work, client, token)

    async def _not_published(
        self, job: Job, work: Step, client: SocialClient, token: Secret, error: SocialError
    ) -> Job:
        if job.is_unknown or error.action == "unknown" or error.action == "unreadable":
            # A refusal after an unknown outcome may be what a published container answers.
            return await self._doubts.begin(job, work, error.detail, is_spam_block=error.is_spam_block)
        now = self._clock.now()
        match error.action:
            case "refused":
                return await work.end(job, "failed", error.post_code, error.detail)
            case "wait":
                if job.container_at is not None and now - job.container_at > PROCESSING_LIMIT:
                    return await work.end(job, "failed", error.post_code, error.detail)
                return await work.write(job, state="processing", intent_at=None, next_at=now + timedelta(seconds=10))
            case "slow_down" | "again":
                return await work.again(job, error.post_code, error.detail, state="ready", intent_at=None)
            case "new_container":
                if job.publish_attempts < SAME_CONTAINER_TRIES:
                    pause = timedelta(seconds=RETRY_S * 2 * job.publish_attempts)
                    return await work.write(job, state="processing", intent_at=None, next_at=now + pause)
                return await self._new_container(job, work, client, token, error.detail)
        assert_never(error.action)
