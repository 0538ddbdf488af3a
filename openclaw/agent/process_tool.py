"""The ``process`` tool: look after commands that run in the background."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from openclaw.agent.jobs import Job, Jobs
from openclaw.agent.output import bounded, clean_output
from openclaw.agent.tools import Arguments, Tool, ToolContext, make_tool
from shared.errors import Invalid

_LOG_LINES: Final = 200
_LOG_CHARS: Final = 20_000
_WAIT_MS: Final = 60_000


class ProcessArguments(Arguments):
    """``process``."""

    action: Literal["list", "poll", "log", "write", "kill", "remove"]
    job: Annotated[str, Field(max_length=80, description="As exec named it.")] = ""
    timeout_ms: Annotated[int, Field(ge=0, le=_WAIT_MS, description="poll: wait so long for its end.")] = 5000
    offset: Annotated[int, Field(ge=0, description="log: first line.")] = 0
    limit: Annotated[int, Field(ge=1, le=5000, description="log: how many lines.")] = _LOG_LINES
    data: Annotated[str, Field(max_length=100_000, description="write: what it is given to read.")] = ""
    eof: Annotated[bool, Field(description="write: this was all.")] = False


class ProcessTool:
    """Answers about a session's own jobs."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    @property
    def tool(self) -> Tool:
        """For the registry."""
        return make_tool(
            "process",
            "Look after commands that exec left running in the background: list them, poll one for new output and its "
            "end, read its log, write to its input, kill it, remove an ended one.",
            ProcessArguments,
            self._run,
            label="Process",
            group="runtime",
            outside=True,
            timeout_s=_WAIT_MS / 1000 + 30,
        )

    async def _run(self, given: ProcessArguments, context: ToolContext) -> str:
        if given.action == "list":
            found = self._jobs.of(context.session_key)
            return "\n".join(f"{job.job_id}: {job.state}: {job.command[:200]}" for job in found) or "no jobs"
        if not given.job:
            raise Invalid(f"{given.action} needs the job's name", code="job.name")
        job = self._jobs.find(given.job, context.session_key)
        if given.action == "poll":
            await self._jobs.wait(job, given.timeout_ms / 1000)
            return self._jobs.news(job)
        if given.action == "log":
            return _log(job, given.offset, given.limit)
        if given.action == "write":
            if await job.contained.write(given.data.encode(errors="replace"), ends=given.eof):
                return "written"
            raise Invalid(f"{job.job_id} takes no input (any more)", code="job.input")
        if given.action == "kill":
            await self._jobs.kill(job)
            return f"{job.job_id} was ended"
        if self._jobs.remove(job):
            return f"{job.job_id} was removed"
        raise Invalid(f"{job.job_id} still runs: kill it first", code="job.running")


def _log(job: Job, offset: int, limit: int) -> str:
    lines = clean_output(job.contained.stdout + job.contained.stderr).splitlines()
    shown = lines[offset : offset + limit]
    head = f"{job.state}; lines {offset + 1} to {offset + len(shown)} of {len(lines)}"
    return f"{head}\n{bounded(chr(10).join(shown), _LOG_CHARS)}" if shown else f"{job.state}; {len(lines)} lines"
