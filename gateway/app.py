"""The gateway process: storage → credentials → workers (adopt) → sockets → ready; and the way back down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gateway.audit.control import AuditDesk
from gateway.backup.service import Backups
from gateway.backup.store import BackupStore
from gateway.broker.app import build_broker
from gateway.broker.keys import KeyGiver
from gateway.broker.routes import BrokerServices
from gateway.budget.models import Exhaustion
from gateway.budget.service import load_budget
from gateway.credentials.adopting import TokensOfEnv
from gateway.credentials.control import operations as credential_operations
from gateway.credentials.environment import load_env
from gateway.credentials.freshness import ThreadsBeforeStart
from gateway.credentials.models import Notice
from gateway.credentials.service import Credentials
from gateway.credentials.settings import OAuthPolicy
from gateway.credentials.setup import build_sign_ins
from gateway.egress.client import WebClient
from gateway.egress.policy import SEARCH_KEY, WEBHOOK_KEY
from gateway.egress.search import SearchBackend
from gateway.egress.service import Egress
from gateway.egress.store import EgressStore
from gateway.ledger import Ledger
from gateway.maintenance.jobs import GatewayParts, build_maintenance
from gateway.metrics import Counts, GatewayFigures
from gateway.modelproxy.apps import tenant_models, worker_app
from gateway.modelproxy.catalogue import ModelCatalogue
from gateway.modelproxy.client_keys import ClientKeys
from gateway.modelproxy.identity import ModelIdentity
from gateway.modelproxy.listener import ModelApiListener
from gateway.modelproxy.pacing import Pacer
from gateway.modelproxy.proxy import ModelProxy
from gateway.modelproxy.public import AsgiApp, PublicOptions, halting_gate, listener_identity, pacing_gate, public_app
from gateway.modelproxy.quota import CopilotQuota
from gateway.notices.decide import budget_notice
from gateway.notices.models import OwnerNotice
from gateway.notices.service import Notices
from gateway.notices.store import NoticeStore
from gateway.notices.watch import SignInWatch
from gateway.settings import Settings, engine_address
from gateway.social.control import operations as social_operations
from gateway.social.embedding import embed_operation, embedding
from gateway.social.graph.authority import AuthorityKeeper
from gateway.social.graph.door import GraphDoor
from gateway.social.graph.store import DraftStore
from gateway.social.hosting.server import media_app
from gateway.social.setup import build_graph, build_social
from gateway.social.upkeep import Upkeep
from gateway.store import GatewayStore, TenantKey
from gateway.tenants.sockets import TenantSockets
from gateway.users import give_folders
from gateway.workers.development import development_mounts
from gateway.workers.engine import Engine, EngineInfo
from gateway.workers.images import WorkerImages
from gateway.workers.instance import installation_id
from gateway.workers.launch import Launcher
from gateway.workers.mounts import Allowlist, socket_path
from gateway.workers.pool import WorkerPool
from gateway.workers.room import MB, Rooms
from shared.clock import SYSTEM_CLOCK
from shared.config.paths import Paths
from shared.config.process import log_level
from shared.errors import ConfigError, Invalid
from shared.gatewayclient.models import TenantStartup
from shared.http.client import HttpPool
from shared.http.unixserver import AsgiListeners
from shared.ids import parse_name
from shared.lifecycle import faultpoints
from shared.lifecycle.control import ControlServer
from shared.lifecycle.halt import require_not_halted
from shared.lifecycle.harden import make_undumpable
from shared.lifecycle.notify import keep_watchdog, notify
from shared.lifecycle.signals import stop_on_signals
from shared.lifecycle.singleton import SingleInstance
from shared.lifecycle.tasks import TaskPool
from shared.metrics.serving import serving_metrics
from shared.obs.log import configure_logging, get_logger, stamp_logs_in
from shared.providers.catalog import load_catalog
from shared.secrets.files import Secret
from shared.storage import Database

_log = get_logger(__name__)
_DRAIN_S = 10.0
_WORKER_CONNECTIONS = 64
"""Of one worker's socket; the command line with ten agents of its own under it uses a dozen."""


