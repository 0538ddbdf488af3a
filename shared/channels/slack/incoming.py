"""What comes in over the socket, to the feed and the tenant; it is acknowledged once it is durable."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from shared.channels.base import ChannelHandlers, ChatId, InboundMessage, MessageId
from shared.channels.feed import Feed
from shared.channels.slack.deliveries import Acknowledge, Deliveries
from shared.channels.slack.socketmode import Envelope, SocketMode
from shared.channels.slack.translate import Facts, Skipped, read_message
from shared.errors import Invalid
from shared.json_values import mapping
from shared.obs.log import get_logger

_log = get_logger(__name__)

Translate = Callable[[Facts], Awaitable[InboundMessage | Skipped]]


class Incoming:
    """Takes envelopes of any connection; those that come again, or in two shapes, are taken once.

    Args:
        handlers: of the tenant.
        translate: reads a message, looking names up.
        name: for log lines.
    """

    def __init__(self, handlers: ChannelHandlers, translate: Translate, *, name: str) -> None:
        self._handlers = handlers
        self._translate = translate
        self._name = name
        self._deliveries = Deliveries()

    def handlers(self) -> ChannelHandlers:
        """The tenant's handlers as the feed needs them: what they made durable is acknowledged."""
        told = self._handlers
        return ChannelHandlers(
            self._store,
            on_edit=None if told.on_edit is None else partial(self._change, told.on_edit),
            on_delete=None if told.on_delete is None else self._delete,
            known_chats=told.known_chats,
            on_gap=told.on_gap,
        )

    async def _store(self, message: InboundMessage) -> None:
        await self._handlers.on_message(message)
        await self._deliveries.store(message.id)

    async def _change(self, on_edit: Callable[[InboundMessage], Awaitable[None]], message: InboundMessage) -> None:
        await on_edit(message)
        await self._deliveries.change(message.id)

    async def _delete(self, chat: ChatId, message: MessageId) -> None:
        if self._handlers.on_delete is not None:
            await self._handlers.on_delete(chat, message)
        await self._deliveries.change(message)

    async def read(self, socket: SocketMode, feed: Feed) -> None:
        """Take what a connection brings until it ends."""
        async for envelope in socket.envelopes():
            try:
                await self._take(envelope, feed, partial(socket.acknowledge, envelope.id))
            except Exception:  # noqa: BLE001 - one envelope's defect must not stop the others; Slack sends it again
                _log.exception("slack.envelope_failed", channel=self._name, attempt=envelope.retry_attempt)

    async def _take(self, envelope: Envelope, feed: Feed, acknowledge: Acknowledge) -> None:
        event = envelope.payload.get("event")
        if envelope.kind != "events_api" or not isinstance(event, Mapping):
            _log.debug("slack.envelope_ignored", channel=self._name, kind=envelope.kind)
            await acknowledge()
            return
        kind, subtype = event.get("type"), event.get("subtype")
        try:
            if kind == "message" and subtype == "message_changed":
                await self._changed(event, feed, acknowledge)
            elif kind == "message" and subtype == "message_deleted":
                await self._gone(event, str(event.get("deleted_ts") or ""), feed, acknowledge)
            elif kind in ("message", "app_mention"):
                await self._written(event, feed, acknowledge)
            else:
                await acknowledge()
        except Invalid as error:
            _log.warning("slack.event_unreadable", channel=self._name, kind=str(kind), reason=error.detail)
            await acknowledge()

    async def _written(self, event: Mapping[str, Any], feed: Feed, acknowledge: Acknowledge) -> None:
        message = await self._translate(read_message(event))
        if isinstance(message, Skipped):
            _log.debug("slack.message_skipped", channel=self._name, message=event.get("ts"), reason=message.reason)
            await acknowledge()
            return
        match self._deliveries.expect(message.id, acknowledge):
            case "new":
                feed.push(message)
            case "stored":
                await acknowledge()

    async def _changed(self, event: Mapping[str, Any], feed: Feed, acknowledge: Acknowledge) -> None:
        facts = read_message(mapping(event.get("message")), str(event.get("channel") or ""))
        if facts.subtype == "tombstone":  # what is left of a deleted message that others answered
            await self._gone(event, facts.ts, feed, acknowledge)
            return
        edited_before = mapping(mapping(event.get("previous_message")).get("edited"))
        by_author = facts.edited_ts and facts.edited_ts != edited_before.get("ts")
        message = await self._translate(facts)
        if self._handlers.on_edit is None or not by_author or isinstance(message, Skipped):
            await acknowledge()
            return
        self._deliveries.expect_change(message.id, acknowledge)
        feed.push_edit(message)

    async def _gone(self, event: Mapping[str, Any], ts: str, feed: Feed, acknowledge: Acknowledge) -> None:
        facts = read_message({**mapping(event.get("previous_message")), "ts": ts}, str(event.get("channel") or ""))
        if self._handlers.on_delete is None:
            await acknowledge()
            return
        self._deliveries.expect_change(facts.id, acknowledge)
        feed.push_delete(facts.place.chat, facts.id)
