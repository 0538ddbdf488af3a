"""After a start: the truth is asked for, not assumed, and what was left open is taken up again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from nanoclaw.agent.residents import Residents
from nanoclaw.groups import Group
from shared.channels.inbox import Inbox
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import GatewayError
from shared.obs.log import get_logger

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Recovered:
    """What an earlier process left: claims it never settled, workers kept and ended, chats that still wait."""

    claims: int
    adopted: int
    ended: int
    chats: int


class WakeChat(Protocol):
    """Sees to it that what a chat has waiting is answered."""

    def __call__(self, chat: str, parent: str, *, after_s: float) -> None:
        """Now, or after a rest of `after_s` seconds."""
        ...


async def recover(
    inbox: Inbox, residents: Residents, wake: WakeChat, groups: Iterable[Group], clock: Clock = SYSTEM_CLOCK
) -> Recovered:
    """Open unsettled claims, take over idle workers and end the others, wake what waits (oldest first).

    A message whose answer was stored is settled in the same transaction, so whatever is still claimed was not answered.
    """
    claims = await inbox.reset_claims()
    try:
        adopted, ended = await residents.adopt(groups)
    except GatewayError as error:
        _log.warning("recovery.workers_failed", reason=error.detail)
        adopted = ended = 0
    waiting = await inbox.open_chats()
    now = clock.now()
    for chat in waiting:
        wake(chat.chat, chat.parent, after_s=max(0.0, (chat.due_at - now).total_seconds()))
    found = Recovered(claims, adopted, ended, len(waiting))
    _log.info("recovery.ended", claims=claims, adopted=adopted, ended=ended, chats=len(waiting))
    return found