async def run_gateway(paths: Paths) -> int:
    """Run until told to stop. Workers survive, for the next start to adopt.

    Raises:
        ConfigError: bad files or a second instance.
        Unavailable: the container engine is down or the worker image is missing.
    """
    configure_logging("gateway", level=log_level(), file=paths.process_log("gateway"))
    make_undumpable()
    faultpoints.arm(paths)
    settings = Settings.load(paths)
    stamp_logs_in(ZoneInfo(settings.policy.workers.timezone))
    lock = SingleInstance(paths.gateway_lock, what=f"the gateway with state in {paths.state}")
    lock.acquire()
    try:
        stopping = stop_on_signals()
        async with running_gateway(settings):
            notify(f"READY=1\nSTATUS=serving {', '.join(sorted(settings.enabled_tenants()))}")
            _log.info("gateway.ready", tenants=sorted(settings.enabled_tenants()))
            await stopping.wait()
            notify("STOPPING=1")
    finally:
        lock.release()
    return 0


@asynccontextmanager
async def running_gateway(settings: Settings) -> AsyncIterator[Gateway]:
    """A serving gateway; leaving the context stops it and leaves workers running."""
    async with AsyncExitStack() as stack:
        gateway = Gateway(settings)
        await gateway.start(stack)
        yield gateway


