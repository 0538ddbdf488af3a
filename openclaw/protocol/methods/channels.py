"""Methods about chat channels: how they are doing, signing out, and speaking through them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from openclaw.health import account
from openclaw.protocol.errors import ProtocolError, invalid
from openclaw.protocol.frames import NonEmpty, Wire
from openclaw.protocol.registry import Call, Method
from openclaw.protocol.scopes import ADMIN, READ, WRITE
from shared.clock import unix_ms


class ChannelsParams(Wire):
    """``channels.status``: with `probe`, Discord itself is asked, for `timeout_ms` at most (10 s; up to 30 s)."""

    probe: bool = False
    timeout_ms: Annotated[int, Field(ge=0)] | None = None


def _channels(call: Call, params: ChannelsParams) -> object:
    return _probed(call, params.timeout_ms) if params.probe else _report(call)


async def _probed(call: Call, timeout_ms: int | None) -> object:
    if call.services.probe_discord is not None:
        await call.services.probe_discord(timeout_ms)
    return _report(call)


def _report(call: Call) -> object:
    services = call.services
    report = services.discord()
    shown = report.enabled
    entry = account(report)
    ids = ["discord"] if shown else []
    return {
        "ts": unix_ms(services.clock.now()),
        "channelOrder": ids,
        "channelLabels": {"discord": "Discord"} if shown else {},
        "channelDetailLabels": {"discord": "Discord bot"} if shown else {},
        "channelSystemImages": {},
        "channelMeta": [{"id": "discord", "label": "Discord", "detailLabel": "Discord bot"}] if shown else [],
        "channels": {"discord": entry} if shown else {},
        "channelAccounts": {"discord": [entry]} if shown else {},
        "channelDefaultAccountId": {"discord": "default"} if shown else {},
    }


class LogoutParams(Wire):
    """``channels.logout``."""

    channel: NonEmpty
    account_id: NonEmpty | None = None


def _logout(_call: Call, params: LogoutParams) -> object:
    """Nothing is cleared: the bot's token lies in the gateway's ``.env``, which no client of ours may write."""
    if params.channel.strip().lower() != "discord":
        raise invalid("invalid channels.logout channel")
    if params.account_id not in (None, "default"):
        raise invalid(f"unknown account: {params.account_id}")
    return {"channel": "discord", "accountId": "default", "cleared": False, "loggedOut": False, "envToken": True}


class SendParams(Wire):
    """``send``: a message from the operator, not from the agent."""

    to: NonEmpty
    message: str | None = None
    media_url: str | None = None
    media_urls: list[str] | None = None
    gif_playback: bool | None = None
    channel: str | None = None
    account_id: str | None = None
    agent_id: str | None = None
    thread_id: str | None = None
    session_key: str | None = None
    idempotency_key: Annotated[str, Field(min_length=1, max_length=200)]


async def _send(call: Call, params: SendParams) -> object:
    """The key is the message's own: sent again, the same message is found, not doubled."""
    if params.channel not in (None, "", "discord"):
        raise invalid(f"unsupported channel: {params.channel}")
    if params.media_url or params.media_urls:
        raise invalid("media by address is not sent: the gateway fetches nothing for its clients")
    text = (params.message or "").strip()
    if not text:
        raise invalid("text or media is required")
    speak = call.services.speak
    if speak is None:
        raise ProtocolError("UNAVAILABLE", "Discord is not connected: no bot token is configured", retryable=False)
    chat, message_id = await speak(params.thread_id or params.to, text, f"send_{params.idempotency_key}")
    return {
        "runId": params.idempotency_key,
        "messageId": message_id,
        "channel": "discord",
        "channelId": chat.removeprefix("dc:"),
    }


METHODS = (
    Method("channels.status", READ, _channels, params=ChannelsParams),
    Method("channels.logout", ADMIN, _logout, params=LogoutParams),
    Method("send", WRITE, _send, params=SendParams),
)
