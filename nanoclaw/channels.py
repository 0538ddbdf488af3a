"""The chat platforms of one tenant: each on its own, so that one that fails does not take the others along."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from shared.channels.base import CatchUp, Channel, ChannelHandlers, ChannelStatus, ChatId, MakeChannel, platform_of
from shared.channels.discord.make import discord_channel
from shared.channels.slack.make import slack_channel
from shared.errors import AuthRequired, ConfigError, GatewayError, Unavailable
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Platform:
    """A chat platform NanoClaw can be on.

    Attributes:
        name: in ``status --json``.
        prefix: of its chats' addresses.
        label: for people.
        off: why it is off when it is not configured.
    """

    name: str
    prefix: str
    label: str
    off: str


PLATFORMS = (
    Platform("discord", "dc", "Discord", "no DISCORD_BOT_TOKEN is configured for this tenant"),
    Platform("slack", "sl", "Slack", "no SLACK_BOT_TOKEN and SLACK_APP_TOKEN are configured for this tenant"),
)

Connector = MakeChannel | ConfigError | None
"""How to make a platform's channel, or what is wrong with its configuration; None when it is not configured."""

Connectors = Mapping[str, Connector]
"""By the platform's name."""


def connectors_of(
    secrets: Mapping[str, str],
    upstreams: Mapping[str, str],
    *,
    called: str = "",
    catch_up: CatchUp = CatchUp(),  # noqa: B008 - a frozen value
) -> Connectors:
    """The platforms a tenant is on, by what the gateway handed over; a half-configured one stays off and says so.

    Args:
        secrets: by lower-case name; absent ones leave their platform off.
        upstreams: addresses; absent ones are the real ones.
        called: what people's mentions of the bot become.
        catch_up: how much of what was missed is read again.
    """
    slack: Connector
    tokens = secrets.get("slack_bot_token", ""), secrets.get("slack_app_token", "")
    try:
        slack = slack_channel(*tokens, upstreams, called=called, catch_up=catch_up)
    except ConfigError as error:
        slack = error
    token = secrets.get("discord_bot_token", "")
    discord = discord_channel(token, upstreams, called=called, catch_up=catch_up)
    return {"discord": discord, "slack": slack}


class Channels:
    """Makes, starts and tells apart the channels of a tenant.

    Args:
        connectors: what is configured.
        handlers_for: what the tenant wants to be told of a platform.
    """

    def __init__(self, connectors: Connectors, handlers_for: Callable[[Platform], ChannelHandlers]) -> None:
        self._connectors = dict(connectors)
        self._channels: dict[str, Channel] = {}
        self._running: dict[asyncio.Task[None], Platform] = {}
        for platform in PLATFORMS:
            connector = self._connectors.get(platform.name)
            if isinstance(connector, ConfigError):
                _log.error("channel.misconfigured", channel=platform.name, reason=connector.detail)
            elif connector is not None:
                self._channels[platform.prefix] = connector(handlers_for(platform))

    def __len__(self) -> int:
        return len(self._channels)

    def serves(self, chat: ChatId) -> bool:
        """Whether anybody can speak in a chat."""
        return platform_of(chat) in self._channels

    def of(self, chat: ChatId) -> Channel:
        """The channel of a chat.

        Raises:
            Unavailable: its platform is not configured.
        """
        channel = self._channels.get(platform_of(chat))
        if channel is None:
            raise Unavailable(f"no channel is configured for {chat}", code="channel.off")
        return channel

    def status(self) -> dict[str, ChannelStatus]:
        """How each platform is doing, by name."""
        return {platform.name: self._status(platform) for platform in PLATFORMS}

    def _status(self, platform: Platform) -> ChannelStatus:
        if (channel := self._channels.get(platform.prefix)) is not None:
            return channel.status
        connector = self._connectors.get(platform.name)
        if isinstance(connector, ConfigError):
            return ChannelStatus("failed", connector.detail, failure=connector)
        return ChannelStatus("off", platform.off)

    def summary(self) -> str:
        """One line for people: every platform that is configured, or that Discord is off."""
        told = [(platform, self._status(platform)) for platform in PLATFORMS]
        told = [(platform, status) for platform, status in told if status.state != "off"] or told[:1]
        return ", ".join(_in_words(platform, status) for platform, status in told)

    # --- running -----------------------------------------------------------------------------------------------------

    def start(self, tasks: TaskPool) -> None:
        """Connect everywhere."""
        for platform in PLATFORMS:
            if (channel := self._channels.get(platform.prefix)) is not None:
                self._running[tasks.start(channel.run(), name=f"channel.{platform.name}")] = platform

    async def until_unbearable(self) -> GatewayError | None:
        """Wait until no channel is left, or one ended that should not; never returns without channels.

        Returns:
            What a person has to do when all channels failed for good; a refused token comes first. None after a defect.
        """
        running = set(self._running)
        while running:
            ended, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            if any(self._status(self._running[task]).state != "failed" for task in ended):
                return None
        if not self._running:
            await asyncio.get_running_loop().create_future()
        return _most_telling(self._status(platform).failure for platform in self._running.values())


def _in_words(platform: Platform, status: ChannelStatus) -> str:
    if status.state == "failed":
        return f"{platform.label} failed: {status.reason}"
    return f"{platform.label} {status.state}{f' as {status.user_name}' if status.user_name else ''}"


def _most_telling(failures: Iterable[GatewayError | None]) -> GatewayError | None:
    found = [failure for failure in failures if failure is not None]
    return next((failure for failure in found if isinstance(failure, AuthRequired)), found[0] if found else None)
