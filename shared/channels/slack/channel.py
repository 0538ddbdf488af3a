"""The Slack channel: one app that stays up over Socket Mode, supervised on its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import NoReturn

from shared.channels.base import (
    Attachment,
    Button,
    CatchUp,
    ChannelHandlers,
    ChannelStatus,
    ChatId,
    Gap,
    InboundMessage,
    MessageId,
    OutboundMessage,
)
from shared.channels.feed import Feed
from shared.channels.slack.addresses import Place, message_id, place_of, ts_at, ts_of
from shared.channels.slack.catchup import missed
from shared.channels.slack.faults import socket_mode_off
from shared.channels.slack.history import History
from shared.channels.slack.incoming import Incoming
from shared.channels.slack.mrkdwn import SLACK_LIMIT, wire_length
from shared.channels.slack.names import NameBook
from shared.channels.slack.sent import SentMessages, has_nonce, has_text, metadata_of
from shared.channels.slack.signin import introduce, open_socket
from shared.channels.slack.socketmode import SocketMode
from shared.channels.slack.translate import Facts, Me, Skipped, translate
from shared.channels.slack.webapi import API_BASE, SlackApi
from shared.channels.slack.wording import PLAIN, emoji_name, worded
from shared.channels.spool import read_files
from shared.channels.standing import Standing
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import (
    AuthRequired,
    ConfigError,
    Denied,
    GatewayError,
    Invalid,
    NotFound,
    RateLimited,
    Unavailable,
)
from shared.http.client import HttpPool
from shared.lifecycle.backoff import Backoff
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger
from shared.secrets.files import Secret

_log = get_logger(__name__)

_STEADY_S = 60.0
"""A connection that held this long was a good one: the next failure is treated as the first."""
_LINGER_S = 30.0


class SlackChannel:
    """A `Channel` onto Slack.

    What ends an attempt to be connected is either final (tokens, scopes, Socket Mode switched off) and leaves the
    channel ``failed``, or answered with a back-off and a new attempt. When Slack asks for a fresh connection, it is
    opened before the old one goes, so that nothing is missed; after any other end every known chat is caught up.

    Args:
        bot_token: of the app's bot user, for the Web API.
        app_token: of the app itself, for opening sockets.
        handlers: what the tenant wants to be told.
        api_base: address of the Web API.
        name: for log lines.
        clock: for stamps and ages.
        called: what people's mentions of the app become in the text (see `translate.Me`).
        catch_up: how much of what was missed is read again.
        backoff: delays between attempts.
    """

    text_limit = SLACK_LIMIT
    line_limit = 0
    measure = staticmethod(wire_length)

    def __init__(
        self,
        bot_token: Secret,
        app_token: Secret,
        handlers: ChannelHandlers,
        *,
        api_base: str = API_BASE,
        name: str = "slack",
        clock: Clock = SYSTEM_CLOCK,
        called: str = "",
        catch_up: CatchUp = CatchUp(),  # noqa: B008 - a frozen value
        backoff: Backoff | None = None,
    ) -> None:
        self._name = name
        self._clock = clock
        self._called = called
        self._catch_up = catch_up
        self._backoff = backoff or Backoff(base_s=1.0, ceiling_s=60.0)
        self._http = HttpPool(max_in_flight=64, max_idle=4)
        self._bot = SlackApi(self._http, bot_token, api_base)
        self._app = SlackApi(self._http, app_token, api_base)
        self._pool = TaskPool(name)
        self._standing = Standing(clock)
        self._names = NameBook(self._bot, clock)
        self._history = History(self._bot)
        self._sent = SentMessages()
        self._incoming = Incoming(handlers, self._translate, name=name)
        self._feed = Feed(self._incoming.handlers(), self._missed, self._pool, name=name)
        self._me: Me | None = None
        self._connections = 0

    # --- staying up --------------------------------------------------------------------------------------------------

    @property
    def status(self) -> ChannelStatus:
        """How it is doing now."""
        return replace(self._standing.status, identifies=self._connections, dropped=self._feed.dropped)

    async def wait_online(self, timeout_s: float) -> bool:
        """Wait until connected; false when that did not happen in time or never will."""
        return await self._standing.wait_online(timeout_s)

    async def run(self) -> None:
        """Stay connected until cancelled; returns only when the channel failed for good (see `status`)."""
        try:
            while True:
                began_s = self._clock.monotonic()
                try:
                    await self._attempt()
                except (AuthRequired, ConfigError) as error:
                    self._standing.set("failed", error.detail, failure=error)
                    _log.error("slack.failed", channel=self._name, code=error.code, reason=error.detail)
                    return
                except GatewayError as error:
                    if self._clock.monotonic() - began_s >= _STEADY_S:
                        self._backoff.reset()
                    await self._rest(error)
        finally:
            await self._pool.close()
            await self._http.close()

    async def _rest(self, error: GatewayError) -> None:
        delay_s = self._backoff.next_delay_s()
        if isinstance(error, RateLimited):
            delay_s = max(delay_s, error.retry_after_s)
        log = _log.warning if self._backoff.attempts == 1 else _log.debug
        log("slack.attempt_ended", channel=self._name, reason=error.detail, retry_in_s=round(delay_s, 1))
        self._standing.set("waiting", f"{error.detail}; the next try is in {delay_s:.0f} s")
        await asyncio.sleep(delay_s)

    async def _attempt(self) -> NoReturn:
        """Connect and stay so; raises what ended it."""
        self._standing.set("connecting")
        sockets: list[SocketMode] = []
        readers = TaskPool(f"{self._name}.sockets")
        try:
            self._me = await introduce(self._bot, called=self._called)
            while True:
                socket = await open_socket(self._app)
                self._connections += 1
                if not any(old.is_open for old in sockets):
                    self._feed.begin_session()
                sockets.append(socket)
                readers.start(self._incoming.read(socket, self._feed), name="socket")
                self._came_online()
                await self._until_left(socket)
                readers.start(_linger(socket), name="linger")
                sockets = [old for old in sockets if old.is_open]
        finally:
            if self._standing.status.state == "online":
                self._standing.set("waiting")
            for socket in sockets:
                await socket.close()
            await readers.close()

    async def _until_left(self, socket: SocketMode) -> None:
        """Wait until a connection needs a successor.

        Raises:
            ConfigError: Socket Mode was switched off.
            Unavailable: the connection broke; what is sent until the next one may be missed. Or a call found the bot
                token refused: whether that is final the next attempt finds out.
        """
        waits = {self._pool.start(event.wait(), name="watch") for event in (socket.left, self._bot.refused)}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if self._bot.refused.is_set():
            raise Unavailable("Slack does not accept the bot token any more")
        if socket.farewell == "link_disabled":
            raise socket_mode_off()
        if not socket.wants_replacement:
            raise Unavailable(f"Slack's socket ended: {socket.farewell}")
        _log.info("slack.socket_replaced", channel=self._name, reason=socket.farewell)

    def _came_online(self) -> None:
        me = self._me
        is_new = self._standing.set("online", user_id=me.id if me else "", user_name=me.name if me else "")
        if is_new:
            _log.info("slack.online", channel=self._name, user=me.name if me else "", connections=self._connections)

    def _signed_in(self) -> Me:
        if self._me is None or self._standing.status.state == "failed":
            raise Unavailable(f"Slack is not connected ({self._standing.status.state})")
        return self._me

    # --- reading -----------------------------------------------------------------------------------------------------

    async def _translate(self, facts: Facts) -> InboundMessage | Skipped:
        if self._me is None:
            return Skipped("nobody is signed in")
        return translate(facts, self._me, await self._names.of(facts))

    async def _missed(self, chat: ChatId, after: MessageId) -> AsyncIterator[InboundMessage]:
        bounds = self._catch_up
        horizon = ts_at(self._clock.now() - bounds.age)
        found = await missed(self._history, self._feed, chat, after, horizon=horizon, limit=bounds.messages)
        for facts in found.left_out:
            message = await self._translate(facts)
            if isinstance(message, InboundMessage):
                parent = message.parent if message.chat == chat else ""
                await self._feed.left_out(Gap(chat, after, bounds.told(is_many=found.is_many), parent))
                break
        for facts in found.kept:
            message = await self._translate(facts)
            if isinstance(message, InboundMessage):
                yield message

    async def history(self, chat: ChatId, after: MessageId, limit: int) -> AsyncIterator[InboundMessage]:
        """Messages of others after an id, oldest first; when there are more than `limit`, the newest ones."""
        self._signed_in()
        for facts in await self._history.since(place_of(chat), ts_of(after) if after else "", limit):
            message = await self._translate(facts)
            if isinstance(message, InboundMessage):
                yield message

    async def reread(self, chat: ChatId, message: MessageId) -> InboundMessage | None:
        """A message of somebody as it reads now; None when it is gone, or nothing to answer any more."""
        self._signed_in()
        try:
            facts = await self._history.one(place_of(chat), ts_of(message))
        except NotFound:
            return None
        found = None if facts is None else await self._translate(facts)
        return found if isinstance(found, InboundMessage) else None

    async def find_sent(
        self, chat: ChatId, text: str, *, since: datetime, not_among: frozenset[MessageId]
    ) -> MessageId | None:
        """The oldest message of ours with this text made after `since` and not known yet."""
        place = place_of(chat)
        entries = self._history.sent(place, self._signed_in(), oldest=ts_at(since))
        ids = {message_id(place.channel, str(entry.get("ts"))) async for entry in entries if has_text(entry, text)}
        return min(ids - not_among, default=None)

    async def _find_nonce(self, place: Place, nonce: str) -> MessageId | None:
        async with aclosing(self._history.sent(place, self._signed_in())) as entries:
            async for entry in entries:
                if has_nonce(entry, nonce):
                    return message_id(place.channel, str(entry.get("ts")))
        return None

    # --- writing -----------------------------------------------------------------------------------------------------

    async def send(self, message: OutboundMessage) -> MessageId:
        """Write one message; safe to repeat with the same nonce, by this process or by a later one.

        After a try without an answer the chat's history is asked for the nonce before another message is made.
        """
        if made := self._sent.made_by(message.nonce):
            return made
        self._signed_in()
        place = place_of(message.chat)
        if message.files:
            await asyncio.to_thread(read_files, message.files)
            raise Denied("files cannot be sent: this Slack app does not ask for the scope files:write")
        text = worded(message.text, message.buttons)
        if message.is_repeat or self._sent.is_doubted(message.nonce):
            found = await self._find_nonce(place, message.nonce)
            if found is not None:
                return self._sent.note(message.nonce, found)
        self._sent.doubt(message.nonce)
        try:
            reply = await self._bot.call(
                "send a message",
                "chat.postMessage",
                channel=place.channel,
                thread_ts=place.thread,
                text=text,
                metadata=metadata_of(message.nonce, message.text),
                **PLAIN,
                unfurl_links=False,
                unfurl_media=False,
            )
        except (RateLimited, Denied, NotFound, Invalid):
            self._sent.clear(message.nonce)
            raise
        return self._sent.note(message.nonce, message_id(place.channel, str(reply.body.get("ts") or "")))

    async def edit(self, chat: ChatId, message: MessageId, text: str, buttons: tuple[Button, ...] = ()) -> None:
        """Replace the text (and buttons) of a message of ours."""
        self._signed_in()
        text = worded(text, buttons)
        await self._bot.call(
            "edit a message", "chat.update", channel=place_of(chat).channel, ts=ts_of(message), text=text, **PLAIN
        )

    async def delete(self, chat: ChatId, message: MessageId) -> None:
        """Take a message of ours back; one that is gone already is success."""
        self._signed_in()
        try:
            await self._bot.call("delete a message", "chat.delete", channel=place_of(chat).channel, ts=ts_of(message))
        except NotFound:
            return

    async def react(self, chat: ChatId, message: MessageId, emoji: str) -> None:
        """Add a reaction; refused unless the app was given the scope reactions:write, which it does not ask for."""
        self._signed_in()
        name = emoji_name(emoji)
        try:
            await self._bot.call(
                "add a reaction", "reactions.add", channel=place_of(chat).channel, timestamp=ts_of(message), name=name
            )
        except Invalid as error:
            if error.context.get("slack_error") != "already_reacted":
                raise

    async def unreact(self, chat: ChatId, message: MessageId, emoji: str) -> None:
        """Take a reaction of ours back."""
        self._signed_in()
        try:
            await self._bot.call(
                "take back a reaction",
                "reactions.remove",
                channel=place_of(chat).channel,
                timestamp=ts_of(message),
                name=emoji_name(emoji),
            )
        except Invalid as error:
            if error.context.get("slack_error") != "no_reaction":
                raise

    @asynccontextmanager
    async def typing(self, chat: ChatId) -> AsyncIterator[None]:  # noqa: ARG002 - the contract's
        """Nothing is shown: Slack lets only people be seen writing."""
        yield

    async def fetch_attachment(self, attachment: Attachment, limit_bytes: int) -> bytes:  # noqa: ARG002 - the contract's
        """A file's content: always refused, since the app does not ask for the scope files:read.

        Raises:
            Denied: always.
        """
        raise Denied(f"the file {attachment.name} cannot be read: this Slack app does not ask for the scope files:read")


async def _linger(socket: SocketMode) -> None:
    """Let a connection that was replaced bring what is still on its way."""
    await asyncio.sleep(_LINGER_S)
    await socket.close()
