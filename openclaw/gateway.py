"""The gateway on 18789, put together: database, devices, sessions, runs, hub, listener; started and stopped in order.

Chat channels and the operator's socket come on top of it, in `openclaw.tenant`; tests and tools use this alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from openclaw.access import AccessGate
from openclaw.admission import Admission
from openclaw.agent.compaction import Compactor
from openclaw.agent.loop import AgentLoop
from openclaw.agent.models import CooldownFile, ModelClient, Models
from openclaw.agent.prompt import WorkspaceTexts
from openclaw.agent.tools import ToolRegistry
from openclaw.approvals.asked import ClientRequests
from openclaw.approvals.service import Approvals
from openclaw.config import OpenClawPolicy
from openclaw.config.service import ConfigService
from openclaw.config.snapshot import Snapshot, Source
from openclaw.connection import LIMITS, Limits
from openclaw.cron.delivery import Delivery, NoDelivery
from openclaw.cron.runner import CronRunner
from openclaw.cron.service import CronJobs
from openclaw.devices import Devices
from openclaw.hub import Hub
from openclaw.limiter import AttemptLimiter
from openclaw.metrics import Counts, FillMore, OpenClawFigures, nothing_more
from openclaw.pairing import DmPairing
from openclaw.presence import Presence
from openclaw.protocol.methods.approvals import telling
from openclaw.protocol.methods.table import method_table
from openclaw.runs import RunPolicy, Runs
from openclaw.services import AskSignIns, ChannelReport, PostsGateway, Services
from openclaw.sessions import AGENT_ID, Sessions
from openclaw.transcript import Transcripts
from shared.channels.base import ChannelStatus
from shared.clock import SYSTEM_CLOCK, Clock
from shared.http.unixserver import AsgiListeners
from shared.lifecycle.tasks import TaskPool
from shared.metrics.serving import serving_metrics
from shared.obs.log import get_logger
from shared.secrets.files import Secret
from shared.storage import Database

if TYPE_CHECKING:
    from openclaw.app import Door

_log = get_logger(__name__)

MIGRATIONS = "openclaw.migrations"


def no_discord() -> ChannelReport:
    """The report of a tenant without a Discord bot."""
    return ChannelReport(enabled=True, configured=False, status=ChannelStatus("off", "no bot token is configured"))


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """What a gateway is made of.

    Attributes:
        folder: the tenant's state directory.
        secret: the gateway token.
        models: where models are reached.
        discord: how the chat channel is doing.
        drain_s: how long running answers may go on when the gateway stops.
        posts: what the gateway is asked about posts; None where there are none.
        sign_ins: asks whether the gateway's sign-ins work; None where there is no gateway.
        approvals: commands that wait for a person; made here when the owner has none of its own.
        cron: scheduled jobs; likewise.
        delivery: takes the answers of scheduled jobs.
        workspace: what the agent's workspace adds to the prompt of a session.
        figures: fills in those of the tenant's own parts.
        config: loaded already; without one, `openclaw.json` in the folder under `policy` as its fixed ceiling.
    """

    name: str
    policy: OpenClawPolicy
    folder: Path
    secret: Secret
    models: ModelClient
    log_file: Path
    tools: ToolRegistry
    discord: Callable[[], ChannelReport] = no_discord
    limits: Limits = LIMITS
    clock: Clock = SYSTEM_CLOCK
    drain_s: float = 15.0
    approvals: Approvals | None = None
    posts: PostsGateway | None = None
    sign_ins: AskSignIns | None = None
    cron: CronJobs | None = None
    delivery: Delivery = field(default_factory=NoDelivery)
    workspace: Callable[[str], WorkspaceTexts] = lambda _key: WorkspaceTexts()
    config: ConfigService | None = None
    figures: FillMore = nothing_more


@dataclass(slots=True)
class RunningGateway:
    """A gateway that serves.

    Attributes:
        port: where it listens.
        stop_reason: told to clients when it stops.
        metrics_port: where figures are served, if they are.
        ready: whether ``/readyz`` says so; the owner sets it.
    """

    services: Services
    port: int
    ready: bool = True
    stop_reason: str = "service restart"
    metrics_port: int | None = None

    @property
    def http_url(self) -> str:
        """The Control UI's address."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def ws_url(self) -> str:
        """The WebSocket's address."""
        return f"ws://127.0.0.1:{self.port}/"


