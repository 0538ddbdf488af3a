"""The OpenClaw process: what it is made of, in which order it starts, and how it ends."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from openclaw import schema
from openclaw.agent.commands import Commands
from openclaw.agent.models import ModelClient
from openclaw.agent.post_tools import PostTools
from openclaw.agent.toolbox import Toolbox
from openclaw.agent.web_tools import web_tools
from openclaw.approvals.answers import DiscordAnswers
from openclaw.approvals.cards import ApprovalCards
from openclaw.approvals.continuation import Continuation
from openclaw.approvals.control import approval_operations
from openclaw.approvals.service import Approvals
from openclaw.audit.control import AuditGateway, audit_operations
from openclaw.audit.scripts import install_scripts
from openclaw.channel_log import channel_log_operations
from openclaw.channel_probe import ChannelProbe
from openclaw.chat_words import CHAT_COMMANDS
from openclaw.config import OpenClawPolicy
from openclaw.config.document import HELD_AT
from openclaw.config.effective import held_secret
from openclaw.config.service import ConfigService
from openclaw.config.snapshot import Snapshot, Source
from openclaw.control import operations
from openclaw.cron.delivery import ChatDelivery, WebhookGateway
from openclaw.cron.service import CronJobs
from openclaw.cron.tool import CronTool
from openclaw.gateway import MIGRATIONS, GatewayOptions, RunningGateway, running_gateway
from openclaw.graph_authority import authority_kept_current, put_authority
from openclaw.intake import DiscordIntake
from openclaw.protocol.methods.posts import telling as telling_of_posts
from openclaw.recipients import Recipients
from openclaw.services import AskSignIns, ChannelReport
from openclaw.sessions import Sessions
from openclaw.signing_in import SignInGateway, sign_in_operations
from openclaw.speaking import Speaker
from openclaw.system_turns import SystemTurns
from shared.audit.reporting import Reporter
from shared.backup.job import BackupGateway, backup_job
from shared.channels.base import ButtonPress, Channel, ChannelHandlers, ChannelStatus, Form, InboundMessage, MakeChannel
from shared.channels.discord.make import discord_channel
from shared.channels.inbox import Inbox
from shared.channels.marks import Marks
from shared.channels.outbox import Outbox
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.json5 import Path as JsonPath
from shared.config.parse import parse_zone
from shared.config.paths import Paths
from shared.config.process import environment
from shared.containment.egress import EgressProxy
from shared.errors import ConfigError, ExitCode, Unavailable
from shared.execpolicy.policy import ExecPolicy, load_exec_policy
from shared.gatewayclient import GatewayClient
from shared.gatewayclient.models import SearchOffer
from shared.gatewayclient.process import tenant_process
from shared.gatewayclient.web import WebGateway
from shared.lifecycle.control import ControlServer
from shared.lifecycle.notify import keep_watchdog, notify
from shared.lifecycle.signals import stop_on_signals
from shared.lifecycle.tasks import TaskPool
from shared.maintenance.jobs import process_logs, tenant_jobs
from shared.maintenance.policy import MaintenancePolicy
from shared.maintenance.service import Maintenance
from shared.metrics.figures import Sheet
from shared.metrics.parts import fill_chat, fill_jobs
from shared.notices import delivering_notices
from shared.obs.log import get_logger
from shared.posting.cards import PostCards
from shared.secrets.files import Secret, require_private, write_private
from shared.social.hosts import GRAPH_HOSTS
from shared.social.models import Network
from shared.storage import Database

_log = get_logger(__name__)

_GATEWAY_WAIT_S = 60.0
_DRAIN_S = 15.0
_INTAKE_DRAIN_S = 2.0
_FLUSH_S = 3.0
_RESTART_COOLDOWN_S = 30.0
"""Between a start and a restart that a change of the configuration asks for. Source: reference features §2.4."""

_UTC = ZoneInfo("UTC")
BIND = "OPENCLAW_BIND"


@dataclass(frozen=True, slots=True)
class Posting:
    """What a tenant has to do with posts.

    Attributes:
        groups: who may post, by network.
        authority: file with the certificate that the gateway shows for the Graph hosts; empty when it does not.
    """

    gateway: GatewayClient
    groups: Mapping[Network, Sequence[str]]
    authority: str = ""


class Tenant:
    """One OpenClaw: the gateway on 18789, and a Discord bot beside it.

    Args:
        name: the tenant's name.
        paths: where its files are.
        models: where models are reached.
        policy: the policy in force.
        secret: the gateway token.
        make_channel: makes the Discord connector; None without a token.
        drain_s: how long running answers may go on at the end.
        exec_policy: which commands the agent may run; the installation's own when left out.
        egress: the way out of its commands.
        zone: the owner's, for maintenance.
        posting: what the gateway is asked about posts; None where nobody may post.
        web: fetches pages for the agent; None has no such tool.
        search: who may search the web.
        webhooks: tells web addresses of what scheduled jobs did; None without them.
        backup_gateway: takes the copy of its state; None where there is none to take it.
        audit_gateway: takes its security-relevant events, and has the report; None where there is none.
        config: where `policy` and `exec_policy` came from, and what changes them while running.
        sign_ins: asks whether the gateway's sign-ins work; None where there is no gateway.
        sign_in_gateway: makes sign-ins for the command line; None where there is none.
    """

    def __init__(
        self,
        name: str,
        paths: Paths,
        models: ModelClient,
        policy: OpenClawPolicy,
        secret: Secret,
        *,
        make_channel: MakeChannel | None,
        clock: Clock = SYSTEM_CLOCK,
        drain_s: float = _DRAIN_S,
        exec_policy: ExecPolicy | None = None,
        egress: EgressProxy | None = None,
        zone: ZoneInfo = _UTC,
        posting: Posting | None = None,
        web: WebGateway | None = None,
        search: SearchOffer | None = None,
        webhooks: WebhookGateway | None = None,
        backup_gateway: BackupGateway | None = None,
        audit_gateway: AuditGateway | None = None,
        config: ConfigService | None = None,
        sign_ins: AskSignIns | None = None,
        sign_in_gateway: SignInGateway | None = None,
    ) -> None:
        self.name = name
        self.paths = paths
        self.policy = policy
        self.stop_requested = asyncio.Event()
        self._config = config
        self._audit_gateway = audit_gateway
        self._restart_reason = ""
        self._models = models
        self._secret = secret
        self._clock = clock
        self._drain_s = drain_s
        self._exec_policy = exec_policy
        doors = dict.fromkeys(GRAPH_HOSTS, posting.gateway.open_graph) if posting and posting.authority else {}
        self._egress = egress or EgressProxy(doors=doors)
        self._posting = posting
        self._web = web
        self._webhooks = webhooks
        self._search = search or SearchOffer()
        self._sign_ins = sign_ins
        self._sign_in_gateway = sign_in_gateway
        self._make_channel = make_channel if policy.discord.enabled else None
        self._tasks = TaskPool(f"tenant.{name}")
        self._parts: list[asyncio.Task[object]] = []
        self._channel: Channel | None = None
        self._intake: DiscordIntake | None = None
        self._probe = ChannelProbe(lambda: self._channel, clock)
        self.db = Database(paths.tenant_db(name), migrations=MIGRATIONS)
        self.inbox = Inbox(self.db, schema.channels, clock)
        self.outbox = Outbox(self.db, schema.channels, self._channel_for, clock, spool=paths.outbox_spool(name))
        self.approvals = Approvals(self.db, policy.approvals, clock)
        self.reporter = Reporter(paths.audit_spool(name), audit_gateway, clock)
        self.cron = CronJobs(self.db, policy.cron, clock)
        self._answers = DiscordAnswers(self.approvals)
        kept = MaintenancePolicy.load(paths)
        jobs = tenant_jobs(self.db, self.inbox, self.outbox, lambda: [process_logs(paths, name)], kept, clock=clock)
        if backup_gateway is not None:
            jobs.append(backup_job("openclaw", name, paths, backup_gateway))
        self.maintenance = Maintenance(self.db, jobs, kept, zone, clock=clock)
        self._cards: PostCards | None = None
        self._gateway: RunningGateway | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[RunningGateway]:
        """Be up inside the block. On the way out: nothing new, running answers finish, what is said gets sent.

        Raises:
            Occupied: another program holds the port.
        """
        folder = self.paths.tenant(self.name)
        exec_policy = self._exec_policy or load_exec_policy(self.paths)
        authority = self._posting.authority if self._posting is not None else ""
        commands = Commands(self.name, self.paths, exec_policy, self._egress, self._clock, authority)
        if self._config is not None:
            self._config.restart = self.restart
            self._config.listeners.append(lambda snapshot: self._apply(snapshot, commands))
        cards = ApprovalCards(self.name, self.paths, self.approvals, self.outbox, lambda: self._channel, self._clock)
        toolbox = Toolbox(
            self.name, self.paths, self.policy, commands, self.approvals, cards.announce, self._egress, self._clock
        )
        toolbox.registry.add(CronTool(self.cron).tool)
        if self._web is not None:
            toolbox.registry.add(*web_tools(self._web, self._search))
        if self._posting is not None:
            toolbox.registry.add(*PostTools(self._posting.gateway, self._posting.groups, toolbox.places).tools)
        options = GatewayOptions(
            name=self.name,
            policy=self.policy,
            folder=folder,
            secret=self._secret,
            models=self._models,
            log_file=self.paths.process_log(self.name),
            tools=toolbox.registry,
            workspace=toolbox.texts,
            discord=self.report,
            clock=self._clock,
            drain_s=self._drain_s,
            approvals=self.approvals,
            posts=self._posting.gateway if self._posting else None,
            sign_ins=self._sign_ins,
            cron=self.cron,
            delivery=ChatDelivery(self.outbox, self._bot, self._sessions, self._webhooks),
            config=self._config,
            figures=self._fill_figures,
        )
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.db.close)
            await self.db.open()
            await toolbox.prepare()
            await stack.enter_async_context(self._egress.serving())
            gateway = self._gateway = await stack.enter_async_context(running_gateway(options, self.db))
            stack.push_async_callback(self._tasks.close)
            await self.maintenance.start()
            control = ControlServer(
                self.paths.control_socket(self.name),
                {
                    **operations(gateway, self._secret, self.inbox, self.stop_requested),
                    **approval_operations(self.approvals),
                    **channel_log_operations(self.inbox),
                    **toolbox.memory.operations(),
                    **self.maintenance.operations(),
                    **sign_in_operations(self._sign_in_gateway),
                    **audit_operations(
                        self.name,
                        self.paths,
                        commands,
                        lambda: gateway.services.dm_pairing.allowed,
                        self._audit_gateway,
                    ),
                },
            )
            await control.start()
            stack.push_async_callback(control.stop)
            self._note_events(gateway)
            self._make_cards(gateway)
            await self._start_discord(gateway)
            services = gateway.services
            turns = SystemTurns(self.db, services.runs, services.sessions, self.outbox, self._clock)
            stack.push_async_callback(turns.close)
            recipients = Recipients(self.policy, services.sessions, services.dm_pairing, self._bot)
            stack.push_async_callback(toolbox.close)
            await toolbox.start(self.db, services, turns, self.outbox, recipients)
            await turns.recover()
            continuation = Continuation(self.approvals, commands, cards, turns)
            stack.push_async_callback(continuation.stop)
            await continuation.start()
            self._tasks.start(self.maintenance.run(), name="maintenance")
            self._tasks.start(keep_watchdog(self.db.breathe), name="watchdog")
            if self._cards is not None:
                self._tasks.start(self._cards.run(), name="post_cards")
            stack.push_async_callback(self._wind_down, gateway)
            yield gateway

    def _note_events(self, gateway: RunningGateway) -> None:
        """Who may do what is decided in these places; each decision goes into the gateway's chain."""
        note = self.reporter.note
        self.approvals.note = gateway.services.devices.note = gateway.services.dm_pairing.note = note
        if self._config is not None:
            self._config.note = note
        self._tasks.start(self.reporter.run(), name="audit_events")

    def _make_cards(self, gateway: RunningGateway) -> None:
        if self._posting is not None:
            tell = telling_of_posts(gateway.services.hub.broadcast)
            self._cards = PostCards(self._posting.gateway, self.outbox, changed=tell, clock=self._clock)

    async def _fill_figures(self, sheet: Sheet) -> None:
        await fill_chat(sheet, "openclaw", self.inbox, self.outbox, self._clock)
        fill_jobs(sheet, "openclaw", await self.maintenance.listing())

    async def _on_press(self, press: ButtonPress) -> str | Form:
        said = await self._cards.on_press(press) if self._cards is not None else None
        return await self._answers.on_press(press) if said is None else said

    async def _start_discord(self, gateway: RunningGateway) -> None:
        if self._make_channel is None:
            return
        handlers = ChannelHandlers(
            on_message=self._on_message,
            on_press=self._on_press,
            commands=CHAT_COMMANDS if self.policy.discord.native_commands else {},
            on_command=self._on_command,
            on_edit=self._on_edit,
            on_delete=self._on_delete,
            known_chats=self.inbox.cursors,
            wants_roles=self._needs_roles,
            marks=Marks(self.db, schema.channels),
        )
        self._channel = self._make_channel(handlers)
        self._intake = DiscordIntake(
            gateway.services, self.inbox, self.outbox, self._channel, self._clock, answers=self._answers
        )
        gateway.services.probe_discord = self._probe.ask
        gateway.services.speak = Speaker(self.outbox, lambda: self._channel).say
        self._parts = [self._tasks.start(self.outbox.run(), name="outbox")]
        await self._intake.start()
        self._parts.append(self._tasks.start(self._channel.run(), name="channel"))

    def _needs_roles(self) -> bool:
        guilds = self.policy.discord.guilds.values()
        return any(guild.roles or any(rule.roles for rule in guild.rules.values()) for guild in guilds)

    async def _on_message(self, message: InboundMessage) -> None:
        if self._intake is not None:
            await self._intake.on_message(message)

    async def _on_command(self, name: str, message: InboundMessage) -> str:
        return await self._intake.on_command(name, message) if self._intake is not None else "I am starting; try again."

    async def _on_edit(self, message: InboundMessage) -> None:
        if self._intake is not None:
            await self._intake.on_edit(message)

    async def _on_delete(self, chat: str, message: str) -> None:
        if self._intake is not None:
            await self._intake.on_delete(chat, message)

    def _apply(self, snapshot: Snapshot, commands: Commands) -> None:
        self.policy = snapshot.policy
        commands.policy = snapshot.exec_policy

    def restart(self, reason: str) -> None:
        """End in order, with the exit code that starts the process again."""
        _log.info("tenant.restarting", tenant=self.name, reason=reason)
        self._restart_reason = reason
        self.stop_requested.set()

    async def wait(self) -> int:
        """Wait until told to stop; returns the exit code.

        Raises:
            GatewayError: Discord refused the bot for good; the class decides the exit code.
        """
        stopping = self._tasks.start(self.stop_requested.wait(), name="stop")
        await asyncio.wait([stopping, *self._parts], return_when=asyncio.FIRST_COMPLETED)
        if stopping.done():
            return ExitCode.RESTART if self._restart_reason else ExitCode.STOP
        failure = self.report().status.failure
        if failure is not None:
            raise failure
        return ExitCode.CRASH

    def report(self) -> ChannelReport:
        """How Discord is doing."""
        policy = self.policy.discord
        if self._channel is None or self._intake is None:
            reason = "" if policy.enabled else "switched off in policies/openclaw.toml"
            reason = reason or "no Discord bot token is configured for this tenant"
            return ChannelReport(policy.enabled, configured=False, status=ChannelStatus("off", reason))
        return ChannelReport(
            policy.enabled,
            configured=True,
            status=self._channel.status,
            last_inbound_at=self._intake.last_inbound_at,
            last_outbound_at=self._intake.last_outbound_at,
            probed=self._probe.last,
        )

    def _sessions(self) -> Sessions | None:
        return self._gateway.services.sessions if self._gateway is not None else None

    def _bot(self) -> Channel | None:
        """The connector; None when no bot is configured.

        Raises:
            Unavailable: it is still to be made.
        """
        if self._channel is None and self._make_channel is not None:
            raise Unavailable("Discord is being started", code="channel.starting")
        return self._channel

    def _channel_for(self, chat: str) -> Channel:
        if self._channel is None:
            raise Unavailable(f"no channel is configured for {chat}", code="channel.off")
        return self._channel

    async def _wind_down(self, gateway: RunningGateway) -> None:
        notify("STOPPING=1")
        gateway.ready = False
        await gateway.services.runs.stop(self._drain_s)
        flushed = True
        if self._intake is not None:
            await self._intake.stop(_INTAKE_DRAIN_S)
            flushed = await self.outbox.flush(_FLUSH_S)
        _log.info("tenant.stopped", tenant=self.name, flushed=flushed)


