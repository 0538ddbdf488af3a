"""Answers from Discord: a pressed button, or ``/approve`` written by somebody."""

from __future__ import annotations

from collections.abc import Sequence

from openclaw.approvals.decide import USAGE, read_action, read_words
from openclaw.approvals.models import Answer, Press
from openclaw.approvals.service import Approvals
from shared.channels.base import ButtonPress, InboundMessage, Sender
from shared.errors import Invalid
from shared.execpolicy.grants import Hole


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

    async def on_words(self, words: str, sender: Sender) -> str:
        """The reply to what somebody wrote after ``/approve``."""
        command = read_words(words)
        if command is None:
            return USAGE
        return await self._answer(command.approval_id, command.answer, sender, command.holes)

    def is_meant(self, message: InboundMessage) -> bool:
        """Whether an approver wrote ``/approve``: nobody else's rule matters then."""
        words = message.text.strip().partition(" ")[0].lower()
        return words == "/approve" and not message.sender.is_bot and self.may_answer(message.sender)

    def may_answer(self, sender: Sender) -> bool:
        """Whether somebody is on the list of approvers."""
        return sender.id in self._approvals.policy.approvers

    async def _answer(
        self, approval_id: str, answer: Answer, sender: Sender, holes: Sequence[tuple[int, Hole]] = ()
    ) -> str:
        try:
            ruling = await self._approvals.press(Press(approval_id, answer, sender.id, sender.name), holes)
        except Invalid as error:  # a hole is where none may be
            return f"Nothing was decided: {error.detail}."
        return ruling.reason
