"""The NanoClaw process: what it is made of, in which order it starts, and how it ends."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from nanoclaw.administration import Administration
from nanoclaw.agent.base import WorkerGateway, WorkerSpec
from nanoclaw.agent.host import AgentHost
from nanoclaw.agent.residents import Residents
from nanoclaw.agent.tools.chat import ChatTools
from nanoclaw.agent.tools.groups import GroupTools
from nanoclaw.agent.tools.posts import PostTools
from nanoclaw.agent.tools.server import SERVER_NAME, ToolServer
from nanoclaw.agent.tools.web import WebTools
from nanoclaw.archive import archive
from nanoclaw.attachments import Attachments
from nanoclaw.channels import Channels, Connectors, Platform, connectors_of
from nanoclaw.commands import COMMANDS, Commands
from nanoclaw.config import GLOBAL_FOLDER, NanoclawPolicy, load, with_settings, zone_of
from nanoclaw.control import operations
from nanoclaw.figures import NanoclawFigures, RunCounts
from nanoclaw.gaps import tell_gap
from nanoclaw.groups import Group, GroupRegistry
from nanoclaw.intake import Intake
from nanoclaw.lanes import DONE, Lanes, LaneView, Turn
from nanoclaw.light import LightRoute, ModelGateway
from nanoclaw.memory import global_memory, make_group_memory
from nanoclaw.metrics import RoutingLog
from nanoclaw.models import Run
from nanoclaw.prompt import system_prompt
from nanoclaw.questions.service import Questions
from nanoclaw.questions.store import QuestionStore
from nanoclaw.queuenotes import QueueNotes
from nanoclaw.recovery import recover
from nanoclaw.rereading import Rereading
from nanoclaw.runs import Runs
from nanoclaw.schema import MIGRATIONS, declare
from nanoclaw.showing import Showing
from nanoclaw.standby import Standby
from nanoclaw.store import Store
from nanoclaw.tasks.schedule import TaskSchedule
from nanoclaw.tasks.service import Tasks
from nanoclaw.tasks.tools import TaskTools
from nanoclaw.turns import Turns
from nanoclaw.without import tell_without
from shared.backup.job import BackupGateway, backup_job
from shared.channels.base import ButtonPress, Channel, ChannelHandlers, ChatId, Form, Gap, InboundMessage
from shared.channels.inbox import Inbox
from shared.channels.marks import Marks
from shared.channels.outbox import Outbox
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.paths import Paths
from shared.errors import ExitCode
from shared.gatewayclient.models import SearchOffer
from shared.gatewayclient.process import tenant_process
from shared.gatewayclient.web import WebGateway
from shared.lifecycle.control import ControlServer
from shared.lifecycle.notify import keep_watchdog, notify
from shared.lifecycle.signals import stop_on_signals
from shared.lifecycle.tasks import TaskPool
from shared.maintenance.jobs import process_logs, tenant_jobs
from shared.maintenance.logs import LogFolder
from shared.maintenance.policy import MaintenancePolicy
from shared.maintenance.service import Maintenance
from shared.metrics.serving import serving_metrics
from shared.notices import delivering_notices
from shared.obs.log import get_logger
from shared.posting.cards import CardGateway, PostCards
from shared.posting.tools import PostGateway
from shared.social.models import Network
from shared.storage import Database

_log = get_logger(__name__)
_FLUSH_S = 3.0
_GATEWAY_WAIT_S = 60.0


class Gateway(WorkerGateway, ModelGateway, WebGateway, PostGateway, CardGateway, BackupGateway, Protocol):
    """All we ask of the gateway while running."""


class Tenant:
    """One NanoClaw: channels → intake → lanes → runs → outbox → channels.

    Args:
        name: the tenant's name.
        paths: where its files are.
        gateway: its connection to the gateway.
        policy: the effective policy.
        connectors: the chat platforms it is on.
        zone: the owner's: for the times an agent sees, and for what is scheduled.
        web_search: which groups are offered it; none when left out.
        posting: groups that may post, by network; none when left out.
        post_cards: people are asked about posts by cards.
    """

    def __init__(
        self,
        name: str,
        paths: Paths,
        gateway: Gateway,
        policy: NanoclawPolicy,
        *,
        connectors: Connectors,
        zone: ZoneInfo,
        web_search: SearchOffer | None = None,
        posting: Mapping[Network, Sequence[str]] | None = None,
        post_cards: bool = False,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.name = name
        self.paths = paths
        self._has_post_cards = post_cards
        self.gateway = gateway
        self.policy = policy
        self.zone = zone
        self.clock = clock
        self.started_at = clock.now()
        self.stop_requested = asyncio.Event()
        self.metrics_port = 0
        self._run_counts = RunCounts()
        tables, kept = declare(), MaintenancePolicy.load(paths)
        self.db = Database(paths.tenant_db(name), migrations=MIGRATIONS)
        self.store = Store(self.db, tables, clock)
        self.inbox = Inbox(self.db, tables.channels, clock)
        self.outbox = Outbox(self.db, tables.channels, self._channel_for, clock, spool=paths.outbox_spool(name))
        self.registry = GroupRegistry()
        self.queue_notes = QueueNotes(
            self.inbox,
            self.outbox,
            after_s=policy.runs.queue_note_s,
            lane_of=self.registry.lane_of,
            look=self._look,
        )
        self.lanes = Lanes(
            self._turn,
            max_running=policy.runs.max_concurrent,
            waiting=self.queue_notes,
            on_empty=self._emptied,
            clock=clock,
        )
        self.attachments = Attachments(
            self.inbox, policy.attachments, channel_for=self._channel_for, folder_of=self._folder_of
        )
        self.questions = Questions(QuestionStore(self.db), self.inbox, self.outbox, clock)
        self.intake = Intake(
            self.inbox,
            self.outbox,
            self.store,
            self.registry,
            policy,
            self.attachments,
            questions=self.questions,
            wake=self.wake,
            welcome=self._welcome,
        )
        self.residents = Residents(
            gateway,
            self.store,
            spec_of=self._spec_of,
            host_of=self._host_of,
            on_notes=self._tell_without,
            on_change=self._worker_changed,
        )
        self.standby = Standby(
            self.residents,
            lambda: self.registry,
            policy.standby,
            last_active=self.store.last_active,
            places=policy.runs.max_concurrent,
            clock=clock,
        )
        self.schedule = TaskSchedule(self.db, tables, policy.tasks, wake=self.wake_chat, clock=clock)
        self.tasks = Tasks(self.db, tables, self.registry, policy.tasks, schedule=self.schedule, zone=zone, clock=clock)
        self.runs = Runs(
            inbox=self.inbox,
            outbox=self.outbox,
            store=self.store,
            residents=self.residents,
            light=LightRoute(gateway, policy.light, assistant_name=policy.assistant_name, clock=clock),
            metrics=RoutingLog(paths.routing_metrics(name), zone, self._run_counts.count),
            policy=policy,
            schedule=self.schedule,
            admit=self.intake.admit,
            showing=Showing(self.attachments, policy.attachments, zone=zone, folder_of=self._folder_of),
            group_of=self.registry.of_chat,
            begun=self._begun,
            zone=zone,
            clock=clock,
        )
        self.administration = Administration(
            self.registry, self.intake, self.runs, self.residents, self.inbox, self.lanes.hurry
        )
        self.commands = Commands(
            registry=self.registry,
            runs=self.runs,
            lanes=self.lanes,
            residents=self.residents,
            store=self.store,
            inbox=self.inbox,
            gateway=gateway,
            policy=policy,
            zone=zone,
            clock=clock,
        )
        self.tools = ToolServer(
            [
                ChatTools(
                    self.outbox,
                    self.questions,
                    self.registry,
                    folder_of=self._folder_of,
                    ask_timeout_s=policy.agent.ask_timeout_s,
                    clock=clock,
                ),
                GroupTools(self.administration),
                TaskTools(self.tasks),
                WebTools(gateway, web_search or SearchOffer()),
                PostTools(gateway, posting or {}, self._folder_of),
            ],
            place_of=self.runs.place,
            group_of=self.registry.of_folder,
            clock=clock,
        )
        rereading = Rereading(
            self.inbox, self._channel_for, on_edit=self.intake.on_edit, on_delete=self.intake.on_delete
        )
        self.turns = Turns(
            self.inbox,
            self.runs.turn,
            prepare=rereading.refresh,
            release=rereading.forget,
            going_on=self.runs.going_on,
            longest_rest_s=max(policy.runs.retry_delays_s, default=60.0),
            clock=clock,
        )
        jobs = tenant_jobs(
            self.db,
            self.inbox,
            self.outbox,
            lambda: log_folders(paths, name),
            kept,
            forget_too=self._forget_runs,
            clock=clock,
        )
        jobs.append(backup_job("nanoclaw", name, paths, gateway))
        self.maintenance = Maintenance(
            self.db,
            jobs,
            kept,
            zone,
            clock=clock,
        )
        self.post_cards = PostCards(gateway, self.outbox, clock=clock)
        self._marks = Marks(self.db, tables.channels)
        self.channels = Channels(connectors, self._handlers)
        self._tasks = TaskPool(f"tenant.{name}")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Tenant]:
        """Be up inside the block. On the way out: nothing new, running answers finish, what is said gets sent."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.db.close)
            await self.db.open()
            for group in await self.store.groups():
                self.registry.put(group)
            await self.intake.register_from_policy()
            stack.push_async_callback(self._tasks.close)
            stack.push_async_callback(self.residents.close)
            stack.push_async_callback(self.attachments.close)
            stack.push_async_callback(self.runs.close)
            stack.push_async_callback(self.queue_notes.close)
            stack.push_async_callback(self.lanes.close)
            await self.maintenance.start()
            if (port := self.policy.metrics.port) is not None:
                figures = NanoclawFigures(self, self._run_counts)
                self.metrics_port = await stack.enter_async_context(
                    serving_metrics(figures, "nanoclaw", port, self.clock)
                )
            control = ControlServer(self.paths.control_socket(self.name), operations(self))
            await control.start()
            stack.push_async_callback(control.stop)
            if self.channels:
                if len(self.registry):
                    self.residents.warm()
                self._delivering = self._tasks.start(self.outbox.run(), name="outbox")
                await recover(
                    inbox=self.inbox,
                    store=self.store,
                    residents=self.residents,
                    runs=self.runs,
                    wake=self.wake_chat,
                    notes=self.queue_notes,
                    groups=list(self.registry),
                    longest_rest_s=self.turns.longest_rest_s,
                    clock=self.clock,
                )
                self.channels.start(self._tasks)
                self._tasks.start(self.standby.run(), name="standby")
                if self._has_post_cards:
                    self._tasks.start(self.post_cards.run(), name="post_cards")
                self._scheduling = self._tasks.start(self.schedule.run(), name="schedule")
            self._tasks.start(self.maintenance.run(), name="maintenance")
            self._tasks.start(keep_watchdog(self.db.breathe), name="watchdog")
            stack.push_async_callback(self._wind_down)
            yield self

    async def wait(self) -> int:
        """Wait until told to stop; returns the exit code.

        One channel that failed for good is visible in the status and the others go on; when the last one has, so ends
        the process.

        Raises:
            AuthRequired: a chat platform refused a token; a person has to replace it.
            ConfigError: the platforms refused the connection for good for other reasons.
        """
        stopping = self._tasks.start(self.stop_requested.wait(), name="stop")
        ending = self._tasks.start(self.channels.until_unbearable(), name="channels")
        parts = [self._delivering, self._scheduling] if self.channels else []
        await asyncio.wait([stopping, ending, *parts], return_when=asyncio.FIRST_COMPLETED)
        if stopping.done():
            return ExitCode.STOP
        if ending.done() and (failure := ending.result()) is not None:
            raise failure
        return ExitCode.CRASH

    def _handlers(self, platform: Platform) -> ChannelHandlers:
        return ChannelHandlers(
            on_message=self.intake.on_message,
            on_edit=self.intake.on_edit,
            on_delete=self.intake.on_delete,
            on_gap=self._on_gap,
            on_press=self._on_press,
            known_chats=lambda: self.inbox.cursors(platform.prefix),
            commands=COMMANDS,
            on_command=self.commands.on_command,
            marks=self._marks,
        )

    async def _on_gap(self, gap: Gap) -> None:
        await tell_gap(gap, self.registry, self.outbox, self._marks)

    async def _on_press(self, press: ButtonPress) -> str | Form:
        said = await self.post_cards.on_press(press)
        return await self.questions.press(press) if said is None else said

    def main_chat(self) -> tuple[str, str]:
        """Where the owner is told what needs a person: the main group's chat, else why there is none."""
        main = next((group.chat for group in self.registry if group.is_main), "")
        how = "nanoclaw groups register --chat dc:CHANNEL_ID --folder main"
        return main, "" if main else f"there is no main group: register one ({how}), or set [notices] chat"

    async def _wind_down(self) -> None:
        notify("STOPPING=1")
        drained = await self.lanes.drain(max(0.0, self.policy.runs.drain_s - _FLUSH_S))
        flushed = not self.channels or await self.outbox.flush(_FLUSH_S)
        _log.info("tenant.stopped", tenant=self.name, drained=drained, flushed=flushed)

    def wake(self, message: InboundMessage) -> None:
        """See to it that a stored message is answered."""
        if (group := self.registry.of_chat(message.chat, message.parent)) is not None:
            self.residents.rouse(group.folder)
        self.wake_chat(message.chat, message.parent)
        if self.turns.news(lane := self.registry.lane_of(message.chat, message.parent)):
            self.lanes.hurry(lane)

    def wake_chat(self, chat: ChatId, parent: ChatId = "", *, after_s: float = 0.0) -> None:
        """See to it that what a chat has waiting is answered, after a rest when one is due."""
        lane = self.registry.lane_of(chat, parent)
        self.turns.belongs(chat, lane)
        self.lanes.wake(lane, after_s=after_s)

    async def _forget_runs(self, before: datetime) -> str:
        return f"{await self.store.prune_runs(before=before)} runs forgotten"

    def _folder_of(self, group: Group) -> Path:
        return self.paths.group(self.name, group.folder)

    def _look(self, lane: str) -> LaneView | None:
        return self.lanes.look(lane)

    def _begun(self, run: Run) -> None:
        self.lanes.begun(self.registry.lane_of(run.chat, run.asked[-1].message.parent))

    def _channel_for(self, chat: str) -> Channel:
        return self.channels.of(chat)

    async def _turn(self, lane: str) -> Turn:
        if not self.channels.serves(lane):
            return DONE  # its messages wait for a start at which its platform is configured
        return await self.turns.take(lane)

    def _emptied(self, lane: str) -> None:
        self.turns.forget(lane)

    def _spec_of(self, group: Group) -> WorkerSpec:
        agent = self.policy.agent
        prompt = system_prompt(
            group,
            assistant_name=self.policy.assistant_name,
            instructions=agent.instructions,
            memory=global_memory(self.paths.group(self.name, GLOBAL_FOLDER)),
        )
        known = self.policy.groups.get(group.folder)
        return WorkerSpec(
            prompt,
            group.model or self.policy.model,
            agent.tools,
            self.tools.fingerprint(group),
            mounts=known.mounts if known is not None else (),
        )

    def _worker_changed(self, folder: str, reason: str) -> None:
        self.standby.changed(folder, reason)

    async def _tell_without(self, group: Group, notes: tuple[str, ...]) -> None:
        await tell_without(group, notes, self.registry, self.outbox)

    def _host_of(self, group: Group) -> AgentHost:
        async def keep(session_id: str) -> str:
            return await asyncio.to_thread(
                archive,
                self.paths.group_session(self.name, group.folder),
                self._folder_of(group),
                session_id,
                now=self.clock.now().astimezone(self.zone),
                agent_name=self.policy.assistant_name,
            )

        return AgentHost(SERVER_NAME, lambda: self.tools.server(group), keep)

    async def _welcome(self, group: Group) -> None:
        everybody = self.paths.group(self.name, GLOBAL_FOLDER)
        await asyncio.to_thread(make_group_memory, self._folder_of(group), everybody, group)