@asynccontextmanager
async def running_gateway(options: GatewayOptions, db: Database) -> AsyncIterator[RunningGateway]:
    """Serve until the block ends; `db` must be open.

    Raises:
        Occupied: another program holds the port.
    """
    from openclaw.api.requests import BearerCheck
    from openclaw.api.service import HttpApi, Offered
    from openclaw.app import build_app
    from openclaw.web import ControlUi

    clock = options.clock
    config = options.config or fixed_config(options)
    policy = config.current.policy
    devices = Devices(db, options.secret, clock)
    sessions = Sessions(db, clock)
    dm_pairing = DmPairing(db, "discord", clock)
    await devices.load()
    await sessions.load()
    await dm_pairing.load()
    presence = Presence(clock)
    limiter = AttemptLimiter(policy.auth.max_attempts, policy.auth.window_s, policy.auth.lockout_s, clock)
    counts = Counts()
    admission = Admission(options.secret, devices, limiter, policy.control_ui.allowed_origins, clock)
    hub = Hub(admission, presence, method_table(), limits=options.limits, clock=clock, counts=counts)
    devices.announce = hub.broadcast
    transcripts = Transcripts(db, options.folder / "agents" / AGENT_ID / "sessions", clock)
    rests = CooldownFile(options.folder / "agents" / AGENT_ID / "agent" / "cooldowns.json")
    models = Models(options.models, [policy.agent.model, *policy.agent.fallbacks], clock, kept=rests)
    compactor = Compactor(models, policy.compaction)
    loop = AgentLoop(models, options.tools, max_rounds=policy.agent.max_tool_rounds, compactor=compactor, clock=clock)
    runs = Runs(
        db,
        sessions,
        transcripts,
        loop,
        _run_policy(policy),
        emit=hub.broadcast,
        emit_tool=hub.tell_tool,
        workspace=options.workspace,
        clock=clock,
    )
    approvals = options.approvals or Approvals(db, policy.approvals, clock)
    approvals.listeners.append(telling(hub.broadcast))
    cron = options.cron or CronJobs(db, policy.cron, clock)
    cron.emit = hub.broadcast
    runner = CronRunner(cron, runs, sessions, transcripts, options.delivery)
    services = Services(
        name=options.name,
        policy=policy,
        config=config,
        folder=options.folder,
        log_file=options.log_file,
        clock=clock,
        devices=devices,
        dm_pairing=dm_pairing,
        presence=presence,
        sessions=sessions,
        approvals=approvals,
        client_requests=ClientRequests(approvals, clock),
        transcripts=transcripts,
        runs=runs,
        cron=cron,
        hub=hub,
        discord=options.discord,
        started_at=clock.now(),
        posts=options.posts,
        sign_ins=options.sign_ins,
    )
    hub.attach(services)
    config.listeners.append(lambda snapshot: _apply(snapshot, services, models, admission, limiter))
    config.changed_state = lambda: _tell_state(hub)
    watching = TaskPool("config")
    gateway = RunningGateway(services, 0)
    ui = ControlUi(policy.agent.name, lambda: gateway.ready, enabled=policy.control_ui.enabled)
    offered = Offered(policy.http.chat_completions, policy.http.responses, policy.http.tools)
    api = HttpApi(BearerCheck(options.secret, limiter), offered, runs, options.tools, clock)
    app = build_app(hub, ui, api, _door(policy, clock), counts)
    listeners = AsgiListeners(app, ws_max_bytes=options.limits.max_hello_bytes, ws_ping_s=options.limits.ping_s)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(listeners)
        gateway.port = await listeners.add_tcp(options.policy.bind, policy.port, state={})
        if policy.metrics.port is not None:
            figures = OpenClawFigures(services, counts, options.figures)
            page = serving_metrics(figures, "openclaw", policy.metrics.port, clock)
            gateway.metrics_port = await stack.enter_async_context(page)
        hub.start()
        watching.start(config.run(), name="watch")
        await runs.recover()
        runner.start()
        _log.info("openclaw.listening", port=gateway.port)
        try:
            yield gateway
        finally:
            gateway.ready = False
            await watching.close()
            await config.close()
            await runs.stop(options.drain_s)
            await options.tools.close()
            await runner.stop()
            await hub.stop(gateway.stop_reason)
            await listeners.close(1.0)


def _door(policy: OpenClawPolicy, clock: Clock) -> Door:
    from openclaw.app import Door

    access = policy.access
    gate = None
    if access.team_domain:
        gate = AccessGate(access.team_domain, access.audiences, direct_from=access.direct_from, clock=clock)
    return Door(policy.trusted_proxies, gate, policy.http.strict_transport_security)


def fixed_config(options: GatewayOptions) -> ConfigService:
    """The configuration of a gateway whose policy is given.

    Raises:
        ConfigError: ``openclaw.json`` is not valid.
    """
    config = ConfigService(Source.fixed(options.folder, options.policy), clock=options.clock)
    config.load()
    return config


def _apply(
    snapshot: Snapshot, services: Services, models: Models, admission: Admission, limiter: AttemptLimiter
) -> None:
    """Take up what can change while running; the rest asks for a restart (`openclaw.config.service`)."""
    policy = snapshot.policy
    services.policy = policy
    services.approvals.policy = policy.approvals
    admission.allow(policy.control_ui.allowed_origins)
    limiter.adjust(policy.auth.max_attempts, policy.auth.window_s, policy.auth.lockout_s)
    services.runs.apply(_run_policy(policy))
    models.choose([policy.agent.model, *policy.agent.fallbacks])


def _tell_state(hub: Hub) -> None:
    hub.health(fresh=True, tell=True)


def _run_policy(policy: OpenClawPolicy) -> RunPolicy:
    agent = policy.agent
    return RunPolicy(
        agent_name=agent.name,
        instructions=agent.instructions,
        timeout_s=agent.timeout_s,
        max_concurrent=agent.max_concurrent,
        history_chars=agent.history_chars,
        workspace_chars=policy.workspace.total_chars,
        queue=policy.queue,
        session=policy.session,
    )