class Gateway:
    """Builds the parts and owns their order."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.paths = settings.paths
        self.keys: dict[str, TenantKey] = {}
        self.media_port = 0
        self.metrics_port = 0
        self.authority: AuthorityKeeper | None = None
        enabled = settings.enabled_tenants()
        self.kinds = {name: tenant.kind for name, tenant in enabled.items()}
        self._changing = asyncio.Lock()

    async def start(self, stack: AsyncExitStack) -> None:
        """Bring everything up; what was started is undone by `stack`, in reverse."""
        settings, paths = self.settings, self.paths
        prepare_directories(paths, settings)

        database = Database(paths.gateway_db, migrations="gateway.migrations")
        await database.open()
        stack.push_async_callback(database.close)
        self.store = GatewayStore(database)
        self.keys.update(await self.store.keys())

        self.notices = Notices(
            NoticeStore(database), tenant=settings.notices_tenant(), chat=settings.policy.notices.chat
        )
        stack.push_async_callback(self.notices.close)

        http = HttpPool()
        stack.push_async_callback(http.close)
        oauth = OAuthPolicy.load(paths)
        self.sign_ins = build_sign_ins(
            paths=paths,
            policy=oauth,
            claude_file=settings.credential_file("claude_file"),
            http=http,
            env=settings.env,
            tenants=self.kinds,
            notify=self.on_sign_in_ended,
            borrowed=settings.borrowed_files(),
        )
        self.credentials = Credentials(
            http=http,
            claude_file=settings.credential_file("claude_file"),
            claude_base=settings.upstreams.claude.api_base,
            claude_fallback_key=Secret(settings.env.get("ANTHROPIC_API_KEY_FALLBACK", "")),
            codex_file=settings.credential_file("codex_file"),
            codex_base=settings.upstreams.codex.api_base,
            copilot_file=settings.credential_file("copilot_file"),
            copilot_base=settings.upstreams.copilot.api_base,
            github_api_base=settings.upstreams.github.api_base,
            refresher=self.sign_ins.refresher,
            policy=oauth,
            on_copilot_bearer=self.sign_ins.on_copilot_bearer,
        )
        await self.sign_ins.write_views()
        self.sign_ins.refresher.start()
        stack.push_async_callback(self.sign_ins.refresher.stop)
        self.watch = SignInWatch(
            self.sign_ins.refresher.status,
            self.notices,
            settings.policy.notices,
            state_option=paths.state_option,
        )
        tasks = TaskPool("gateway")
        stack.push_async_callback(tasks.close)
        tasks.start(self.watch.run(), name="sign_in_watch")
        tasks.start(TokensOfEnv(self.sign_ins, self.sign_ins.shown).run(), name="tokens_of_env")
        budget = load_budget(self.store, paths, run_of=self.run_of, on_exhausted=self.on_budget_exhausted)
        await budget.recover()
        stack.push_async_callback(budget.close)
        counts = Counts()
        ledger = Ledger(
            self.store, budget=budget, calls=counts.calls if settings.policy.metrics.port is not None else None
        )
        stack.push_async_callback(ledger.close)
        api = settings.policy.model_api
        pacer = Pacer(api.rate_limit_s, wait=api.wait, max_waiting=api.queue_max)
        gate = halting_gate(paths, pacing_gate(pacer, is_light=lambda tenant: self.kinds.get(tenant) == "nanoclaw"))
        proxy = ModelProxy(
            self.credentials,
            http,
            on_request=ledger.note,
            reserve=budget.admit,
            release=lambda reservation: budget.settle(reservation, None),
            gate=gate,
        )

        models = ModelCatalogue(proxy, listener_identity(), catalog=load_catalog(paths))

        engine = build_engine(settings)
        stack.push_async_callback(engine.close)
        self.engine = await require_engine(engine, settings.policy.workers.image)
        self.endpoints = WorkerSockets(paths, proxy)
        stack.push_async_callback(self.endpoints.close_all)
        launcher = build_launcher(settings)
        self.pool = WorkerPool(
            engine,
            settings.policy.workers,
            paths,
            self.endpoints,
            instance=installation_id(paths),
            sandbox=settings.policy.sandbox,
            launcher=launcher,
            rooms=build_rooms(settings, tell=self.notices.tell),
        )
        await self.pool.start()
        stack.push_async_callback(self.pool.stop)
        tasks.start(self.pool.rooms.measure_all(sorted(self.kinds)), name="rooms")

        self.egress = await self.build_egress(database, http)
        images = WorkerImages(engine, settings.policy.workers, self.pool)
        self.social = build_social(
            paths=paths,
            database=database,
            sign_ins=self.sign_ins,
            oauth=oauth,
            http=http,
            sandbox=settings.policy.sandbox,
            tell=self.notices.tell,
        )
        await self.social.start()
        stack.push_async_callback(self.social.stop)
        if (media := self.social.policy.media).public_base:
            served = AsgiListeners(media_app(self.social.host))
            stack.push_async_callback(served.close, 1.0)
            self.media_port = await served.add_tcp(media.host, media.port, state={})

        backups = Backups(paths, BackupStore(database))
        self.audit = AuditDesk(
            paths,
            pool=self.pool,
            egress=self.egress,
            social=self.social,
            gate=gate,
            notices=self.notices,
            facts=lambda: {"engine": self.engine.address, "media_port": self.media_port},
        )
        self.social.note = launcher.note = self.audit.note
        ask_embed = embedding(http, self.social.policy.oembed, lambda: load_env(paths))
        broker = build_broker(
            BrokerServices(
                pool=self.pool,
                egress=self.egress,
                startup=self.startup_of,
                name_prefix=self.name_prefix,
                rebuild_image=images.rebuild,
                prune_images=images.prune,
                notices=self.notices,
                before_lease=ThreadsBeforeStart(self.sign_ins.refresher),
                social=self.social,
                embed=ask_embed,
                backups=backups,
                sign_ins=self.sign_ins.refresher.status,
                logins=self.sign_ins,
                kinds=self.kinds,
                leases=counts.leases,
                audit=self.audit,
            ),
            keys=self.keys,
            routes_of=self.routes_of,
            model=tenant_models(proxy, models),
        )
        sockets = AsgiListeners(broker)
        stack.push_async_callback(sockets.close, _DRAIN_S)
        givers = KeyGiver(self.take_key)
        stack.push_async_callback(givers.close)
        authority = self.authority = AuthorityKeeper(paths.graph_keys, SYSTEM_CLOCK.now())
        door = GraphDoor(build_graph(self.social, database, oauth, http, SYSTEM_CLOCK), authority, self.keys)
        stack.push_async_callback(door.close)
        self.sockets = TenantSockets(paths, sockets, givers, door)
        for name, kind in self.kinds.items():
            await self.sockets.open(name, kind, settings.user_of(name))
        # Before the sockets close: tenants that wait for a notice must not hold them open.
        stack.callback(self.notices.release)
        stack.callback(self.social.changes.close)
        quota = CopilotQuota(self.credentials.github, github_token=self.credentials.github_token)

        def public() -> AsgiApp:
            options = PublicOptions(keys=client_keys(settings), quota=quota, catalogue=models)
            return public_app(proxy, listener_identity(), options)

        self.model_api = ModelApiListener(api, public)
        stack.push_async_callback(self.model_api.close)
        if api.enabled:
            await self.model_api.open()

        parts = GatewayParts(
            paths=paths,
            database=database,
            store=self.store,
            budgets=budget.policy,
            egress=self.egress,
            notices=self.notices,
            watch=self.watch,
            backups=backups,
            docker_host=settings.policy.engine.host,
            audit=self.audit,
            posts=Upkeep(self.social, DraftStore(database), authority),
            rooms=self.pool.rooms,
            tenants=lambda: sorted(self.kinds),
            images=images if settings.policy.engine.kind == "docker" else None,
        )
        self.maintenance = build_maintenance(parts, settings.policy.workers.timezone)
        await self.maintenance.start()
        tasks.start(self.maintenance.run(), name="maintenance")
        tasks.start(keep_watchdog(database.breathe), name="watchdog")

        if (port := settings.policy.metrics.port) is not None:
            figures = GatewayFigures(
                counts=counts,
                store=self.store,
                budgets=budget.policy,
                sign_ins=self.sign_ins.refresher.status,
                pool=self.pool,
                max_workers=settings.policy.workers.max_workers,
                posts=self.social.store.counts,
                authority=authority,
                egress=self.egress_store,
                notices=NoticeStore(database),
                maintenance=self.maintenance,
                paths=paths,
            )
            self.metrics_port = await stack.enter_async_context(serving_metrics(figures, "clawgate", port))

        control = ControlServer(
            paths.control_socket("gateway"),
            {
                "status": self.op_status,
                "tenant_key": self.op_tenant_key,
                "tenants_changed": self.op_tenants_changed,
                "end_workers": self.op_end_workers,
                **self.audit.noted({**credential_operations(self.sign_ins), **social_operations(self.social)}),
                **self.audit.operations(),
                "posts_embed": embed_operation(ask_embed, lambda: self.kinds),
                **self.maintenance.operations(),
                **self.model_api.operations(),
            },
        )
        await control.start()
        stack.push_async_callback(control.stop)

    def on_sign_in_ended(self, notice: Notice) -> None:
        """Say in the log that somebody has to sign in again, and see to it that the owner is told."""
        _log.error(
            "sign_in.needed", provider=notice.provider, tenant=notice.tenant, reason=notice.reason, run=notice.command
        )
        self.watch.look_again()

    def on_budget_exhausted(self, exhaustion: Exhaustion) -> None:
        """See to it that the owner is told, once for each period."""
        self.notices.tell(budget_notice(exhaustion, state_option=self.paths.state_option))

    def startup_of(self, tenant: str) -> TenantStartup:
        """What a tenant gets at its start: its own, and nothing of its neighbours.

        ``.env`` and the vault are read anew, so that after a corrected token it is enough to restart that tenant.
        """
        settings = replace(self.settings, env=load_env(self.paths))
        discord, slack = settings.upstreams.discord, settings.upstreams.slack
        return TenantStartup(
            tenant=tenant,
            kind=settings.policy.tenants[tenant].kind,
            secrets=settings.tenant_secrets(tenant),
            settings=settings.tenant_settings(tenant),
            upstreams={
                "discord_api_base": discord.api_base,
                "discord_gateway_url": discord.gateway_url,
                "slack_api_base": slack.api_base,
            },
            web_search=settings.egress.search_offer(tenant),
            posting=self.social.policy.groups_of(tenant),
            graph_authority=self.authority.current.certificate if self.authority is not None else "",
            post_cards=self.social.policy.has_cards(tenant),
        )

    def routes_of(self, tenant: str) -> frozenset[str]:
        """Model routes a tenant may use on its own socket."""
        return frozenset(self.settings.policy.tenants[tenant].routes)

    def run_of(self, worker_id: str) -> str:
        """The run a worker is busy with, for the ledger and budgets; empty when none is known."""
        return next((worker.run_id for worker in self.pool.list() if worker.worker_id == worker_id), "")

    def run_of_group(self, tenant: str, group: str, named: str) -> str:
        """The run a group of a tenant is in; empty when there is none.

        Only a tenant whose agent runs in its own process is believed which run that is: no worker of ours has it.
        """
        if self.settings.policy.tenants[tenant].kind == "openclaw":
            return named
        return next((worker.run_id for worker in self.pool.list(tenant) if worker.group == group and worker.run_id), "")

    async def build_egress(self, database: Database, http: HttpPool) -> Egress:
        """The way to the web for the tenants' groups."""
        policy = self.settings.egress
        key = Secret(self.settings.env.get(SEARCH_KEY, ""))
        search = None if policy.search.backend == "off" else SearchBackend(http, policy.search, key)
        web = WebClient(max_bytes=policy.max_bytes, allow_loopback=policy.allow_loopback)
        self.egress_store = EgressStore(database)
        egress = Egress(
            policy,
            self.egress_store,
            web,
            search,
            run_of=self.run_of_group,
            before=lambda: require_not_halted(self.paths),
            webhook_token=Secret(self.settings.env.get(WEBHOOK_KEY, "")),
        )
        await egress.recover()
        return egress

    def name_prefix(self, tenant: str) -> str:
        """Containers are named after the tenant, so that ``docker ps --filter name=nanoclaw-`` finds them (N4)."""
        return tenant

    async def op_status(self, _params: dict[str, Any]) -> dict[str, Any]:
        """How the gateway is doing."""
        workers = [worker.model_dump(mode="json") for worker in self.pool.list()]
        return {
            "summary": f"{len(workers)} workers, engine {self.engine.kind} {self.engine.version}",
            "engine": {"kind": self.engine.kind, "version": self.engine.version, "address": self.engine.address},
            "workers": workers,
            "disk": [use.as_json() for use in self.pool.rooms.known()],
            "model_api_port": self.model_api.port,
            "media_port": self.media_port,
            "metrics_port": self.metrics_port,
        }

    async def op_tenant_key(self, params: dict[str, Any]) -> dict[str, str]:
        """Take the hash of a tenant's new key from the supervisor."""
        tenant = parse_name("tenant", str(params.get("tenant", "")))
        digest, uid = str(params.get("sha256", "")), params.get("uid")
        if tenant not in self.kinds or len(digest) != 64 or not isinstance(uid, int):
            raise Invalid(f"not a key for a tenant of ours: {tenant}")
        await self.take_key(TenantKey(tenant, digest, uid))
        return {"tenant": tenant}

    async def op_tenants_changed(self, _params: dict[str, Any]) -> dict[str, list[str]]:
        """Serve the tenants that policy has now; who stays notices nothing.

        A tenant that is gone must have been stopped; its agents are ended and its key is forgotten. Of the rest of the
        policy nothing is taken up: that needs a start.
        """
        async with self._changing:
            found = await asyncio.to_thread(Settings.load, self.paths)
            wanted = found.enabled_tenants()
            gone = [name for name, kind in self.kinds.items() if name not in wanted or wanted[name].kind != kind]
            for name in gone:
                await self.sockets.close(name)
                self.keys.pop(name, None)
                await self.store.drop_key(name)
                await self.pool.end_all(tenant=name)
                del self.kinds[name]
            tenants = {"tenants": found.policy.tenants}
            self.settings = replace(self.settings, policy=self.settings.policy.model_copy(update=tenants))
            new = [name for name in wanted if name not in self.kinds]
            for name in new:
                await asyncio.to_thread(give_folders, self.paths, name, found.user_of(name))
                self.kinds[name] = wanted[name].kind
                await self.sockets.open(name, wanted[name].kind, found.user_of(name))
            self.notices.speak_by(found.notices_tenant())
            if new:
                await self.sign_ins.write_views()
            _log.info("gateway.tenants_changed", added=new, removed=gone)
            return {"added": new, "removed": gone}

    async def take_key(self, key: TenantKey) -> None:
        """Let a tenant in with a new key from now on, and with no other."""
        await self.store.put_key(key)
        self.keys[key.tenant] = key

    async def op_end_workers(self, _params: dict[str, Any]) -> dict[str, int]:
        """End all workers, for a stop that leaves nothing behind."""
        return {"ended": await self.pool.end_all()}


