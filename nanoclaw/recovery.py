"""After a start: the truth is asked for, not assumed, and what was left open is taken up again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Protocol

from nanoclaw.agent.residents import Adopted, Residents
from nanoclaw.groups import Group
from nanoclaw.models import Asking
from nanoclaw.queuenotes import QueueNotes
from nanoclaw.runs import Runs
from nanoclaw.store import Store
from shared.channels.inbox import Claimed, Inbox
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import GatewayError
from shared.lifecycle.faultpoints import fault_point
from shared.obs.log import get_logger

_log = get_logger(__name__)

_MOST_RESUMES = 3
"""A run that was taken up so often may be what ends the process; it is tried anew, which counts as a failed try."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What an earlier process left: claims opened again, runs that go on, workers kept and ended, chats that wait."""

    claims: int
    resumed: int
    adopted: int
    ended: int
    chats: int


class WakeChat(Protocol):
    """Sees to it that what a chat has waiting is answered."""

    def __call__(self, chat: str, parent: str, *, after_s: float) -> None:
        """Now, or after a rest of `after_s` seconds."""
        ...


@dataclass(frozen=True, slots=True)
class _Left:
    """A run whose messages are still claimed by the try that asked a worker."""

    asking: Asking
    group: Group
    items: list[Claimed]


async def recover(
    *,
    inbox: Inbox,
    store: Store,
    residents: Residents,
    runs: Runs,
    wake: WakeChat,
    notes: QueueNotes,
    groups: Collection[Group],
    longest_rest_s: float,
    clock: Clock = SYSTEM_CLOCK,
) -> Recovered:
    """Hear running answers out, open the other claims, take over idle workers and end the rest, wake what waits.

    A message whose answer was stored is settled in the same transaction, so whatever is still claimed was not answered.

    Args:
        inbox: what waits and what was claimed.
        store: what the agents were asked last.
        residents: takes over the workers.
        runs: goes on with the runs.
        wake: called for every chat that has something to do.
        notes: an earlier process's are taken back.
        groups: all there are.
        longest_rest_s: however far the clock was set back, nothing waits longer for its next try.
        clock: for due times.
    """
    await notes.withdraw_all()
    askings = await store.askings()
    left = [run for asking in askings if (run := await _left_open(asking, inbox, groups)) is not None]
    for run in left:
        # Counted before anything else, so that a run that ends every process is not taken up for ever.
        await store.keep_asking(run.asking)
    fault_point("recovery.counted")
    try:
        adopted = await residents.adopt(groups, [run.asking for run in left], askings)
    except GatewayError as error:
        _log.warning("recovery.workers_failed", reason=error.detail)
        adopted = Adopted()
    going_on = [run for run in left if run.group.folder in adopted.in_run]
    claims = await inbox.reset_claims(keep=[number for run in going_on for number in run.asking.asked])
    fault_point("recovery.claims_reset")
    for run in going_on:
        await runs.resume(run.asking, run.group, run.items)
        wake(run.asking.chat, run.items[-1].message.parent, after_s=0.0)
    waiting = await inbox.open_chats()
    now = clock.now()
    for chat in waiting:
        due_s = (chat.due_at - now).total_seconds()
        wake(chat.chat, chat.parent, after_s=min(max(0.0, due_s), longest_rest_s))
    found = Recovered(claims, len(going_on), adopted.resting, adopted.ended, len(waiting))
    _log.info(
        "recovery.ended",
        claims=claims,
        resumed=found.resumed,
        adopted=found.adopted,
        ended=found.ended,
        chats=found.chats,
    )
    return found


async def _left_open(asking: Asking, inbox: Inbox, groups: Collection[Group]) -> _Left | None:
    """The run of an asking, if this is the try that still has the messages and it may be taken up once more."""
    group = next((group for group in groups if group.folder == asking.folder), None)
    if group is None or asking.resumes >= _MOST_RESUMES:
        return None
    items = await inbox.items((*asking.asked, *asking.context))
    asked = [item for item in items if item.id in asking.asked]
    is_whole = len(asked) == len(asking.asked) and all(item.state == "claimed" for item in asked)
    if not is_whole or max(item.attempts for item in asked) != asking.claims:
        return None
    return _Left(replace(asking, resumes=asking.resumes + 1), group, items)