def log_folders(paths: Paths, name: str) -> list[LogFolder]:
    """Where a tenant's logs are: its own, and those of every group that ever was; blocks."""
    groups = paths.group_logs(name, GLOBAL_FOLDER).parent.parent
    found = sorted(groups.iterdir()) if groups.is_dir() else []
    return [process_logs(paths, name), *(LogFolder(group, ("logs",), rotated=False) for group in found)]


async def run(name: str, paths: Paths) -> int:
    """Run the tenant until it is told to stop; returns the process's exit code.

    Raises:
        ConfigError: a file or setting must be fixed first; `Occupied` when another instance runs.
        Unavailable: the gateway did not come up in time.
    """
    policy = load(paths, name)
    logging.getLogger("claude_agent_sdk").setLevel(logging.CRITICAL)  # what it reports we report, with the run's id
    async with tenant_process(name, paths) as (client, startup):
        effective = with_settings(policy, startup.settings)
        tenant = Tenant(
            name,
            paths,
            client,
            effective,
            connectors=connectors_of(
                startup.secrets,
                startup.upstreams,
                called=effective.assistant_name,
                catch_up=effective.chats.catch_up,
            ),
            zone=zone_of(startup.settings),
            web_search=startup.web_search,
            posting=startup.posting,
            post_cards=startup.post_cards,
        )
        stop_on_signals(tenant.stop_requested)
        async with tenant.running(), delivering_notices(client, tenant.outbox, tenant.main_chat):
            notify(f"READY=1\nMAINPID={os.getpid()}")
            _log.info("tenant.ready", tenant=name, groups=len(tenant.registry), channels=tenant.channels.summary())
            return await tenant.wait()