class WorkerSockets:
    """The one private socket of each worker; which socket a call came through says who calls."""

    def __init__(self, paths: Paths, proxy: ModelProxy) -> None:
        self._paths = paths
        self._identities: dict[str, ModelIdentity] = {}
        self._listeners = AsgiListeners(worker_app(proxy, self._identities.get), max_connections=_WORKER_CONNECTIONS)

    async def open(self, worker_id: str, tenant: str, group: str, session_id: str) -> None:  # noqa: ARG002 - the contract's
        """Listen for a worker."""
        self._identities[worker_id] = ModelIdentity(
            tenant=tenant, group=group, worker_id=worker_id, routes=frozenset({"messages"})
        )
        socket = self._paths.worker_socket(worker_id)
        # Ours alone; `gateway.workers.folders` opens it to the agent's group, and an adopted worker's is open already.
        await asyncio.to_thread(socket.parent.mkdir, parents=True, exist_ok=True, mode=0o700)
        await self._listeners.add_unix(socket, state={"worker": worker_id}, mode=0o666)

    async def close(self, worker_id: str) -> None:
        """Stop listening and forget who it was."""
        self._identities.pop(worker_id, None)
        await self._listeners.remove(self._paths.worker_socket(worker_id))

    async def close_all(self) -> None:
        """Stop listening everywhere; live workers find the sockets again after the next start."""
        await self._listeners.close(_DRAIN_S)