def _secret(snapshot: Snapshot, path: JsonPath, held: str) -> str:
    """What the file says itself goes before what the gateway holds (protocol §4)."""
    literal, _ = held_secret(snapshot.config, path)
    return literal or held


def gateway_token(folder: Path, given: str) -> Secret:
    """The token that was given; without one, a generated token that is kept in the tenant's own state."""
    if given:
        return Secret(given)
    path = folder / "data" / "gateway-token"
    if path.exists():
        require_private(path)
        return Secret(path.read_text(encoding="ascii").strip())
    token = secrets.token_urlsafe(32)
    write_private(path, token + "\n")
    _log.info("openclaw.token_generated", kept_in=str(path))
    return Secret(token)


def _no_chat() -> tuple[str, str]:
    return "", "OpenClaw has no main group: set [notices] chat in policies/gateway.toml"


def _bound_to(policy: OpenClawPolicy, bind: str) -> OpenClawPolicy:
    """The policy with the address of the process option, which only a container of our own sets.

    Its port is then published on the machine's loopback alone.

    Raises:
        ConfigError: it is no such address.
    """
    if bind not in {"", "127.0.0.1", "0.0.0.0"}:
        raise ConfigError(f"{BIND}={bind} is not 127.0.0.1 or 0.0.0.0", code="config.setting")
    return policy.model_copy(update={"bind": bind}) if bind else policy


