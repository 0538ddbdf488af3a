"""Does an answer count? Pure. And how answers are written: on buttons, and as text."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from openclaw.approvals.models import IN_WORDS, Answer, Approval, Press, Ruling
from shared.execpolicy.grants import Hole

_ACTION_PREFIX: Final = "exec:"
_ANSWERS: Final[dict[str, Answer]] = {
    "allow": "allow_once",
    "once": "allow_once",
    "allow-once": "allow_once",
    "always": "allow_always",
    "allow-always": "allow_always",
    "deny": "deny",
}
_HOLE = re.compile(r"(?P<position>[0-9]{1,3})=(?P<prefix>\S*)")
_MOST_HOLES: Final = 20
USAGE: Final = (
    "Write `/approve <id> allow`, `/approve <id> always` or `/approve <id> deny`. For curl, "
    "`/approve <id> always 2=https://host/path/` lets word 2 change after that beginning."
)


@dataclass(frozen=True, slots=True)
class Written:
    """An answer as somebody wrote it.

    Attributes:
        holes: words that may change, with what they begin with; only for "always".
    """

    approval_id: str
    answer: Answer
    holes: tuple[tuple[int, Hole], ...] = ()


def decide_approval(press: Press, approval: Approval | None, approvers: Collection[str], now: datetime) -> Ruling:
    """Decide whether an answer decides.

    Who answers is looked at first: strangers learn nothing about what exists.

    Args:
        press: the answer.
        approval: what it is about; None when there is no such request.
        approvers: the list of `policies/openclaw.toml`.
        now: aware UTC.
    """
    if press.approver not in approvers:
        reason = "Only the people listed in policies/openclaw.toml under [approvals] decide about commands."
        return Ruling(counts=False, reason=reason, refusal="foreign")
    if approval is None:
        reason = f"There is no request {press.approval_id}: `openclaw approvals list` shows those that wait."
        return Ruling(counts=False, reason=reason, refusal="unknown")
    if approval.state not in ("requested", "expired"):
        by = f" by {approval.decided_by}" if approval.decided_by else ""
        reason = f"This was decided before: {IN_WORDS[approval.state]}{by}. Nothing was changed."
        return Ruling(counts=False, reason=reason, refusal="late")
    if approval.state == "expired" or now >= approval.expires_at:
        reason = "This request expired, so the command was not run. The agent can ask again."
        return Ruling(counts=False, reason=reason, refusal="late")
    if press.answer == "allow_always" and approval.question.always:
        return Ruling(counts=False, reason=f'"Always" is not possible: {approval.question.always}.', refusal="late")
    return Ruling(counts=True, reason=f"{IN_WORDS[press.answer].capitalize()}.")


def action_of(approval_id: str, answer: Answer) -> str:
    """What a button carries."""
    return f"{_ACTION_PREFIX}{approval_id}:{answer}"


def read_action(action: str) -> tuple[str, Answer] | None:
    """The request and the answer of a button; None when it is no button of ours."""
    if not action.startswith(_ACTION_PREFIX):
        return None
    approval_id, _, answer = action.removeprefix(_ACTION_PREFIX).rpartition(":")
    found = next((known for known in _ANSWERS.values() if known == answer), None)
    return (approval_id, found) if approval_id and found else None


def read_words(text: str) -> Written | None:
    """The answer in what was written after ``/approve``; None when it cannot be read."""
    words = text.split()
    answer = _ANSWERS.get(words[1].lower()) if len(words) > 1 else None
    if answer is None or len(words) > 2 + _MOST_HOLES or (len(words) > 2 and answer != "allow_always"):
        return None
    holes = []
    for word in words[2:]:
        match = _HOLE.fullmatch(word)
        if match is None:
            return None
        position = int(match["position"])
        holes.append((position, Hole(name=f"value{position}", prefix=match["prefix"])))
    return Written(words[0], answer, tuple(holes))
