"""``clawgate sandbox``: the emulators, a container engine, and the unchanged product on top of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from gateway.sandbox.cast import Cast, cast_of
from gateway.sandbox.discord.server import DiscordEmulator
from gateway.sandbox.discord.world import World
from gateway.sandbox.engine import EngineHandle, resolve_engine
from gateway.sandbox.faults import FaultPlan
from gateway.sandbox.meta import MetaWorld
from gateway.sandbox.models import ModelWorld
from gateway.sandbox.options import Ports, SandboxOptions
from gateway.sandbox.posting import NETWORKS, seed_posting, sign_in_accounts
from gateway.sandbox.script import Script
from gateway.sandbox.seed import CredentialPaths, claim_state, register_apps, seed_env, seed_policies
from gateway.sandbox.slack.cast import SlackCast, slack_cast_of
from gateway.sandbox.slack.server import SlackEmulator
from gateway.sandbox.slack.world import World as Workspace
from gateway.sandbox.web import WebWorld
from gateway.settings import Settings
from gateway.supervisor.supervisor import Supervisor
from gateway.up import first_of
from gateway.workers.image.build import ensure_image
from shared.config.paths import Paths
from shared.config.process import environment, log_level
from shared.errors import GatewayError, Unavailable
from shared.lifecycle.control import call
from shared.lifecycle.faultpoints import VARIABLE
from shared.lifecycle.signals import stop_on_signals
from shared.lifecycle.singleton import SingleInstance
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import configure_logging, get_logger
from shared.secrets.files import Secret, write_private

_log = get_logger(__name__)
_ONLINE_TIMEOUT_S = 60.0
_LOCALHOST = "127.0.0.1"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SandboxDiscord:
    """The emulated Discord and who is on it."""

    emulator: DiscordEmulator
    cast: Cast


@dataclass(frozen=True, slots=True)
class SandboxSlack:
    """The emulated workspace and who is in it."""

    emulator: SlackEmulator
    cast: SlackCast


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running offline world.

    Attributes:
        ready: the ready file's content (docs/sandbox.md).
        discord: None when another server stands in for the emulator.
        slack: None unless asked for.
    """

    ready: dict[str, Any]
    paths: Paths
    supervisor: Supervisor
    discord: SandboxDiscord | None
    slack: SandboxSlack | None
    models: ModelWorld


async def run_sandbox(options: SandboxOptions) -> int:
    """Run until SIGINT or SIGTERM, then end everything that was started.

    Raises:
        GatewayError: it could not start; nothing is left behind.
    """
    configure_logging("sandbox", level=log_level("WARNING"))
    stopping = stop_on_signals()
    async with _unless(stopping, options) as sandbox:
        if sandbox is None:
            return 0
        _announce(sandbox)
        await first_of(stopping, sandbox.supervisor.stop_requested)
        say("stopping; everything that was started ends now")
    return 0


