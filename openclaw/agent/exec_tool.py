"""The ``exec`` tool: run what is covered, ask a person about the rest, say why something is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from openclaw.agent.commands import Commands
from openclaw.agent.jobs import Jobs
from openclaw.agent.tools import Tool, ToolContext, parse_arguments
from openclaw.approvals.models import Approval, Question
from openclaw.approvals.service import Approvals
from openclaw.config import OPERATOR
from shared.errors import Denied, Invalid
from shared.execpolicy.grants import Grant, make_grant
from shared.execpolicy.models import Decision, ExecRequest
from shared.providers import ToolSpec

COMMAND_CHARS: Final = 32_768
TIMEOUT_S: Final = 60.0
LONGEST_S: Final = 1800.0
_LONGEST_YIELD_S: Final = 120.0
_ANNOUNCE_S: Final = 60.0

_DESCRIPTION = (
    "Run one plain command on the gateway host, contained in this session's workspace folder. There is no shell: no "
    "pipes, redirections, variables or chains. curl to public addresses with harmless options and literal values runs "
    "at once; anything else is shown to a person first, and the outcome comes later as a message in this conversation. "
    "A command that takes long goes on in the background; the process tool follows it. "
    "Read JSON with the json_query tool instead of node."
)
_PARAMETERS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "command": {"type": "string", "description": "The command and its arguments, quoted as for a shell."},
        "workdir": {
            "type": "string",
            "description": "Folder inside the workspace; the workspace itself when left out.",
        },
        "env": {"type": "object", "additionalProperties": {"type": "string"}, "description": "Further variables."},
        "timeout": {"type": "number", "description": f"Seconds, {TIMEOUT_S:g} when left out, {LONGEST_S:g} at most."},
        "background": {"type": "boolean", "description": "Do not wait for it at all; it can be given input then."},
        "yieldMs": {"type": "integer", "description": "Milliseconds to wait before it goes on in the background."},
    },
    "required": ["command"],
    "additionalProperties": False,
}

Announce = Callable[[Approval], Awaitable[str]]
"""Shows a request to the approvers; returns who was reached, in words, empty when nobody could be."""


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    command: Annotated[str, Field(min_length=1, max_length=COMMAND_CHARS)]
    workdir: Annotated[str, Field(max_length=1000)] = ""
    env: Annotated[dict[str, str], Field(max_length=50)] = Field(default_factory=dict)
    timeout: Annotated[float, Field(gt=0, le=LONGEST_S)] = TIMEOUT_S
    background: bool = False
    yield_ms: int | None = Field(default=None, ge=10, le=120_000, alias="yieldMs")


class ExecTool:
    """Runs commands for the agent.

    Args:
        announce: shows a request to the approvers.
        jobs: keeps what runs in the background.
        background_s: how long a command is waited for.
    """

    def __init__(
        self, commands: Commands, approvals: Approvals, announce: Announce, jobs: Jobs, *, background_s: float
    ) -> None:
        self._commands = commands
        self._approvals = approvals
        self._announce = announce
        self._jobs = jobs
        self._background_s = background_s

    @property
    def tool(self) -> Tool:
        """For the registry."""
        spec = ToolSpec("exec", _DESCRIPTION, _PARAMETERS)
        return Tool(spec, self._exec, "Command", "runtime", outside=True, timeout_s=_LONGEST_YIELD_S + _ANNOUNCE_S)

    async def _exec(self, given: dict[str, Any], context: ToolContext) -> str:
        arguments = parse_arguments(_Arguments, given, "exec")
        request = self._commands.request(arguments.command, arguments.env, arguments.workdir, context.session_key)
        grants = [Grant.model_validate(stored.grant) for stored in await self._approvals.grants()]
        decision = self._commands.decide(request, grants)
        if decision.verdict == "deny":
            raise Denied(
                f"refused by policy: {decision.reason} (rule {decision.rule}). It was not run and nobody was asked; "
                "no approval lifts this. Write it differently, or say that you cannot do it.",
                code="exec.denied",
            )
        if decision.verdict == "allow":
            if decision.rule == "granted" and decision.argv is not None:
                await self._approvals.use_grant(decision.argv, request.cwd)
            return await self._run(decision, request, arguments, context)
        return await self._ask(decision, request, arguments.timeout, context)

    async def _run(self, decision: Decision, request: ExecRequest, arguments: _Arguments, context: ToolContext) -> str:
        self._jobs.room(context.session_key)
        yield_s = self._background_s if arguments.yield_ms is None else arguments.yield_ms / 1000
        contained = await self._commands.start(
            decision, request, context.session_key, arguments.timeout, with_input=arguments.background
        )
        return await self._jobs.run(
            contained, request.command, context, yield_s=0.0 if arguments.background else yield_s
        )

    async def _ask(self, decision: Decision, request: ExecRequest, timeout_s: float, context: ToolContext) -> str:
        if not self._approvals.policy.approvers:
            raise Denied(
                f"this command needs an approval ({decision.reason}), and nobody may give one: the operator has to "
                "list approvers in policies/openclaw.toml. It was not run.",
                code="exec.no_approver",
            )
        program, argv, digest = self._commands.identify(decision, request)
        question = Question(
            command=request.command,
            argv=argv,
            program=program,
            cwd=request.cwd,
            env=dict(request.env),
            timeout_s=timeout_s,
            rule=decision.rule,
            reason=decision.reason,
            always=_why_not_always(request),
        )
        approval = await self._approvals.request(
            question, digest, session_key=context.session_key, run_id=context.run_id, chat=context.chat
        )
        reached = await self._announce(approval)
        minutes = max(1, round(self._approvals.policy.expires_s / 60))
        return (
            f"status: approval-pending\nid: {approval.approval_id}\nwhy: {decision.reason}\n"
            f"{reached or self._unreached(approval)}\n"
            f"The command has not run. It is decided within {minutes} min or not at all, and you are told here what "
            "came of it. End your turn now: tell the person that it waits for an approval. Do not repeat the call."
        )

    def _unreached(self, approval: Approval) -> str:
        told = "NO APPROVER COULD BE REACHED BY MESSAGE. Tell the person so at once."
        if OPERATOR in self._approvals.policy.approvers:
            told += (
                f" Somebody on the gateway host can run `openclaw approvals allow {approval.approval_id}` (or deny)."
            )
        return told


def _why_not_always(request: ExecRequest) -> str:
    try:
        make_grant(request)
    except Invalid as error:
        return error.detail
    return ""
