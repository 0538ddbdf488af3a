"""Values of the approvals: what was asked, what somebody pressed, and what became of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from shared.execpolicy.models import ExecRequest
from shared.execpolicy.shell import read_command

Answer = Literal["allow_once", "allow_always", "deny"]
State = Literal["requested", "allow_once", "allow_always", "deny", "expired"]

CLIENT: Final = "client:"
"""How the run id of a request begins that a client of the gateway filed: it runs the command itself, or does not."""

IN_WORDS: Final[dict[State, str]] = {
    "requested": "waiting",
    "allow_once": "allowed once",
    "allow_always": "allowed always",
    "deny": "denied",
    "expired": "expired",
}


@dataclass(frozen=True, slots=True)
class Question:
    """What an approver is shown, and all that is needed to run it later.

    Attributes:
        command: the text the agent wrote.
        argv: what would be executed, with all that we add.
        program: the resolved executable.
        cwd: working directory; empty means the session's workspace.
        env: further variables. Approvers see their names only.
        timeout_s: how long it may run.
        rule: why it was not covered, as a stable name.
        reason: the same for people.
        always: why "always" cannot be chosen; empty when it can.
    """

    command: str
    argv: tuple[str, ...]
    program: str
    cwd: str
    env: dict[str, str]
    timeout_s: float
    rule: str
    reason: str
    always: str = ""

    @property
    def request(self) -> ExecRequest:
        """The command as it was asked for."""
        return ExecRequest(self.command, self.env, self.cwd)

    def as_json(self) -> dict[str, Any]:
        """For the store."""
        return {**asdict(self), "argv": list(self.argv)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Question:
        """From the store."""
        return cls(**{**value, "argv": tuple(value["argv"])})


@dataclass(frozen=True, slots=True)
class Approval:
    """One request.

    Attributes:
        chat: where the agent was asked; empty for the Control UI.
        digest: `argv_digest` of what was shown; what runs must have the same.
        decided_by: a name for people; empty when nobody decided.
        started_at: when the command was claimed; it is never started again.
        outcome: what the agent is told; None until it is known.
        told_at: when the conversation has heard it.
    """

    approval_id: str
    session_key: str
    run_id: str
    chat: str
    question: Question
    digest: str
    state: State
    requested_at: datetime
    expires_at: datetime
    decided_at: datetime | None = None
    decided_by: str = ""
    started_at: datetime | None = None
    outcome: str | None = None
    told_at: datetime | None = None

    @property
    def is_clients(self) -> bool:
        """A client of the gateway asks, and waits for the decision: nothing is run or told here."""
        return self.run_id.startswith(CLIENT)

    def as_json(self) -> dict[str, Any]:
        """For people and programs; values of variables stay here."""
        question = self.question
        return {
            "id": self.approval_id,
            "state": self.state,
            "command": question.command,
            "words": [word.text for word in read_command(question.command).words],
            "argv": list(question.argv),
            "program": question.program,
            "cwd": question.cwd,
            "env_names": sorted(question.env),
            "rule": question.rule,
            "reason": question.reason,
            "always_impossible_because": question.always,
            "digest": self.digest,
            "session": self.session_key,
            "chat": self.chat,
            "requested_at": self.requested_at.isoformat(),
            "expires_at": self.expires_at.isoformat(),
            "decided_at": self.decided_at.isoformat() if self.decided_at else None,
            "decided_by": self.decided_by,
            "started_at": self.started_at.isoformat() if self.started_at else None,
            "outcome": self.outcome,
        }


@dataclass(frozen=True, slots=True)
class Press:
    """Somebody's answer, wherever it was given.

    Attributes:
        approver: the name in the list of approvers: a Discord user id, or ``operator``.
        name: what people call them.
    """

    approval_id: str
    answer: Answer
    approver: str
    name: str

    @property
    def shown_name(self) -> str:
        """Name and id, so that nobody can borrow another's name."""
        return self.name if self.name == self.approver else f"{self.name} ({self.approver})"


@dataclass(frozen=True, slots=True)
class Ruling:
    """What an answer leads to.

    Attributes:
        counts: it decides.
        reason: for the one who gave it.
    """

    counts: bool
    reason: str
    refusal: Literal["", "foreign", "late", "unknown"] = ""


@dataclass(frozen=True, slots=True)
class StoredGrant:
    """An argument list that somebody allowed for good.

    Attributes:
        grant: as `shared.execpolicy.grants.Grant` writes itself.
    """

    grant_id: str
    grant: dict[str, Any]
    approval_id: str
    created_by: str
    created_at: datetime
    last_used_at: datetime | None = field(default=None)

    def as_json(self) -> dict[str, Any]:
        """For people and programs."""
        return {
            "id": self.grant_id,
            "words": self.grant["words"],
            "cwd": self.grant.get("cwd", ""),
            "approval": self.approval_id,
            "created_by": self.created_by,
            "created_at": self.created_at.isoformat(),
            "last_used_at": self.last_used_at.isoformat() if self.last_used_at else None,
        }
