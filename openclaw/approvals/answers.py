"""Answers from Discord: a pressed button, or ``/approve`` written by somebody."""

from __future__ import annotations

from openclaw.approvals.decide import USAGE, read_action, read_command
from openclaw.approvals.models import Answer, Press
from openclaw.approvals.service import Approvals
from shared.channels.base import ButtonPress, InboundMessage, Sender


class DiscordAnswers:
    """Takes answers and says what they led to."""

    def __init__(self, approvals: Approvals) -> None:
        self._approvals = approvals

    async def on_press(self, press: ButtonPress) -> str:
        """A button was pressed; the text is for the presser alone."""
        action = read_action(press.action)
        if action is None:
            return "This button belongs to an older version and does nothing any more."
        return await self._answer(*action, press.sender)

    async def on_text(self, message: InboundMessage) -> str | None:
        """The reply to a ``/approve`` message; None when the message is something else."""
        if not message.addressed or message.sender.is_bot:
            return None
        command = read_command(message.text)
        if command is None:
            return None
        approval_id, answer = command
        return USAGE if not approval_id or answer is None else await self._answer(approval_id, answer, message.sender)

    def may_answer(self, sender: Sender) -> bool:
        """Whether somebody is on the list of approvers."""
        return sender.id in self._approvals.policy.approvers

    async def _answer(self, approval_id: str, answer: Answer, sender: Sender) -> str:
        ruling = await self._approvals.press(Press(approval_id, answer, sender.id, sender.name))
        return ruling.reason
