"""After the decision: the command runs once, and the conversation hears what came of it, in a turn of its own.

Each step is stored before the next: decided, claimed, outcome, told. A process that ends in between leaves the rest to
the next one, which never starts a command that was claimed before.
"""

from __future__ import annotations

import asyncio
from typing import Final

from openclaw.agent.commands import Commands
from openclaw.approvals.cards import ApprovalCards
from openclaw.approvals.models import IN_WORDS, Approval
from openclaw.approvals.service import Approvals
from openclaw.system_turns import SystemTurns
from shared.channels.visible import visible
from shared.errors import Busy, GatewayError
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger
from shared.obs.redact import redact_text

_log = get_logger(__name__)

SOURCE: Final = "approval"
_COMMAND_CHARS: Final = 2000
_INTERRUPTED: Final = (
    "It was started, and OpenClaw was restarted before it ended. Whether it did its work is unknown. It is not run "
    "again by itself: check what came of it, then ask anew if it is still needed."
)


class Continuation:
    """Carries decided requests to their end.

    Args:
        commands: runs them.
        cards: changed after each decision.
        turns: begins turns of the conversations.
    """

    def __init__(
        self,
        approvals: Approvals,
        commands: Commands,
        cards: ApprovalCards,
        turns: SystemTurns,
    ) -> None:
        self._approvals = approvals
        self._commands = commands
        self._cards = cards
        self._turns = turns
        self._tasks = TaskPool("approvals")
        self._busy: set[str] = set()

    async def start(self) -> None:
        """Let requests expire from now on, and take up what the last process left; call once."""
        await self._approvals.expire_due()
        self._approvals.listeners.append(self._changed)
        self._tasks.start(self._approvals.run(), name="expiry")
        for approval in await self._approvals.untold():
            if approval.state == "requested":
                self._tasks.start(self._cards.announce(approval), name="card")
            else:
                self._changed(approval)

    async def stop(self) -> None:
        """End what runs; commands that were cut are told as such by the next process."""
        await self._tasks.close()
        await self._cards.close()

    def _changed(self, approval: Approval) -> None:
        if approval.state == "requested" or approval.is_clients or approval.approval_id in self._busy:
            return
        self._busy.add(approval.approval_id)
        self._tasks.start(self._settle(approval), name=approval.approval_id)

    async def _settle(self, approval: Approval) -> None:
        try:
            await self._cards.update(approval)
            if approval.outcome is None:
                outcome = await self._carry_out(approval)
                approval = await self._approvals.note_outcome(approval.approval_id, outcome)
            await self._tell(approval)
        except Busy:
            return  # we are stopping: the next process tells
        except GatewayError as error:
            _log.warning("approval.untold", approval=approval.approval_id, reason=error.detail)
        finally:
            self._busy.discard(approval.approval_id)

    # --- running -----------------------------------------------------------------------------------------------------

    async def _carry_out(self, approval: Approval) -> str:
        if approval.state == "deny":
            return "It was not run. Do not ask for it again unless the person wants you to; look for another way."
        if approval.state == "expired":
            return "It was not run, because nobody decided in time. Ask again only if it is still needed."
        if not await self._approvals.claim(approval.approval_id):
            return _INTERRUPTED
        try:
            return await self._run(approval)
        except GatewayError as error:
            return f"It was not run after all: {error.detail}"
        except OSError as error:
            _log.exception("approval.run_failed", approval=approval.approval_id)
            return f"It could not be run on this machine ({error.strerror or type(error).__name__}), and never will be."

    async def _run(self, approval: Approval) -> str:
        """Run what was shown, and only that: policy, program and arguments are looked at once more."""
        question = approval.question
        decision = await asyncio.to_thread(self._commands.decide, question.request)
        if decision.verdict == "deny":
            return f"It was not run after all, because it is refused now: {decision.reason}"
        program, argv, digest = self._commands.identify(decision, question.request)
        if digest != approval.digest:
            return f"It was not run after all: what would run now ({program}, {len(argv)} words) is not what was shown."
        return await self._commands.run(decision, question.request, approval.session_key, question.timeout_s)

    # --- telling -----------------------------------------------------------------------------------------------------

    async def _tell(self, approval: Approval) -> None:
        """Begin a turn of the session with the outcome; its answer goes where the request came from."""
        run_id = f"{approval.approval_id}_told"
        key, text = approval.session_key, event_text(approval)
        also = self._approvals.telling(approval.approval_id)
        await self._turns.run(key, approval.chat, text, run_id, source=SOURCE, also=also)
        if not approval.chat:
            await self._approvals.note_told(approval.approval_id)


def event_text(approval: Approval) -> str:
    """What the agent reads: a system event, with the command it is about."""
    by = f" by {approval.decided_by}" if approval.decided_by else ""
    command = redact_text(visible(approval.question.command))[:_COMMAND_CHARS]
    return (
        f"[System event, not written by a person] The command that waited for an approval ({approval.approval_id}) was "
        f"{IN_WORDS[approval.state]}{by}.\nCommand: {command}\n{approval.outcome}"
    )
