"""The ``cron`` tool: an agent's own jobs, delivered to the conversation they were asked for in."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from openclaw.agent.tools import Tool, ToolContext
from openclaw.cron.queries import JobQuery, RunQuery
from openclaw.cron.service import CronJobs
from openclaw.protocol.errors import problems
from shared.errors import Denied, Invalid
from shared.providers import ToolSpec

LEAST_GAP_S: Final = 60.0
"""Shortest time between two runs of a job that an agent makes: each costs a turn."""
_MOST: Final = 20

_DESCRIPTION = (
    "Scheduled jobs of this conversation. action: list, add, update, remove, run (now) or runs (what came of them). "
    "A job is {name, schedule, payload, sessionTarget?, delivery?, deleteAfterRun?}; schedule is {kind: at, at: ISO "
    "time with offset} or {kind: every, everyMs} or {kind: cron, expr: five fields, tz: IANA zone}; payload is "
    "{kind: agentTurn, message} for a turn of its own whose answer is posted here, or {kind: systemEvent, text} for a "
    "note to the main session. Write the message so that it is understood without this conversation."
)
_PARAMETERS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "action": {"type": "string", "enum": ["list", "add", "update", "remove", "run", "runs"]},
        "job": {"type": "object", "description": "For add: the job."},
        "jobId": {"type": "string", "description": "For update, remove, run, runs."},
        "patch": {"type": "object", "description": "For update: the fields that change; null takes one away."},
    },
    "required": ["action"],
    "additionalProperties": False,
}


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    action: Literal["list", "add", "update", "remove", "run", "runs"]
    job: dict[str, Any] = Field(default_factory=dict)
    job_id: str = Field(default="", alias="jobId", max_length=100)
    patch: dict[str, Any] = Field(default_factory=dict)


class CronTool:
    """Lets the agent schedule: jobs of its own conversation only, whose answers go nowhere else."""

    def __init__(self, jobs: CronJobs) -> None:
        self._jobs = jobs

    @property
    def tool(self) -> Tool:
        """For the registry."""
        return Tool(ToolSpec("cron", _DESCRIPTION, _PARAMETERS), self._cron, "Scheduled jobs", "automation")

    async def _cron(self, given: dict[str, Any], context: ToolContext) -> str:
        try:
            asked = _Arguments.model_validate(given)
        except ValidationError as error:
            raise Invalid(f"cron: {problems(error)}") from None
        if context.session_key.split(":")[2:3] == ["cron"] and asked.action in ("add", "run"):
            raise Denied("a scheduled run does not schedule further runs", code="cron.nested")
        return json.dumps(await self._answer(asked, context), ensure_ascii=False)

    async def _answer(self, asked: _Arguments, context: ToolContext) -> object:
        owner = context.session_key
        match asked.action:
            case "list":
                return await self._jobs.listing(JobQuery(enabled="all", limit=_MOST), owner=owner)
            case "add":
                return await self._add(asked.job, context)
            case "runs":
                await self._jobs.own(_id(asked), owner)
                return await self._jobs.history(RunQuery(job_id=_id(asked), limit=_MOST))
            case "remove":
                return {"removed": await self._jobs.remove(_id(asked), owner=owner)}
            case "run":
                reason = await self._jobs.run(_id(asked), owner=owner)
                return {"ran": not reason, **({"reason": reason} if reason else {})}
            case "update":
                if "delivery" in asked.patch:
                    _check_delivery(asked.patch["delivery"], context)
                job = await self._jobs.update(_id(asked), asked.patch, least_gap_s=LEAST_GAP_S, owner=owner)
                return await self._jobs.wire(job)

    async def _add(self, fields: dict[str, Any], context: ToolContext) -> object:
        payload = fields.get("payload")
        if "delivery" in fields:
            _check_delivery(fields["delivery"], context)
        elif context.chat.startswith("dc:") and isinstance(payload, dict) and payload.get("kind") == "agentTurn":
            fields = fields | {"delivery": {"mode": "announce", "channel": "discord", "to": _here(context)}}
        key = f"{context.run_id}:{_fingerprint(fields)}"
        job = await self._jobs.add(fields, made_by=context.session_key, least_gap_s=LEAST_GAP_S, key=key)
        return await self._jobs.wire(job)


def _id(asked: _Arguments) -> str:
    if not asked.job_id:
        raise Invalid(f"cron: {asked.action} needs jobId: list the jobs first")
    return asked.job_id


def _here(context: ToolContext) -> str:
    return f"channel:{context.chat.removeprefix('dc:')}"


def _check_delivery(delivery: object, context: ToolContext) -> None:
    """Where an agent may send answers: here, or nowhere.

    Raises:
        Denied: it is somewhere else.
    """
    if not isinstance(delivery, dict):
        return  # refused as no job
    if delivery.get("mode") == "webhook" or delivery.get("to") not in (None, _here(context)):
        raise Denied(
            "cron: an answer goes to this conversation (leave delivery out) or nowhere (mode none); the operator can "
            "set another place with `openclaw cron edit`",
            code="cron.delivery",
        )


def _fingerprint(fields: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True, default=str).encode()).hexdigest()[:24]
