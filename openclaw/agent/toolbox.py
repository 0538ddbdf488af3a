"""Everything OpenClaw's agent works with, put together: workspace, tools, memory, jobs, helpers, heartbeat.

What needs no running gateway is made first, since the gateway wants the registry; the rest joins once sessions and runs
are there. Who has a tool of their own adds it to `registry`.
"""

from __future__ import annotations

import asyncio

from openclaw import store
from openclaw.agent.commands import Commands
from openclaw.agent.exec_tool import Announce, ExecTool
from openclaw.agent.job_book import JobBook
from openclaw.agent.jobs import Job, Jobs, ended_text
from openclaw.agent.json_query import JSON_QUERY
from openclaw.agent.mcp.policy import load_mcp_policy
from openclaw.agent.mcp.servers import McpServers
from openclaw.agent.memory.tools import Memory
from openclaw.agent.message_tool import MessageTool
from openclaw.agent.process_tool import ProcessTool
from openclaw.agent.prompt import WorkspaceTexts
from openclaw.agent.session_tools import HELPER_SOURCE, SessionTools
from openclaw.agent.tools import ToolRegistry
from openclaw.agent.workspace.folder import Folder
from openclaw.agent.workspace.patch import PatchTool
from openclaw.agent.workspace.places import Places
from openclaw.agent.workspace.standing import HEARTBEAT_FILE, write_missing
from openclaw.agent.workspace.tools import FileTools
from openclaw.approvals.service import Approvals
from openclaw.config import OpenClawPolicy
from openclaw.heartbeat import Beat, Heartbeat
from openclaw.protocol.events import HEARTBEAT
from openclaw.recipients import Recipients
from openclaw.runs import Runs
from openclaw.services import Services
from openclaw.system_turns import TAKEN_UP, SystemTurns
from shared.channels.outbox import Outbox
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.paths import Paths
from shared.containment.egress import EgressProxy
from shared.errors import GatewayError
from shared.obs.log import get_logger
from shared.storage import Database

_log = get_logger(__name__)


class Toolbox:
    """What the agent of one tenant has.

    Args:
        announce: shows a command that waits for an approval.
        egress: the way out of MCP servers that may speak HTTP; serving when `start` is called.
    """

    def __init__(
        self,
        tenant: str,
        paths: Paths,
        policy: OpenClawPolicy,
        commands: Commands,
        approvals: Approvals,
        announce: Announce,
        egress: EgressProxy,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self.places = Places(tenant, paths)
        self._book = JobBook(paths.job_book(tenant))
        self.jobs = Jobs(clock, self._book)
        self.memory = Memory(self.places.workspace, paths.openclaw_transcripts(tenant), paths.memory_index(tenant))
        execute = ExecTool(commands, approvals, announce, self.jobs, background_s=policy.tools.background_s)
        own = (
            execute.tool,
            ProcessTool(self.jobs).tool,
            JSON_QUERY,
            *FileTools(self.places).tools,
            PatchTool(self.places).tool,
            *self.memory.tools,
        )
        self.registry = ToolRegistry(own, policy.tools, self.places.keep_result)
        self._egress = egress
        self._tenant, self._paths = tenant, paths
        self._mcp_policy = load_mcp_policy(paths)
        self.mcp: McpServers | None = None
        self._helpers: SessionTools | None = None
        self._turns: SystemTurns | None = None
        self._runs: Runs | None = None
        self.heartbeat: Heartbeat | None = None

    async def prepare(self) -> None:
        """Write the standing files that are missing."""
        if not self._policy.workspace.bootstrap:
            return
        try:
            written = await asyncio.to_thread(write_missing, Folder(self.places.workspace))
        except (GatewayError, OSError) as error:
            _log.warning("workspace.not_prepared", reason=str(error))
            return
        if written:
            _log.info("workspace.prepared", files=written)

    def texts(self, session_key: str) -> WorkspaceTexts:
        """What the workspace adds to a session's prompt."""
        return self.places.texts(session_key, self._policy.workspace)

    async def start(
        self, db: Database, services: Services, turns: SystemTurns, outbox: Outbox, recipients: Recipients
    ) -> None:
        """Join what runs: tools about sessions, helpers that a restart cut, the heartbeat."""
        sessions, runs = services.sessions, services.runs
        self._turns, self._runs = turns, runs
        self.memory.sessions = sessions
        self.jobs.ended = self._job_ended
        await self._tell_of_cut_jobs(runs, turns)
        self._helpers = SessionTools(sessions, services.transcripts, runs, turns, recipients, self._clock)
        self.registry.add(*self._helpers.tools, MessageTool(outbox, recipients).tool)
        since = self._clock.now() - TAKEN_UP
        await self._helpers.start(await db.read(lambda c: store.untold_runs(c, HELPER_SOURCE, since)))
        self.heartbeat = Heartbeat(
            self._policy.heartbeat,
            runs,
            sessions,
            outbox,
            recipients,
            self._heartbeat_file,
            self._clock,
            told=lambda beat: self._beaten(services, beat),
        )
        services.heartbeat = self.heartbeat
        self.heartbeat.start()
        # Made now, when the proxy has its port. Without servers nothing of the mcp package is loaded.
        self.mcp = McpServers(self._tenant, self._paths, self._mcp_policy, self.registry, self._egress)
        self.mcp.start()

    def _beaten(self, services: Services, beat: Beat) -> None:
        services.hub.broadcast(HEARTBEAT, beat.as_json())
        services.cron.beat()  # jobs may wait for it

    def _heartbeat_file(self) -> str | None:
        try:
            return Folder(self.places.workspace).read(HEARTBEAT_FILE).decode(errors="replace")
        except GatewayError:
            return None

    async def _tell_of_cut_jobs(self, runs: Runs, turns: SystemTurns) -> None:
        """Tell sessions of commands that ended with an earlier process; struck out once their turn is stored."""
        told = {cut.job_id for cut in self._book.load() if await runs.is_known(f"{cut.job_id}_cut")}
        self._book.keep(lambda cut: cut.job_id not in told)
        for cut in self._book.load():
            turns.begin(cut.session_key, cut.chat, cut.text, f"{cut.job_id}_cut")

    async def _job_ended(self, job: Job) -> None:
        """Tell the session of a job's end, unless its own run heard of it meanwhile."""
        if self._runs is None or self._turns is None:
            return
        await self._runs.ended(job.context.run_id)
        if not job.told:
            self._turns.begin(job.context.session_key, job.context.chat, ended_text(job), f"{job.job_id}_ended")

    async def close(self) -> None:
        """End what runs for the agent."""
        if self.mcp is not None:
            await self.mcp.close()
        if self.heartbeat is not None:
            await self.heartbeat.close()
        if self._helpers is not None:
            await self._helpers.close()
        await self.jobs.close()
        await self.registry.close()
        await self.memory.close()
