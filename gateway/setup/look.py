"""How an installation stands: every step looked at, none done."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.app import build_engine
from gateway.settings import Settings
from gateway.setup.discord import DiscordSetup, invite_link
from gateway.setup.models import Bot, Step
from shared.config.paths import Paths
from shared.config.toml import policy_values
from shared.errors import AuthRequired, GatewayError
from shared.http.client import HttpPool
from shared.lifecycle.control import call
from shared.secrets.files import Secret

_PORTAL = "https://discord.com/developers/applications"
_WELL = frozenset({"ok", "refreshing", "retrying", "borrowed"})


@dataclass(frozen=True, slots=True)
class Found:
    """What was seen beside the steps, for doing the next one.

    Attributes:
        bots: by tenant; only those whose token Discord takes.
    """

    steps: tuple[Step, ...]
    bots: Mapping[str, Bot]

    @property
    def is_ready(self) -> bool:
        """Nothing that is needed is missing."""
        return all(step.state == "done" or not step.needed for step in self.steps)


async def look(paths: Paths, sign_ins: Sequence[Mapping[str, Any]]) -> Found:
    """Look at everything.

    Args:
        paths: the installation.
        sign_ins: `clawgate auth status` as JSON.

    Raises:
        ConfigError: a policy file or ``.env`` is wrong; that comes before everything else.
    """
    settings = await asyncio.to_thread(Settings.load, paths)
    steps = [await _engine(settings)]
    bots: dict[str, Bot] = {}
    async with HttpPool() as http:
        discord = DiscordSetup(http, settings.upstreams.discord.api_base)
        for tenant in settings.enabled_tenants():
            steps += await _bot(settings, tenant, discord, bots)
    steps += sign_in_steps(sign_ins)
    for tenant in settings.tenants_of("openclaw"):
        steps.append(_who_may_ask(paths, tenant))
    steps.append(_notices(settings))
    steps += await asyncio.to_thread(_running, settings)
    return Found(tuple(steps), bots)


async def _engine(settings: Settings) -> Step:
    option = settings.paths.state_option
    engine = build_engine(settings)
    try:
        info = await engine.info()
        image = await engine.image_id(settings.policy.workers.image)
    except GatewayError as error:
        is_image = error.code == "engine.image_missing"
        fix = f"clawgate init{option} --build" if is_image else "sudo apt-get install docker.io"
        return Step("engine", "failed", error.detail, fix)
    finally:
        await engine.close()
    return Step("engine", "done", f"{info.kind} {info.version}, worker image {image[:19]}")


async def _bot(settings: Settings, tenant: str, discord: DiscordSetup, bots: dict[str, Bot]) -> list[Step]:
    option = settings.paths.state_option
    token = settings.tenant_secrets(tenant).get("discord_bot_token", "")
    name = f"bot.{tenant}"
    put = f"clawgate secrets set DISCORD_BOT_TOKEN --tenant {tenant}{option}"
    if not token:
        return [Step(name, "todo", f"no token; make an application at {_PORTAL}, page Bot", put)]
    try:
        bot = bots[tenant] = await discord.bot(Secret(token))
    except AuthRequired as error:
        return [Step(name, "failed", error.detail, f"reset it at {_PORTAL}, page Bot, then: {put}")]
    except GatewayError as error:
        return [Step(name, "failed", error.detail, "look at the network of this machine")]
    steps = [Step(name, "done", f"Discord knows it as {bot.name}")]
    page = f"{_PORTAL}/{bot.application}/bot"
    if bot.reads_messages:
        steps.append(Step(f"intent.{tenant}", "done", "it may read messages"))
    else:
        steps.append(
            Step(
                f"intent.{tenant}",
                "todo",
                "Discord hides from it what people write",
                f"{page}: turn on Message Content Intent",
            )
        )
    if bot.servers:
        names = ", ".join(server for _, server in bot.servers[:5])
        steps.append(Step(f"server.{tenant}", "done", f"it is in {names}"))
    else:
        steps.append(Step(f"server.{tenant}", "todo", "it is in no server", f"open {invite_link(bot.application)}"))
    return steps


def sign_in_steps(sign_ins: Sequence[Mapping[str, Any]]) -> list[Step]:
    """How the model providers stand, from `clawgate auth status` as JSON."""
    steps = []
    health = {str(line["provider"]): str(line["health"]) for line in sign_ins}
    for provider, whose in (
        ("claude", "NanoClaw's agent"),
        ("codex", "OpenClaw's agent"),
        ("copilot", "light answers"),
    ):
        if provider not in health:
            continue
        is_well = health[provider] in _WELL
        detail = f"{whose}: signed in" if is_well else f"{whose}: {health[provider].replace('_', ' ')}"
        fix = "" if is_well else f"clawgate auth login {provider}"
        # OpenClaw falls back to Copilot, and NanoClaw answers without the light route: only Claude has no second.
        steps.append(Step(f"model.{provider}", "done" if is_well else "todo", detail, fix, needed=provider == "claude"))
    return steps


def _who_may_ask(paths: Paths, tenant: str) -> Step:
    policy = policy_values("openclaw", paths, tenant=tenant)
    servers = policy.get("discord", {}).get("guilds", {})
    approvers = [one for one in policy.get("approvals", {}).get("approvers", ()) if one != "operator"]
    option = paths.state_option
    if not servers:
        return Step(
            f"access.{tenant}",
            "todo",
            "no server is on its allowlist, so it answers in none",
            f"clawgate init{option} --server {_mine(tenant, 'openclaw')}SERVER_ID",
            needed=False,
        )
    decided = (
        f"; commands are approved by {', '.join(approvers)}" if approvers else "; nobody on Discord approves commands"
    )
    return Step(f"access.{tenant}", "done", f"it answers in {len(servers)} server(s){decided}", needed=False)


def _mine(tenant: str, kind: str) -> str:
    """What goes before an id that is not for the first tenant of its kind."""
    return "" if tenant == kind else f"{tenant}="


def _notices(settings: Settings) -> Step:
    wanted, tenant = settings.policy.notices, settings.notices_tenant()
    if not tenant:
        fix = "name a tenant and a chat under [notices] in policies/gateway.toml (docs/notices.md)"
        return Step("notices", "todo", "nobody tells the owner what needs a person", fix, needed=False)
    place = wanted.chat or "its main group"
    return Step("notices", "done", f"{tenant} tells the owner what needs a person, in {place}", needed=False)


def _running(settings: Settings) -> list[Step]:
    paths, option = settings.paths, settings.paths.state_option
    steps = []
    for tenant in settings.enabled_tenants():
        try:
            status = call(paths.control_socket(tenant), "status", timeout_s=5.0)
        except GatewayError:
            start = f"clawgate up{option}, or as a service: sudo clawgate install systemd --apply"
            steps.append(Step(f"process.{tenant}", "todo", "it does not run", start))
            continue
        steps.append(Step(f"process.{tenant}", "done", str(status.get("summary", "it runs"))))
        if tenant in settings.tenants_of("nanoclaw"):
            steps.append(_main_group(paths, tenant))
    return steps


def _main_group(paths: Paths, tenant: str) -> Step:
    groups = call(paths.control_socket(tenant), "groups.list", timeout_s=5.0)
    main = next((group for group in groups if group["folder"] == "main"), None)
    if main is None:
        fix = f"clawgate init{paths.state_option} --main {_mine(tenant, 'nanoclaw')}CHANNEL_ID"
        return Step(f"main.{tenant}", "todo", "no channel is its main group, from which you administer it", fix)
    return Step(f"main.{tenant}", "done", f"{main['name'] or main['chat']} is its main group")
