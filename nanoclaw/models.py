"""Values of a run: what is being answered, how far it is, and what must be known to go on with it after a restart."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from nanoclaw.agent.replay import Calls
from nanoclaw.agent.stream import Usage
from nanoclaw.groups import Group
from nanoclaw.tasks.models import TaskRun
from shared.channels.base import ChatId, InboundMessage
from shared.channels.inbox import Claimed

if TYPE_CHECKING:
    from nanoclaw.agent.session import AgentSession


@dataclass(frozen=True, slots=True)
class Asking:
    """What a group's agent was asked last, and where in its worker's output the answer begins.

    It is stored before the prompt is written. That a prompt is here does not say that the worker has it; but to write
    it again under the same uuid asks nothing twice (`nanoclaw.agent.replay`).

    Attributes:
        is_isolated: it was asked in a conversation of its own, beside the group's.
        asked: inbox ids of the messages to be answered.
        context: inbox ids of those that came along.
        claims: how often the messages had been claimed; tells this try from a later one.
        prompt_id: uuid of the prompt.
        line: number of the worker's last stdout line before it.
        spent_usd: what the conversation had cost before, None when that was not known.
        resumes: how often a restarted process went on with it.
    """

    folder: str
    is_isolated: bool
    run_id: str
    attempt: int
    chat: ChatId
    asked: tuple[int, ...]
    context: tuple[int, ...]
    claims: int
    worker_id: str
    prompt_id: str
    line: int
    spent_usd: float | None
    began_at: datetime
    resumes: int = 0


@dataclass(frozen=True, slots=True)
class Halt:
    """Why a run is not to go on: a person said so, or it took too long."""

    kind: Literal["stopped", "timeout"]
    by: str = ""


@dataclass(slots=True)
class Run:
    """One try to answer a batch of messages.

    Attributes:
        id: stays the same over all tries.
        attempt: from 1.
        chat: where it is answered: the group's channel, or a thread of it.
        task: the scheduled task's run whose prompt is answered; None for people's messages.
        calls: how often the agent called each of our tools in this try, as far as it was heard by this process.
        calls_before: numbers of the calls that an earlier process dealt with.
        shows_pictures: its prompt holds pictures, which the model may refuse.
        prompt_id: uuid of the prompt; a run taken up after a restart has it from the start.
        resumes: how often it was taken up after a restart.
        is_with_agent: it has, or is getting, the group's worker.
        session: who is being asked, while that lasts.
        halt: it is being ended from outside.
        is_settling: the answer is about to become durable; from here on nothing can halt the run.
        is_answered: the answer is durable; nothing that fails after this may bring the messages up again.
        cut: a deadline over the whole run, brought forward to end it at once.
        over: the run has ended.
    """

    id: str
    attempt: int
    group: Group
    chat: ChatId
    asked: Sequence[Claimed]
    context: Sequence[Claimed]
    began_at: datetime
    began_s: float
    queue_ms: float
    task: TaskRun | None = None
    calls: Counter[str] = field(default_factory=Counter)
    calls_before: Calls = field(default_factory=dict)
    shows_pictures: bool = False
    prompt_id: str = ""
    resumes: int = 0
    is_with_agent: bool = False
    session: AgentSession | None = None
    halt: Halt | None = None
    is_settling: bool = False
    is_answered: bool = False
    worker_id: str = ""
    start_ms: float = 0.0
    first_output_ms: float | None = None
    limit_resets_at: int = 0
    usage: Usage = field(default_factory=Usage)
    cut: asyncio.Timeout = field(default_factory=lambda: asyncio.timeout(None))
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def number_of_call(self, tool: str) -> int:
        """The number of a new call of a tool: the next one that is not taken."""
        dealt_with = self.calls_before.get(tool, ())
        self.calls[tool] += 1
        while self.calls[tool] in dealt_with:
            self.calls[tool] += 1
        return self.calls[tool]

    @property
    def is_isolated(self) -> bool:
        """It has a conversation of its own that ends with it."""
        return self.task is not None and self.task.context == "isolated"

    @property
    def ids(self) -> list[int]:
        """Inbox ids of the messages it answers."""
        return [item.id for item in self.asked]

    @property
    def messages(self) -> list[InboundMessage]:
        """The messages it answers."""
        return [item.message for item in self.asked]