def client_keys(settings: Settings) -> ClientKeys | None:
    """Who may call the model API; None lets every program of this machine in.

    Raises:
        ConfigError: keys are required and the file is missing, readable by others, or empty.
    """
    if not settings.policy.model_api.require_key:
        return None
    keys = ClientKeys(Path(settings.policy.model_api.keys_file).expanduser())
    keys.load()
    return keys


def build_rooms(settings: Settings, tell: Callable[[OwnerNotice], None] = lambda _notice: None) -> Rooms:
    """The disk budgets of groups and tenants."""
    return Rooms(
        settings.paths,
        group_bytes=settings.policy.workers.group_disk_mb * MB,
        tenant_bytes={name: tenant.disk_mb * MB for name, tenant in settings.policy.tenants.items()},
        tell=tell,
    )


def build_engine(settings: Settings) -> Engine:
    """The configured container engine.

    Raises:
        ConfigError: the process engine outside the sandbox.
    """
    if settings.policy.engine.kind == "process":
        if not settings.policy.sandbox:
            raise ConfigError(
                'engine.kind = "process" contains nothing and is refused outside the sandbox: use "docker"'
            )
        from gateway.workers.process_engine import ProcessEngine

        return ProcessEngine(settings.paths.runtime / "process-engine")
    from gateway.workers.docker_engine import DockerEngine

    return DockerEngine(engine_address(settings))


