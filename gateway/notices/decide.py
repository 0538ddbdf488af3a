"""What is worth telling the owner; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from gateway.budget.models import Exhaustion
from gateway.credentials.advice import KEPT
from gateway.credentials.models import CredentialStatus
from gateway.notices.models import NoticeKind, OwnerNotice
from gateway.notices.policy import NoticesPolicy

SIGN_IN_KINDS: Final[frozenset[NoticeKind]] = frozenset({"login_needed", "refresh_failing", "token_ending"})
"""Kinds that tell of a state, which may be over before anybody was told."""

_TITLES = {"claude": "Claude", "codex": "Codex", "copilot": "Copilot", "threads": "Threads", "instagram": "Instagram"}
_META = frozenset({"threads", "instagram"})
_UNTIL_THEN = {
    "claude": "Until then NanoClaw's agents run on the prepaid key, if there is one and policy allows it.",
    "codex": "Until then OpenClaw answers with its fallback models only.",
    "copilot": "Until then Copilot's models do not answer.",
}


def decide_sign_in_notices(
    statuses: Iterable[CredentialStatus], policy: NoticesPolicy, now: datetime, *, state_option: str = ""
) -> list[OwnerNotice]:
    """The notices that the present state of all sign-ins calls for, told before or not.

    Args:
        statuses: the state of every sign-in.
        policy: from when on it is worth telling.
        now: aware UTC.
        state_option: what the commands need to mean this installation.
    """
    named = (replace(status, command=f"{status.command}{state_option}") for status in statuses)
    found = (
        notice for status in named for notice in _of_status(status, policy, now, f"clawgate auth status{state_option}")
    )
    return [notice for notice in found if notice is not None]


def budget_notice(exhaustion: Exhaustion, *, state_option: str = "") -> OwnerNotice:
    """Told once for each period of a budget."""
    return OwnerNotice(
        key=f"budget:{exhaustion.name}:{exhaustion.scope}:{exhaustion.period}",
        kind="budget_exhausted",
        text=f"**A budget refused a call**\n{_sentence(exhaustion.detail)}\nLook: `clawgate usage{state_option}`",
    )


def _of_status(status: CredentialStatus, policy: NoticesPolicy, now: datetime, look: str) -> list[OwnerNotice | None]:
    if status.health == "login_needed":
        return [_login_needed(status)]
    return [_failing(status, policy, now, look), _ending(status, policy, now)]


def _login_needed(status: CredentialStatus) -> OwnerNotice:
    ends = ""
    if status.provider in _META and status.expires_at is not None:
        ends = f"Posting stops when the present token ends, on {status.expires_at:%Y-%m-%d %H:%M} UTC."
    return _notice(
        status,
        "login_needed",
        status.mark,
        f"**{name_of(status)}: somebody has to sign in again**",
        _without_command(status.detail),
        ends or _UNTIL_THEN.get(status.provider, ""),
        f"Run on the server: `{status.command}`",
    )


def _failing(status: CredentialStatus, policy: NoticesPolicy, now: datetime, look: str) -> OwnerNotice | None:
    since = status.failing_since
    if since is None or now < since + timedelta(seconds=policy.failing_after_s):
        return None
    over = status.expires_at is not None and now >= status.expires_at
    return _notice(
        status,
        "refresh_failing",
        since.isoformat(timespec="seconds"),
        f"**{name_of(status)}: the sign-in cannot be refreshed since {since:%Y-%m-%d %H:%M} UTC**",
        _without_command(status.detail),
        "It has ended meanwhile. " + _UNTIL_THEN.get(status.provider, "") if over else "The old token still serves.",
        f"It is tried again by itself. Look: `{look}`; try now: `{_refresh_command(status)}`",
    )


def _ending(status: CredentialStatus, policy: NoticesPolicy, now: datetime) -> OwnerNotice | None:
    if status.provider not in _META or status.expires_at is None or status.health not in {"retrying", "expired"}:
        return None
    if now < status.expires_at - timedelta(days=policy.ending_days):
        return None
    verb = "ended" if now >= status.expires_at else "ends"
    return _notice(
        status,
        "token_ending",
        status.mark,
        f"**{name_of(status)}: the token {verb} on {status.expires_at:%Y-%m-%d %H:%M} UTC and cannot be renewed**",
        _without_command(status.detail),
        "After its end only a new sign-in helps.",
        f"Run on the server: `{status.command}`",
    )


def _notice(status: CredentialStatus, kind: NoticeKind, event: str, *lines: str) -> OwnerNotice:
    return OwnerNotice(
        key=f"{kind}:{status.tenant}/{status.provider}:{event}",
        kind=kind,
        text="\n".join(line.strip() for line in lines if line.strip()),
    )


def name_of(status: CredentialStatus) -> str:
    """What people call a sign-in."""
    title = _TITLES.get(status.provider, status.provider)
    whose = "" if status.tenant == "gateway" else f" of {status.tenant}"
    return f"{title}{whose} ({status.account})" if status.account else f"{title}{whose}"


def _refresh_command(status: CredentialStatus) -> str:
    return status.command.replace(" login ", " refresh ", 1)


def _without_command(detail: str) -> str:
    """The reason without the commands at its end, which get a line of their own."""
    return _sentence(detail.partition("Run: ")[0].partition(KEPT)[0])


def _sentence(text: str) -> str:
    text = text.strip().rstrip(".")
    return f"{text[0].upper()}{text[1:]}." if text else ""
