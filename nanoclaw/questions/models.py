"""A question with what became of it, and who may answer it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.channels.base import Button, ButtonPress, ChatId, InboundMessage

ACTION = "ask"
"""First part of the action of every button under a question."""

QuestionState = Literal["open", "answered", "unanswered"]


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Attributes:
        key: its place in its run and its wording; the same in a repeated run, which therefore finds the answer.
        options: labels of the buttons, none for a free answer.
        asked_by: ids of the people whose messages the run answers.
        answer: the label that was pressed, or what a person wrote.
        answered_by: that person's name.
    """

    key: str
    run_id: str
    folder: str
    chat: ChatId
    text: str
    options: tuple[str, ...]
    asked_by: frozenset[str]
    asked_at: datetime
    expires_at: datetime
    state: QuestionState = "open"
    answer: str = ""
    answered_by: str = ""

    @property
    def buttons(self) -> tuple[Button, ...]:
        """One for each option."""
        return tuple(Button(f"{ACTION}:{self.key}:{n}", label, "primary") for n, label in enumerate(self.options))

    @property
    def ending(self) -> str:
        """How the message reads once the question is closed."""
        what = f"{self.answer} ({self.answered_by})" if self.answer in self.options else ""
        line = {"open": "", "answered": what, "unanswered": "no answer in time"}[self.state]
        return f"{self.text}\n→ {line}" if line else self.text


@dataclass(frozen=True, slots=True)
class Pressed:
    """A press of one of our buttons, taken apart."""

    key: str
    option: int


def parse_action(action: str) -> Pressed | None:
    """The question and option a button stands for; None when it is not one of ours."""
    kind, _, rest = action.partition(":")
    key, _, number = rest.rpartition(":")
    if kind != ACTION or not key or not number.isdecimal() or len(number) > 2:
        return None
    return Pressed(key, int(number))


@dataclass(frozen=True, slots=True)
class PressVerdict:
    """What a press does: it answers with `option`, or not; `reply` is shown to the presser alone."""

    option: str
    reply: str


def decide_press(
    press: ButtonPress, option: int, question: Question | None, *, run_is_open: bool, now: datetime
) -> PressVerdict:
    """Decide whether a press answers a question.

    Args:
        press: who pressed where.
        option: number of the button.
        question: as it is stored.
        run_is_open: somebody waits for the answer, or will when the run is tried again.
        now: for the question's end.
    """
    if question is None or question.chat != press.chat or option >= len(question.options):
        return PressVerdict("", "This button does not belong to a question of this chat.")
    if press.sender.is_bot:
        return PressVerdict("", "Only people can answer this.")
    if question.state == "answered":
        return PressVerdict("", f"This was answered already: {question.answer} ({question.answered_by}).")
    if question.state == "unanswered" or now >= question.expires_at or not run_is_open:
        return PressVerdict("", "Too late, sorry: nobody waits for this answer any more. Just write what you want.")
    return PressVerdict(question.options[option], f"Noted: {question.options[option]}")


def is_answer(message: InboundMessage, question: Question, *, calls: bool) -> bool:
    """Whether a message answers an open question of its chat instead of beginning a run.

    Among several people, talk that neither calls the assistant nor comes from those who asked it is no answer.

    Args:
        message: what came in.
        question: what is waited for.
        calls: without the question the message would be answered by the agent.
    """
    says_something = bool(message.text.strip() or message.attachments)
    if message.chat != question.chat or message.sender.is_bot or message.task_run or not says_something:
        return False
    return calls or message.sender.id in question.asked_by


def answer_in(message: InboundMessage) -> str:
    """What a message says as an answer; its files are fetched into the group's folder meanwhile."""
    files = (f"[{attachment.name}, being fetched into attachments/{message.id}/]" for attachment in message.attachments)
    return "\n".join(part for part in (message.text.strip(), *files) if part)
