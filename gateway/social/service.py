"""What people and agents can do with posts: submit, approve, reject, cancel, schedule, retry, resolve, hold."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from gateway.notices.models import OwnerNotice
from gateway.social.decide import PublicationFacts, PublicationRequest, decide_publication
from gateway.social.machine import Machine, TokenOf
from gateway.social.media import MediaProbe
from gateway.social.models import WAITING, Event, Job, Origin, PostRefused, State
from gateway.social.policy import SocialPolicy
from gateway.social.runner import Runner
from gateway.social.store import SocialStore
from gateway.social.views import info_of, notice_of
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import AuthRequired, Conflict
from shared.gatewayclient.models import PostInfo, PostRequest
from shared.ids import new_id
from shared.social.graph import SocialClient
from shared.social.models import TITLES, Content, Network
from shared.social.problems import SocialError
from shared.social.validate import Findings, check_content, check_image

_PAST_SLACK = timedelta(minutes=1)
_TOLD_AT_START = 100
_FUTURE_LIMIT = timedelta(days=366)
_BEFORE_PUBLISHING: frozenset[State] = frozenset({"awaiting_approval", "creating", "processing", "ready", *WAITING})

T = TypeVar("T")


class Social:
    """Publications of all tenants.

    Args:
        store: keeps them.
        clients: calls, by network.
        token_of: the account a tenant is signed in with.
        policy: who may post where.
        media: looks at pictures.
        tell: takes what the owner has to know, without waiting; the same notice is told once.
        state_option: what commands in notices need to mean this installation.
        clock: tells when.
    """

    def __init__(
        self,
        store: SocialStore,
        clients: Mapping[Network, SocialClient],
        token_of: TokenOf,
        policy: SocialPolicy,
        *,
        media: MediaProbe,
        tell: Callable[[OwnerNotice], None] = lambda _: None,
        state_option: str = "",
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.policy = policy
        self.store = store
        self._clients = clients
        self._token_of = token_of
        self._media = media
        self._clock = clock
        machine = Machine(store, clients, token_of, policy, media, clock)
        self._tell = tell
        self._state_option = state_option
        self.runner = Runner(store, machine, clock, after_step=self._tell_of)

    async def start(self) -> None:
        """Work off what is due, after saying what waits for a person: the process before may not have come to it."""
        for state in ("awaiting_approval", "needs_attention"):
            for job in await self.store.jobs(state=state, limit=_TOLD_AT_START):
                self._tell_of(job)
        self.runner.start()

    def _tell_of(self, job: Job) -> None:
        if (notice := notice_of(job, state_option=self._state_option)) is not None:
            self._tell(notice)

    async def submit(self, tenant: str, origin: Origin, request: PostRequest) -> PostInfo:
        """Accept a post, or find the one the same key stands for.

        Raises:
            PostRefused: with a stable code; nothing was kept.
            Unavailable: the sign-in cannot be used right now.
        """
        if (key := request.idempotency_key) is not None and (known := await self.store.by_key(tenant, key)):
            if _asked(known.content) != _asked(request.content) or known.group != request.group:
                detail = f"the key {key!r} belongs to another post ({known.id}): use a new key"
                raise PostRefused("idempotency_conflict", detail)
            return info_of(known, is_new=False)
        now = self._clock.now()
        due_at = self._due(request.at, now)
        self._decide(_wanted(tenant, origin, request, due_at), PublicationFacts(now, taken=0))
        found, content = await self._check(request.content)
        try:
            signed_in = await self._token_of(tenant, content.network)
        except AuthRequired as error:
            raise PostRefused("auth_expired", error.detail) from None
        account = signed_in.account(content.network)
        job = Job(
            id=new_id("post"),
            tenant=tenant,
            group=request.group,
            origin=origin,
            network=content.network,
            account=account,
            idempotency_key=request.idempotency_key,
            digest=content.digest(account),
            content=content,
            state="queued",
            created_at=now,
            updated_at=now,
            due_at=due_at,
            next_at=due_at,
        )
        if request.dry_run:
            return await self._rehearse(job, found)
        kept, is_new = await self.store.accept(
            job,
            lambda taken: self._placed(job, taken),
            allow_duplicate=request.allow_duplicate,
            # An agent's key names a place in its run, not the wish to say the same thing twice.
            key_is_intent=origin == "operator",
        )
        self._tell_of(kept)
        self.runner.wake()
        return info_of(kept, is_new=is_new, length=found.length, limit=found.limit, warnings=tuple(found.warnings))

    async def find(self, post_id: str, *, tenant: str = "", group: str = "") -> tuple[Job, list[Event]]:
        """A post and its history; raises `NotFound`."""
        job = await self.store.get(post_id, tenant=tenant, group=group)
        return job, await self.store.events(job.id)

    async def approve(self, post_id: str, *, by: str, digest: str = "") -> Job:
        """Let exactly this post go out.

        Args:
            post_id: which.
            by: who says so.
            digest: of what that person saw; any when empty.

        Raises:
            Conflict: it does not wait for anybody, or is not what was seen.
        """
        job = await self._in_state(post_id, "approve", {"awaiting_approval"})
        if digest and digest != job.digest:
            raise Conflict(f"{job.id} is not the post that was looked at; look again", code="social.changed")
        now = self._clock.now()
        if job.ask_until is not None and now >= job.ask_until:
            raise Conflict(f"{job.id} waited too long for an approval; submit it anew", code="social.expired")
        due_at = max(job.due_at, now)
        state = _waiting(due_at, now)
        return await self._changed(
            self.store.update(
                job, state=state, due_at=due_at, next_at=due_at, approved_digest=job.digest, approved_by=by, detail=""
            )
        )

    async def reject(self, post_id: str, *, by: str, reason: str = "") -> Job:
        """Say no to a post that waits for approval."""
        job = await self._in_state(post_id, "reject", {"awaiting_approval"})
        detail = f"{by} said no" + (f": {reason}" if reason else "")
        return await self._changed(
            self.store.update(job, state="rejected", error_code="approval_rejected", detail=detail, next_at=None)
        )

    async def cancel(self, post_id: str, *, by: str) -> Job:
        """Stop a post before it is published."""
        job = await self._in_state(post_id, "cancel", _BEFORE_PUBLISHING)
        detail = f"{by} cancelled it"
        return await self._changed(
            self.store.update(job, state="cancelled", error_code="", detail=detail, next_at=None, intent_at=None)
        )

    async def schedule(self, post_id: str, at: datetime) -> Job:
        """Give a post that has not begun another time."""
        job = await self._in_state(post_id, "schedule", {"awaiting_approval", *WAITING})
        now = self._clock.now()
        due_at = self._due(at, now)
        if job.state == "awaiting_approval":
            return await self._changed(self.store.update(job, due_at=due_at))
        return await self._changed(
            self.store.update(job, state=_waiting(due_at, now), due_at=due_at, next_at=due_at, detail="", error_code="")
        )

    async def retry(self, post_id: str, *, allow_duplicate: bool = False) -> Job:
        """Try a failed post again, from the beginning; its approval still counts."""
        job = await self._in_state(post_id, "retry", {"failed"})
        return await self._changed(self.store.requeue(job, allow_duplicate=allow_duplicate))

    async def resolve(self, post_id: str, *, posted: bool, by: str, media_id: str = "") -> Job:
        """Settle a post of which nobody knew whether it is online.

        Args:
            post_id: which.
            posted: what the person saw at the network.
            by: who looked.
            media_id: of the post, when known.
        """
        job = await self._in_state(post_id, "resolve", {"needs_attention"})
        if posted:
            now = self._clock.now()
            return await self._changed(
                self.store.update(
                    job,
                    state="published",
                    error_code="",
                    detail=f"{by} found it online",
                    media_id=media_id,
                    published_at=job.intent_at or now,
                    tries=0,
                    next_at=now,
                )
            )
        detail = f"{by} looked and it is not online"
        return await self._changed(self.store.update(job, state="failed", detail=detail, intent_at=None, next_at=None))

    async def hold(self, *, by: str) -> None:
        """Stop all posting; what is in doubt is still looked into."""
        await self.store.hold(by)

    async def release(self) -> None:
        """Let posting go on."""
        await self.store.let_go()
        self.runner.wake()

    async def _check(self, content: Content) -> tuple[Findings, Content]:
        found = check_content(content, self.policy.instagram)
        _refuse(found)
        media = []
        for number, item in enumerate(content.media, start=1):
            picture = await self._media.look(item.url)
            checked = check_image(content.network, picture.facts, place=f"picture {number}")
            _refuse(checked)
            found.warnings += checked.warnings
            media.append(item.model_copy(update={"sha256": picture.sha256}))
        return found, content.model_copy(update={"media": tuple(media)})

    def _placed(self, job: Job, taken: int) -> Job:
        now = self._clock.now()
        facts = PublicationFacts(now, taken)
        wanted = PublicationRequest(job.tenant, job.group, job.origin, job.network, job.due_at)
        decision = self._decide(wanted, facts)
        if decision == "ask":
            until = now + timedelta(hours=self.policy.approval_hours)
            return replace(job, state="awaiting_approval", ask_until=until, next_at=until)
        return replace(job, state=_waiting(job.due_at, now))

    def _decide(self, wanted: PublicationRequest, facts: PublicationFacts) -> str:
        decision = decide_publication(wanted, self.policy, facts)
        if decision.action == "refuse":
            raise PostRefused(decision.code or "posting_not_allowed", decision.reason)
        return decision.action

    async def _rehearse(self, job: Job, found: Findings) -> PostInfo:
        """All checks, nothing kept: what is refused here would be refused in earnest."""
        job = self._placed(job, await self.store.taken(job))
        signed_in = await self._token_of(job.tenant, job.network)
        try:
            quota = await self._clients[job.network].quota(signed_in.token)
        except SocialError as error:
            raise PostRefused(error.post_code, error.detail) from None
        if quota.total and quota.used >= quota.total:
            used = f"{TITLES[job.network]} counts {quota.used} of {quota.total} posts in its window"
            raise PostRefused("quota_exceeded", used)
        asks = "a person would be asked" if job.state == "awaiting_approval" else "it would go out"
        info = info_of(job, length=found.length, limit=found.limit, warnings=tuple(found.warnings))
        summary = f"everything is in order; {asks}. Nothing was kept"
        return info.model_copy(update={"id": "", "state": "dry_run_ok", "summary": summary})

    def _due(self, at: datetime | None, now: datetime) -> datetime:
        if at is None:
            return now
        if at < now - _PAST_SLACK:
            raise PostRefused("invalid_field", f"at: {at.isoformat()} is in the past")
        if at > now + _FUTURE_LIMIT:
            raise PostRefused("invalid_field", f"at: {at.isoformat()} is more than a year away")
        return max(at, now)

    async def _in_state(self, post_id: str, verb: str, states: set[State] | frozenset[State]) -> Job:
        job = await self.store.get(post_id)
        if job.state not in states:
            hint = "; it may be online" if job.state in {"publishing", "needs_attention"} else ""
            raise Conflict(f"cannot {verb} {job.id}: it is {job.state}{hint}", code="social.state")
        return job

    async def _changed(self, work: Awaitable[T]) -> T:
        changed = await work
        self.runner.wake()
        return changed


def _wanted(tenant: str, origin: Origin, request: PostRequest, due_at: datetime) -> PublicationRequest:
    return PublicationRequest(tenant, request.group, origin, request.content.network, due_at)


def _waiting(due_at: datetime, now: datetime) -> State:
    return "scheduled" if due_at > now else "queued"


def _asked(content: Content) -> dict[str, Any]:
    """A request's content as it came, before pictures were looked at."""
    return content.model_dump(exclude={"media": {"__all__": {"sha256"}}})


def _refuse(found: Findings) -> None:
    if found.problems:
        raise PostRefused(found.problems[0].code, "; ".join(problem.detail for problem in found.problems))
