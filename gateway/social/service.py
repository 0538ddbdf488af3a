"""What people and agents can do with posts: submit, approve, reject, cancel, schedule, retry, resolve, hold."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar, assert_never

from gateway.notices.models import OwnerNotice
from gateway.social.changes import Changes
from gateway.social.checks import Checks
from gateway.social.decide import PublicationFacts, PublicationRequest, decide_answer, decide_publication
from gateway.social.hosting.service import MediaHost
from gateway.social.machine import Machine, TokenOf
from gateway.social.media import MediaProbe
from gateway.social.models import OVER, WAITING, Event, Job, Origin, PostRefused, State
from gateway.social.policy import OPERATOR, SocialPolicy
from gateway.social.runner import Runner
from gateway.social.store import SocialStore
from gateway.social.thumbnails import Thumbnails
from gateway.social.views import info_of, notice_of
from shared.audit.reporting import Note, unnoted
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import AuthRequired, Conflict, Denied
from shared.gatewayclient.models import PostAnswer, PostChange, PostInfo, PostRequest
from shared.ids import new_id
from shared.lifecycle.tasks import TaskPool
from shared.secrets.files import Secret
from shared.social.graph import SocialClient
from shared.social.models import TITLES, Content, Network
from shared.social.problems import SocialError
from shared.social.validate import Findings

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
        media: looks at pictures and videos behind addresses.
        files: folder of the files that are served to the networks.
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
        files: Path,
        tell: Callable[[OwnerNotice], None] = lambda _: None,
        state_option: str = "",
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.policy = policy
        self.changes = Changes()
        self.store = store
        self._clients = clients
        self._token_of = token_of
        self._clock = clock
        self.host = MediaHost(store.media, files, policy.media, store.with_files, clock)
        self._checks = Checks(policy, media, self.host)
        self._thumbnails = Thumbnails(self._checks)
        machine = Machine(store, clients, token_of, policy, self._checks, self.host, media, clock)
        self._tasks = TaskPool("social.files")
        self._tell = tell
        self._state_option = state_option
        self.note: Note = unnoted
        self.runner = Runner(store, machine, clock, after_step=self._tell_of)

    async def start(self) -> None:
        """Work off what is due, after saying what waits for a person: the process before may not have come to it."""
        await self.host.start()
        for state in ("awaiting_approval", "needs_attention"):
            for job in await self.store.jobs(state=state, limit=_TOLD_AT_START):
                self._tell_of(job)
        self.runner.start()

    async def stop(self) -> None:
        """End the work under way."""
        await self.runner.stop()
        await self._tasks.close()

    def _tell_of(self, job: Job) -> None:
        """Wake those who show cards, and tell the owner what no card tells."""
        self.changes.note()
        if job.state in OVER:
            self._tasks.start(self.host.used(job), name="files")
        rule = self.policy.rule(job.tenant, job.network)
        if job.state == "awaiting_approval" and rule is not None and rule.card_places:
            return
        self.remind(job)

    def remind(self, job: Job) -> None:
        """Tell the owner in words what has to be done about a post, if anything."""
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
        found, content = await self._checks.whole(tenant, request.content)
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
        return info_of(kept, is_new=is_new, warnings=tuple(found.warnings))

    async def find(self, post_id: str, *, tenant: str = "", group: str = "") -> tuple[Job, list[Event]]:
        """A post and its history; raises `NotFound`."""
        job = await self.store.get(post_id, tenant=tenant, group=group)
        return job, await self.store.events(job.id)

    async def thumbnail(self, tenant: str, post_id: str, number: int) -> bytes:
        """A small JPEG of one of a post's pictures; raises `NotFound`."""
        return await self._thumbnails.of(await self.store.get(post_id, tenant=tenant), number)

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
        if digest and not job.digest.startswith(digest):
            raise Conflict(f"{job.id} is not the post that was looked at; look again", code="social.changed")
        if job.ask_until is not None and self._clock.now() >= job.ask_until:
            raise Conflict(f"{job.id} waited too long for an approval; submit it anew", code="social.expired")
        return await self._approve(job, by=by)

    async def _approve(self, job: Job, *, by: str) -> Job:
        now = self._clock.now()
        due_at = max(job.due_at, now)
        state = _waiting(due_at, now)
        approved = await self._changed(
            self.store.update(
                job,
                state=state,
                due_at=due_at,
                next_at=due_at,
                approved_digest=job.digest,
                approved_by=by[:120],
                error_code="",
                detail="",
            )
        )
        await self.note(
            "post.approved", actor=by, subject=f"{job.tenant} {job.id}", detail=f"content {job.digest[:16]}"
        )
        return approved

    async def answer(self, tenant: str, post_id: str, answer: PostAnswer) -> Job:
        """Take a person's answer from a tenant's card or Control UI; exactly one of all that come decides.

        Raises:
            Denied: not theirs to decide.
            Conflict: too late, or the post they saw is not the one that waits; the text is for that person.
        """
        job = await self.store.get(post_id, tenant=tenant)
        try:
            return await self._answered(job, answer)
        except Conflict as error:
            # Somebody was faster between our look and our write: what they decided is said instead.
            now = await self.store.get(post_id, tenant=tenant)
            if error.code != "social.changed" or now.version == job.version:
                raise
            return await self._answered(now, answer)

    async def _answered(self, job: Job, answer: PostAnswer) -> Job:
        ruling = decide_answer(job, self.policy, approver=answer.approver, digest=answer.digest, now=self._clock.now())
        if ruling.code == "posting_not_allowed":
            raise Denied(ruling.reason, code="social.approver")
        if ruling.action != "go":
            raise Conflict(ruling.reason, code="social.late")
        by = answer.name or answer.approver
        if answer.approver != OPERATOR:
            by = f"{by} ({answer.approver})"
        if answer.answer == "approve":
            return await self._approve(job, by=by)
        if answer.answer == "edit":
            return await self.edit(job.id, answer.text, by=by)
        return await self._reject(job, by=by, reason=answer.reason)

    async def reject(self, post_id: str, *, by: str, reason: str = "") -> Job:
        """Say no to a post that waits for approval."""
        return await self._reject(await self._in_state(post_id, "reject", {"awaiting_approval"}), by=by, reason=reason)

    async def _reject(self, job: Job, *, by: str, reason: str) -> Job:
        detail = f"{by} said no" + (f": {reason}" if reason else "")
        rejected = await self._changed(
            self.store.update(job, state="rejected", error_code="approval_rejected", detail=detail, next_at=None)
        )
        await self.note("post.rejected", actor=by, subject=f"{job.tenant} {job.id}")
        return rejected

    async def edit(self, post_id: str, text: str, *, by: str) -> Job:
        """Give a post that has not begun another text; where somebody approved the old one, it is asked again.

        Raises:
            PostRefused: the new text is not possible, or there is such a post already.
        """
        job = await self._in_state(post_id, "edit", {"awaiting_approval", *WAITING})
        content = job.content.model_copy(update={"text": text})
        self._checks.text(content)
        digest = content.digest(job.account)
        if digest == job.digest:
            return job
        now = self._clock.now()
        changes: dict[str, Any] = {"content": content, "digest": digest, "detail": f"{by} changed the text"}
        rule = self.policy.rule(job.tenant, job.network)
        if job.approved_digest or rule is None or rule.mode == "approval":
            until = now + timedelta(hours=self.policy.approval_hours)
            changes |= {"state": "awaiting_approval", "ask_until": until, "next_at": until}
            changes |= {"approved_digest": "", "approved_by": "", "error_code": ""}
        changed = await self._changed(self.store.reword(job, **changes))
        self._tell_of(changed)
        return changed

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

    async def delete(self, post_id: str, *, by: str, digest: str = "") -> Job:
        """Take a published post offline, where the network has a call for that.

        Args:
            post_id: which.
            by: who wants it so.
            digest: of what that person saw; any when empty.

        Raises:
            Conflict: it is not online, or is not what was seen.
            PostRefused: `permission_missing`: only a person at the network can delete it.
        """
        job = await self._in_state(post_id, "delete", {"published"})
        if digest and not job.digest.startswith(digest):
            raise Conflict(f"{job.id} is not the post that was looked at; look again", code="social.changed")
        if not self._clients[job.network].can_delete or not job.media_id:
            why = f"{TITLES[job.network]} has no call for it" if job.media_id else "its id at the network is not known"
            where = f": {job.permalink}" if job.permalink else ""
            raise PostRefused("permission_missing", f"{why}; delete it there by hand{where}")
        detail = f"{by} wants it deleted"
        return await self._changed(
            self.store.update(job, state="deleting", error_code="", detail=detail, tries=0, next_at=self._clock.now())
        )

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

    async def change(self, tenant: str, post_id: str, change: PostChange) -> Job:
        """What an operator does with a tenant's post in its Control UI.

        Raises:
            Denied: policy does not let the Control UI decide for this tenant and network.
        """
        job = await self.store.get(post_id, tenant=tenant)
        rule = self.policy.rule(tenant, job.network)
        if rule is None or OPERATOR not in rule.approvers:
            raise Denied("policies/social.toml does not list `operator` among the approvers", code="social.approver")
        match change.action:
            case "cancel":
                return await self.cancel(post_id, by=change.by)
            case "edit":
                return await self.edit(post_id, change.text, by=change.by)
            case "retry":
                return await self.retry(post_id, allow_duplicate=change.allow_duplicate)
            case "delete":
                return await self.delete(post_id, by=change.by, digest=change.digest)
            case "schedule":
                if change.at is None:
                    raise PostRefused("invalid_field", "at is missing: a time with its offset")
                return await self.schedule(post_id, change.at)
            case "resolve":
                if change.posted is None:
                    raise PostRefused("invalid_field", "posted is missing: true or false")
                return await self.resolve(post_id, posted=change.posted, by=change.by, media_id=change.media_id)
        assert_never(change.action)

    async def read_figures(self, job: Job) -> dict[str, int]:
        """How a published post is doing.

        Raises:
            AuthRequired: somebody has to sign in.
            SocialError: the network does not say.
        """
        token = await self.token(job.tenant, job.network)
        return await self._clients[job.network].insights(token, job.media_id, job.content.kind)

    async def token(self, tenant: str, network: Network) -> Secret:
        """A tenant's token, for reading in its name.

        Raises:
            AuthRequired: somebody has to sign in.
        """
        return (await self._token_of(tenant, network)).token

    def now(self) -> datetime:
        """The time, by our clock."""
        return self._clock.now()

    async def hold(self, *, by: str) -> None:
        """Stop all posting; what is in doubt is still looked into."""
        await self.store.hold(by)

    async def release(self) -> None:
        """Let posting go on."""
        await self.store.let_go()
        self.runner.wake()

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
        info = info_of(job, warnings=tuple(found.warnings))
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
        self.changes.note()
        if isinstance(changed, Job) and changed.state in OVER:
            self._tasks.start(self.host.used(changed), name="files")
        self.runner.wake()
        return changed


def _wanted(tenant: str, origin: Origin, request: PostRequest, due_at: datetime) -> PublicationRequest:
    return PublicationRequest(tenant, request.group, origin, request.content.network, due_at)


def _waiting(due_at: datetime, now: datetime) -> State:
    return "scheduled" if due_at > now else "queued"


def _asked(content: Content) -> dict[str, Any]:
    """A request's content as it came, before pictures were looked at."""
    media = [[item.source or item.url, item.alt_text, item.people] for item in content.media]
    cover = content.cover and content.cover.url
    return {**content.model_dump(exclude={"media", "cover"}), "media": media, "cover": cover}