@asynccontextmanager
async def _unless(stopping: asyncio.Event, options: SandboxOptions) -> AsyncIterator[Sandbox | None]:
    """A started sandbox, or None when told to stop while it was coming up."""
    tasks = TaskPool("sandbox")
    async with AsyncExitStack() as stack:
        starting = tasks.start(stack.enter_async_context(running_sandbox(options)), name="start", watched=True)
        stop = tasks.start(stopping.wait(), name="stop")
        await asyncio.wait({starting, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not starting.done():
            starting.cancel()
            await asyncio.wait({starting})
        yield None if starting.cancelled() else starting.result()


def _silent(_text: str) -> None:
    """Progress of a sandbox nobody watches."""


def say(text: str) -> None:
    """Tell the person at the terminal what is going on."""
    sys.stderr.write(f"clawgate: {text}\n")
    sys.stderr.flush()


@asynccontextmanager
async def running_sandbox(options: SandboxOptions) -> AsyncIterator[Sandbox]:
    """The whole offline world; leaving the context ends all of it."""
    progress: Progress = _silent if options.quiet else say
    paths = Paths.resolve(options.state)
    claim_state(paths)
    lock = SingleInstance(paths.up_lock, what=f"a sandbox with state in {paths.state}")
    lock.acquire()
    async with AsyncExitStack() as stack:
        stack.callback(lock.release)
        stack.callback(shutil.rmtree, paths.runtime, ignore_errors=True)
        if options.ready_file:
            options.ready_file.unlink(missing_ok=True)
        faults = FaultPlan.load(options.faults) if options.faults else FaultPlan()
        script = Script.load(options.script) if options.script else Script()

        engine = await stack.enter_async_context(_engine(options, progress))
        progress("starting the emulators")
        discord = await _discord(options, paths, faults, stack)
        slack = await _slack(options, faults, stack)
        logins = CredentialPaths.of(paths)
        models = ModelWorld(
            script=script, faults=faults, port=options.ports.models, memory=logins.folder / "issued-models.json"
        )
        await models.start()
        stack.push_async_callback(models.stop)
        meta = MetaWorld(faults=faults, memory=logins.folder / "issued-meta.json")
        await meta.start()
        stack.push_async_callback(meta.stop)
        web = WebWorld(faults=faults)
        await web.start()
        stack.push_async_callback(web.stop)
        models.seed_credentials(claude=logins.claude, codex=logins.codex, copilot=logins.copilot)

        tokens = dict(options.bot_tokens)
        if discord:
            tokens = {name: Secret(token) for name, token in discord.cast.bot_tokens.items()} | tokens
        token = seed_env(paths, bot_tokens=tokens, apps=register_apps(paths, meta), slack_tokens=_slack_tokens(slack))
        ports = _concrete(options.ports)
        seed_policies(
            paths,
            upstreams=_upstreams(options, discord, slack, models),
            sign_in=_sign_in(models, meta),
            egress=_egress(web),
            engine={"kind": "process"} if engine is None else {"kind": "docker", "host": engine.docker_host},
            ports=ports,
            further_ports=_further_ports(paths) if not options.ports.control_ui else {},
            guild_id=discord.cast.guild_id if discord else None,
            people=_people(discord, slack),
        )

        seed_posting(paths, meta, discord.cast.people["owner"] if discord else None, free_port())

        progress("starting the gateway and both tenants")
        logs = paths.state / "logs"
        logs.mkdir(exist_ok=True, mode=0o700)
        armed = {VARIABLE: file} if (file := environment(VARIABLE)) else {}
        supervisor = Supervisor(Settings.load(paths), environment=armed, log_dir=logs, patient=bool(armed))
        stack.push_async_callback(supervisor.stop, end_workers=True)
        await supervisor.start()
        await sign_in_accounts(paths, meta)
        wanted = {(name, "discord") for name in tokens} | ({("nanoclaw", "slack")} if slack else set())
        bots = await _online(supervisor, paths, wanted)
        ready = _ready(options, token, ports, discord, bots, engine)
        ready["meta"] = {"feed_url": meta.feed_url, **{network: meta.base(network) for network in NETWORKS}}
        ready["web"] = {"url": web.site}
        if slack:
            ready["slack"] = _slack_ready(slack, bots["nanoclaw", "slack"])
        if options.ready_file:
            write_private(options.ready_file, json.dumps(ready, indent=2) + "\n")
        yield Sandbox(ready, paths, supervisor, discord, slack, models)
        if options.ready_file:
            options.ready_file.unlink(missing_ok=True)


@asynccontextmanager
async def _engine(options: SandboxOptions, progress: Progress) -> AsyncIterator[EngineHandle | None]:
    """The container engine with the worker image in it; None means the labelled process engine.

    Raises:
        Unavailable: Docker was asked for by name, or ``CI=true``, and there is none.
    """
    strict = environment("CI") == "true"  # CI must never quietly lose its engine
    if options.engine == "process":
        if strict:
            raise Unavailable("the process engine is refused with CI=true: it would hide a missing Docker engine")
        progress("engine: process (asked for). Workers run as plain processes, NOT contained")
        yield None
        return
    async with AsyncExitStack() as stack:
        progress("looking for a Docker engine")
        handle = await stack.enter_async_context(resolve_engine(options.docker_host))
        if handle is None:
            if options.engine == "docker" or strict:
                raise Unavailable("no Docker engine answers and none can be started: install docker.io, or run as root")
            progress("engine: process, because no Docker engine answers. Workers run as plain processes, NOT contained")
            yield None
            return
        await asyncio.to_thread(ensure_image, handle.docker_host, progress=progress)
        yield handle


async def _discord(
    options: SandboxOptions, paths: Paths, faults: FaultPlan, stack: AsyncExitStack
) -> SandboxDiscord | None:
    if not options.emulates_discord:
        return None
    world = World(paths.state / "world.json")
    cast = cast_of(world, Settings.policy_of(paths).enabled())
    emulator = DiscordEmulator(world, faults, port=options.ports.discord, people_port=options.ports.page)
    await emulator.start()
    stack.push_async_callback(emulator.stop)
    return SandboxDiscord(emulator, cast)


async def _slack(options: SandboxOptions, faults: FaultPlan, stack: AsyncExitStack) -> SandboxSlack | None:
    if not options.slack:
        return None
    world = Workspace()
    emulator = SlackEmulator(world, faults, port=options.ports.slack)
    await stack.enter_async_context(emulator)
    return SandboxSlack(emulator, slack_cast_of(world))


def _people(discord: SandboxDiscord | None, slack: SandboxSlack | None) -> tuple[str, ...]:
    """Ids of everybody on the emulated platforms: whom the bots answer."""
    there = list(discord.cast.people.values()) if discord else []
    return (*there, *((slack.cast.owner.id, slack.cast.friend.id) if slack else ()))


def _slack_tokens(slack: SandboxSlack | None) -> dict[str, Secret]:
    if slack is None:
        return {}
    app = slack.cast.app
    return {"SLACK_BOT_TOKEN": Secret(app.bot_token), "SLACK_APP_TOKEN": Secret(app.app_token)}


def _slack_ready(slack: SandboxSlack, bot_id: str) -> dict[str, str]:
    return {
        "api_base": slack.emulator.api_base,
        "channel_id": slack.cast.general.id,
        "user_token": slack.cast.owner_token,
        "bot_id": bot_id,
    }


def _concrete(ports: Ports) -> dict[str, int]:
    """Ports of the product itself; free ones are looked up here because they go into policy files."""
    return {"control_ui": ports.control_ui or free_port(), "model_api": ports.model_api or free_port()}


def _further_ports(paths: Paths) -> dict[str, int]:
    tenants = Settings.policy_of(paths).enabled()
    return {name: free_port() for name, tenant in tenants.items() if tenant.kind == "openclaw" and name != "openclaw"}


def free_port() -> int:
    """A port nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind((_LOCALHOST, 0))
        return int(probe.getsockname()[1])


def _upstreams(
    options: SandboxOptions, discord: SandboxDiscord | None, slack: SandboxSlack | None, models: ModelWorld
) -> dict[str, dict[str, str]]:
    values: dict[str, dict[str, str]] = {
        "claude": {"api_base": models.claude_base},
        "codex": {"api_base": models.codex_base},
        "copilot": {"api_base": models.copilot_base},
        "github": {"api_base": models.github_api_base},
    }
    if discord:
        values["discord"] = {"api_base": discord.emulator.api_base, "gateway_url": discord.emulator.gateway_url}
    if slack:
        values["slack"] = {"api_base": slack.emulator.api_base}
    for section, names in options.use.items():
        values[section] = {**values.get(section, {}), **names}
    return values


def _sign_in(models: ModelWorld, meta: MetaWorld) -> dict[str, dict[str, Any]]:
    return {
        "claude": {
            "authorize_url": models.claude_authorize_url,
            "token_url": models.claude_token_url,
            "revoke_url": f"{models.claude_token_url}/revoke",
        },
        "codex": {"issuer": models.openai_auth_base},
        "copilot": {"login_base": models.github_base, "api_base": models.github_api_base},
        "threads": meta.endpoints("threads"),
        "instagram": meta.endpoints("instagram"),
    }


def _egress(web: WebWorld) -> dict[str, Any]:
    """The site and its search, for every agent; loopback is permitted here and nowhere else."""
    host = urlsplit(web.site).netloc
    return {
        "allow_loopback": True,
        "search": {"backend": "searxng", "url": web.search},
        "tenants": {name: {"allow": [host]} for name in ("nanoclaw", "openclaw")},
    }


async def _online(supervisor: Supervisor, paths: Paths, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Wait until every tenant is online on every platform it has a token for; returns their user ids there.

    Raises:
        Unavailable: a process failed, or a bot did not come online in time; the reason is its own.
    """
    ids: dict[tuple[str, str], str] = {}
    deadline = asyncio.get_running_loop().time() + _ONLINE_TIMEOUT_S
    while True:
        reasons = []
        for process in supervisor.status():
            name = str(process["name"])
            if process["state"] != "ready":
                reasons.append(
                    f"{name} is {process['state']} ({process['reason']}); its log: {paths.state}/logs/{name}.log"
                )
            elif missing := {platform for tenant, platform in wanted - ids.keys() if tenant == name}:
                with contextlib.suppress(GatewayError):
                    status = await asyncio.to_thread(call, paths.control_socket(name), "status", timeout_s=5.0)
                    for channel in status["channels"]:
                        platform = str(channel.get("name") or channel.get("id"))
                        if platform in missing and channel["state"] == "online":
                            ids[name, platform] = channel["user_id"]
                        elif platform in missing:
                            reasons.append(f"{name}: {platform} {channel['state']} {channel['reason']}")
        if not reasons and ids.keys() == wanted:
            return ids
        failed = any(process["state"] == "failed" for process in supervisor.status())
        if failed or asyncio.get_running_loop().time() > deadline:
            raise Unavailable("the sandbox did not come up: " + "; ".join(reasons), code="sandbox.not_ready")
        await asyncio.sleep(0.05)


def _ready(
    options: SandboxOptions,
    token: str,
    ports: dict[str, int],
    discord: SandboxDiscord | None,
    bots: dict[tuple[str, str], str],
    engine: EngineHandle | None,
) -> dict[str, Any]:
    ui = f"http://{_LOCALHOST}:{ports['control_ui']}"
    ready: dict[str, Any] = {
        **{tenant: {"bot_id": bot} for (tenant, platform), bot in bots.items() if platform == "discord"},
        "state": str(options.state),
        "openclaw": {
            "http_url": f"{ui}/",
            "ws_url": ui.replace("http", "ws", 1),
            "token": token,
            "bot_id": bots.get(("openclaw", "discord"), ""),
        },
        "nanoclaw": {"bot_id": bots.get(("nanoclaw", "discord"), "")},
        "discord": dict(options.use.get("discord", {})),
        "copilot_api": {"url": f"http://{_LOCALHOST}:{ports['model_api']}", "key": "any"},
        "engine": "process" if engine is None else "docker",
    }
    if discord:
        ready["discord"] = {
            "api_base": discord.emulator.api_base,
            "gateway_url": discord.emulator.gateway_url,
            "page_url": discord.emulator.page_url,
            "guild_id": discord.cast.guild_id,
            "channel_id": discord.cast.channel_id,
            "user_token": discord.cast.owner_token,
        }
    return ready


def _announce(sandbox: Sandbox) -> None:
    ready = sandbox.ready
    lines = [
        "",
        f"Clawgate runs offline (workers: {ready['engine']}).",
        f"  Control UI     {ready['openclaw']['http_url']}#token={ready['openclaw']['token']}",
    ]
    if "page_url" in ready["discord"]:
        lines.append(f"  Discord        {ready['discord']['page_url']}")
    if "slack" in ready:
        lines.append(f"  Slack          {ready['slack']['api_base']} (docs/slack.md: writing as a person)")
    online = [name for name, who in (("NanoClaw", "nanoclaw"), ("OpenClaw", "openclaw")) if ready[who]["bot_id"]]
    lines += [
        f"  Bots online    {', '.join(online) or 'none (no bot token was given)'}",
        f"  Model API      {ready['copilot_api']['url']}/v1",
        f"  Published      {ready['meta']['feed_url']}  (the emulated Threads and Instagram)",
        f"  Web site       {ready['web']['url']}  (for web_fetch and web_search)",
        f"  State          {ready['state']}  (kept; start again and it is all there)",
        "Press Ctrl-C to end everything.",
        "",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
