"""Whether a post may be made, and when: pure, with a reason a person can read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from gateway.social.models import Job, Origin
from gateway.social.policy import PostingRule, SocialPolicy
from shared.social.models import TITLES, Network
from shared.social.validate import PostCode


@dataclass(frozen=True, slots=True)
class PublicationRequest:
    """Who wants to post where.

    Attributes:
        group: the agent's group; empty for the operator.
        due_at: when it is wanted; now or later.
    """

    tenant: str
    group: str
    origin: Origin
    network: Network
    due_at: datetime


@dataclass(frozen=True, slots=True)
class PublicationFacts:
    """What the decision depends on.

    Attributes:
        taken: posts of the account in the last 24 hours, with those under way.
        is_held: somebody has stopped all posting.
    """

    now: datetime
    taken: int
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to a post.

    Attributes:
        action: ``refuse`` it, ``ask`` a person, ``go`` on, or ``wait`` until `until`.
        code: stable, for ``refuse``.
        reason: for a person.
    """

    action: Literal["refuse", "ask", "go", "wait"]
    reason: str
    code: PostCode | Literal[""] = ""
    until: datetime | None = None


HOLD_LOOK = timedelta(minutes=1)


def decide_publication(request: PublicationRequest, policy: SocialPolicy, facts: PublicationFacts) -> Decision:
    """Decide about a new post: refuse, ask, or let it go to the queue (where quiet hours and the hold apply)."""
    rule, title = policy.rule(request.tenant, request.network), TITLES[request.network]
    if rule is None:
        fix = f"[tenants.{request.tenant}.{request.network}] in policies/social.toml opens it"
        return Decision("refuse", f"{request.tenant} may not post at {title}; {fix}", "posting_not_allowed")
    if request.origin == "agent" and not rule.lets(request.group):
        reason = f"group {request.group!r} of {request.tenant} may not post at {title}; policies/social.toml lists who"
        return Decision("refuse", reason, "posting_not_allowed")
    if facts.taken >= rule.daily_cap:
        return Decision("refuse", _cap_reason(rule, facts, title), "quota_exceeded")
    if rule.mode == "approval":
        return Decision("ask", "a person has to approve it")
    return Decision("go", "policy lets it go without asking")


def decide_start(job: Job, policy: SocialPolicy, facts: PublicationFacts) -> Decision:
    """Decide at its time whether an accepted post may be made now; everything is checked anew.

    Args:
        job: the post; its time has come.
        policy: as it is now, maybe another than at acceptance.
        facts: `taken` without this post.
    """
    rule, title = policy.rule(job.tenant, job.network), TITLES[job.network]
    if rule is None or (job.origin == "agent" and not rule.lets(job.group)):
        return Decision("refuse", f"policy no longer lets {job.tenant} post at {title}", "posting_not_allowed")
    if facts.now - job.due_at > timedelta(hours=policy.grace_hours):
        reason = f"it was due {job.due_at:%Y-%m-%d %H:%M} UTC, more than {policy.grace_hours:g} hours ago"
        return Decision("refuse", reason, "schedule_missed")
    if facts.is_held or policy.kill_switch:
        return Decision("wait", "all posting is held", "held", facts.now + HOLD_LOOK)
    if job.approved_digest != job.digest and (rule.mode == "approval" or job.approved_digest):
        return Decision("refuse", "nobody has approved exactly this post", "approval_rejected")
    if end := quiet_until(rule, facts.now):
        return Decision("wait", f"quiet hours until {end:%H:%M}", until=end)
    if facts.taken >= rule.daily_cap:
        return Decision("refuse", _cap_reason(rule, facts, title), "quota_exceeded")
    return Decision("go", "it is due")


def decide_answer(job: Job, policy: SocialPolicy, *, approver: str, digest: str, now: datetime) -> Decision:
    """Decide whether somebody's answer to a post counts.

    Args:
        job: as it is stored.
        policy: lists who may answer.
        approver: who answers.
        digest: of the post they saw, or how it begins.
        now: for the end of the asking.
    """
    rule = policy.rule(job.tenant, job.network)
    if rule is None or approver not in rule.approvers:
        title = TITLES[job.network]
        reason = f"only the approvers of {job.tenant} at {title}, listed in policies/social.toml, can decide"
        return Decision("refuse", reason, "posting_not_allowed")
    if job.state != "awaiting_approval":
        return Decision("refuse", f"this was settled before: the post {settled_words(job)}")
    if not digest or not job.digest.startswith(digest):
        return Decision(
            "refuse", "the post was changed after it was shown to you: look at the new text and decide again"
        )
    if job.ask_until is not None and now >= job.ask_until:
        return Decision("refuse", "it waited too long: nobody can approve it any more")
    return Decision("go", "it counts")


def settled_words(job: Job) -> str:
    """What people decided about a post, for somebody who comes later."""
    if job.state == "rejected":
        return f"was not approved ({job.detail})"
    if job.state == "cancelled":
        return "was cancelled"
    return f"was approved by {job.approved_by}" if job.approved_by else f"is {job.state}"


def quiet_until(rule: PostingRule, now: datetime) -> datetime | None:
    """End of the quiet hours that a moment lies in, else None; right also on days when clocks change."""
    if rule.quiet is None:
        return None
    begin, end = rule.quiet
    zone = ZoneInfo(rule.timezone)
    local = now.astimezone(zone)
    moment = local.time().replace(tzinfo=None)
    is_quiet = begin <= moment < end if begin < end else moment >= begin or moment < end
    if not is_quiet:
        return None
    day = local.date() + timedelta(days=1) if begin > end and moment >= begin else local.date()
    until = datetime.combine(day, end, zone)
    # In the night when an hour comes twice its second end is meant, once the first has passed.
    return until if until.astimezone(UTC) > now else until.replace(fold=1)


def _cap_reason(rule: PostingRule, facts: PublicationFacts, title: str) -> str:
    return f"{facts.taken} posts at {title} in the last 24 hours; policies/social.toml allows {rule.daily_cap}"