def build_launcher(settings: Settings) -> Launcher:
    """What prepares workers: with the allowlist of extra mounts, and with a checkout's files in development mode.

    No agent is ever shown the installation's own state, the engine's socket, or where people's logins are.
    """
    paths = settings.paths
    logins = (settings.credential_file("claude_file"), *settings.borrowed_files().values())
    protected: tuple[Path | str, ...] = (
        *(paths.state, paths.runtime),
        *socket_path(engine_address(settings)),
        *logins,
    )
    return Launcher(
        settings.policy.workers,
        paths,
        instance=installation_id(paths),
        allowlist=Allowlist.resolve(settings.mounts, protected=protected),
        development=development_mounts(settings.checkout),
    )


async def require_engine(engine: Engine, image: str) -> EngineInfo:
    """Make sure that workers can be started at all before anybody is told that we are ready.

    Raises:
        Unavailable: the engine does not answer, or the image is not there; exit code 69, so that a service manager
            tries again.
    """
    info = await engine.info()
    _log.info("engine.found", kind=info.kind, version=info.version, image=(await engine.image_id(image))[:19])
    return info


def prepare_directories(paths: Paths, settings: Settings) -> None:
    """Create the runtime directory's folders with the modes that guard what lies in them."""
    paths.runtime.mkdir(parents=True, exist_ok=True, mode=0o711)
    worker_parent = paths.worker_dir("x").parent
    worker_parent.mkdir(exist_ok=True, mode=0o700)
    for name in settings.enabled_tenants():
        give_folders(paths, name, settings.user_of(name))