async def run(name: str, paths: Paths) -> int:
    """Run the tenant until it is told to stop; returns the process's exit code.

    Raises:
        ConfigError: a file or setting must be fixed first; `Occupied` when the port or the state is taken.
        AuthRequired: Discord refused the bot's token.
        Unavailable: the gateway did not come up in time.
    """
    config = ConfigService(Source.of(paths, name), restart_cooldown_s=_RESTART_COOLDOWN_S)
    snapshot = config.load()
    folder, trusted = paths.tenant(name), paths.graph_authority(name)
    async with tenant_process(name, paths) as (client, startup):
        await asyncio.to_thread(install_scripts, paths, name)
        given = {held: _secret(snapshot, path, startup.secrets.get(held, "")) for path, held in HELD_AT.items()}
        tenant = Tenant(
            name,
            paths,
            client,
            _bound_to(snapshot.policy, environment(BIND)),
            gateway_token(folder, given["gateway_token"]),
            make_channel=discord_channel(
                given["discord_bot_token"],
                startup.upstreams,
                answer_bots=True,
                notices=True,
                line_limit=snapshot.policy.discord.max_lines,
            ),
            exec_policy=snapshot.exec_policy,
            zone=ZoneInfo(parse_zone(startup.settings.get("TZ") or _UTC.key)),
            posting=Posting(client, startup.posting, put_authority(trusted, startup.graph_authority)),
            web=client,
            webhooks=client,
            search=startup.web_search,
            backup_gateway=client,
            audit_gateway=client,
            config=config,
            sign_ins=client.sign_ins,
            sign_in_gateway=client,
        )
        stop_on_signals(tenant.stop_requested)
        async with (
            authority_kept_current(client, trusted, startup.graph_authority),
            tenant.running() as gateway,
            delivering_notices(client, tenant.outbox, _no_chat),
        ):
            notify(f"READY=1\nMAINPID={os.getpid()}")
            _log.info("tenant.ready", tenant=name, port=gateway.port, discord=tenant.report().status.state)
            return await tenant.wait()
