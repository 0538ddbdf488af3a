"""Doing a step of setting up. Each does nothing when it is done already."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.credentials.vault import open_vault
from gateway.settings import Settings, engine_address
from gateway.setup.discord import DiscordSetup
from shared.config.paths import Paths
from shared.config.toml import policy_files, policy_values
from shared.config.tomlwrite import overlay_file
from shared.errors import Conflict, Invalid, NotFound
from shared.http.client import HttpPool
from shared.lifecycle.control import call
from shared.secrets.files import Secret

HELLO = "Hello! I am set up and can write here. Mention me to ask me something."
_TOKEN = "DISCORD_BOT_TOKEN"  # noqa: S105 - a name
_SNOWFLAKE_DIGITS = range(15, 21)


def require_id(text: str, what: str) -> str:
    """A Discord id as a person copies it.

    Raises:
        Invalid: it is none; says where to find one.
    """
    text = text.strip()
    if not (text.isascii() and text.isdecimal() and len(text) in _SNOWFLAKE_DIGITS):
        raise Invalid(
            f"{text[:40]!r} is not the id of a {what}: in Discord turn on Settings → Advanced → Developer Mode, then "
            "right-click it and copy its id",
            code="setup.id",
        )
    return text


async def store_token(paths: Paths, tenant: str, token: str) -> str:
    """Check a bot's token with Discord and keep it in the vault; returns the bot's name.

    Raises:
        NotFound: there is no such tenant.
        AuthRequired: Discord refuses it; nothing is stored.
        Unavailable: Discord does not answer; nothing is stored.
    """
    settings = await asyncio.to_thread(Settings.load, paths)
    if tenant not in settings.policy.tenants:
        there = ", ".join(settings.policy.tenants)
        raise NotFound(f"there is no tenant {tenant!r}; there are: {there}", code="setup.tenant")
    async with HttpPool() as http:
        bot = await DiscordSetup(http, settings.upstreams.discord.api_base).bot(Secret(token.strip()))
    await open_vault(paths).put(tenant, _TOKEN, token.strip().encode())
    return bot.name


async def allow_server(paths: Paths, tenant: str, server: str, owner: str = "") -> str:
    """Let OpenClaw answer its owner in a server, and the owner approve commands; returns the owner's id.

    A server that was allowed before keeps the people it has: others are named under ``users`` of its table.

    Args:
        paths: the installation.
        tenant: an OpenClaw.
        server: the server's id.
        owner: who approves; the server's owner when empty.

    Raises:
        Invalid: not ids.
        AuthRequired: the tenant has no token that Discord takes.
        UpstreamError: the bot is not in that server.
    """
    server = require_id(server, "server")
    if owner:
        owner = require_id(owner, "person")
    else:
        settings, token = await _token(paths, tenant)
        async with HttpPool() as http:
            owner = await DiscordSetup(http, settings.upstreams.discord.api_base).owner_of(token, server)
    policy = policy_values("openclaw", paths, tenant=tenant)
    guild = policy.get("discord", {}).get("guilds", {}).get(server) or {"users": [owner]}
    approvers = list(policy.get("approvals", {}).get("approvers", ()))
    overlay_file(
        policy_files("openclaw", paths, tenant=tenant)[-1],
        {
            "discord": {"guilds": {server: guild}},
            "approvals": {"approvers": [*approvers, *([owner] if owner not in approvers else [])]},
        },
    )
    return owner


async def make_main(paths: Paths, tenant: str, channel: str) -> None:
    """Make a channel the main group of a running NanoClaw, and have the bot say hello there.

    Raises:
        Invalid: not an id.
        Conflict: another channel is the main group.
        Unavailable: the tenant does not run.
        UpstreamError: the bot cannot write there; nothing is registered.
    """
    chat = f"dc:{require_id(channel, 'channel')}"
    control = paths.control_socket(tenant)
    groups = await asyncio.to_thread(call, control, "groups.list")
    main = next((group for group in groups if group["folder"] == "main"), None)
    if main is not None:
        if main["chat"] == chat:
            return
        raise Conflict(
            f"{main['chat']} is the main group already; remove it first: nanoclaw groups remove main", code="setup.main"
        )
    settings, token = await _token(paths, tenant)
    async with HttpPool() as http:
        await DiscordSetup(http, settings.upstreams.discord.api_base).say(token, channel.strip(), HELLO)
    await asyncio.to_thread(call, control, "groups.register", chat=chat, folder="main", name="main")


async def build_image(paths: Paths, progress: Callable[[str], None]) -> str:
    """Build the worker image where it is missing; returns its tag.

    Raises:
        Unavailable: the engine is down, or a download failed.
        Internal: the build failed.
    """
    from gateway.workers.image.build import ensure_image

    settings = await asyncio.to_thread(Settings.load, paths)
    image = settings.policy.workers.image
    built = await asyncio.to_thread(ensure_image, engine_address(settings), progress=progress, image=image)
    return built.tag


async def _token(paths: Paths, tenant: str) -> tuple[Settings, Secret]:
    settings = await asyncio.to_thread(Settings.load, paths)
    token = settings.tenant_secrets(tenant).get("discord_bot_token", "")
    if not token:
        raise NotFound(f"{tenant} has no bot token yet: clawgate init", code="setup.token")
    return settings, Secret(token)


async def visible_channels(paths: Paths, tenant: str, servers: list[str]) -> list[tuple[str, str]]:
    """Id and name of the text channels a bot can see in some servers; raises as `make_main` does."""
    settings, token = await _token(paths, tenant)
    async with HttpPool() as http:
        discord = DiscordSetup(http, settings.upstreams.discord.api_base)
        return [(place, f"#{name}") for server in servers for place, name in await discord.channels(token, server)]
