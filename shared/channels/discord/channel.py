"""The Discord channel: one bot that stays up, supervised on its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime
from io import BytesIO

import discord
from discord import app_commands

from shared.channels.base import (
    Attachment,
    Button,
    ButtonPress,
    CatchUp,
    ChannelHandlers,
    ChannelState,
    ChannelStatus,
    ChatId,
    Gap,
    InboundMessage,
    MessageId,
    OutboundMessage,
    Sender,
)
from shared.channels.discord.answering import answer
from shared.channels.discord.client import BotClient, TooManyIdentifies, chats_newer_than
from shared.channels.discord.commands import declare, upload
from shared.channels.discord.components import view_of
from shared.channels.discord.faults import final_failure, translated
from shared.channels.discord.identify import IdentifyBudget
from shared.channels.discord.missed import read_missed
from shared.channels.discord.probing import probe
from shared.channels.discord.reading import kind_of, parent_of, read_me, read_message, roles_of
from shared.channels.discord.translate import PREFIX, Skipped, channel_of, chat_of, translate
from shared.channels.feed import Feed
from shared.channels.probe import ProbeResult
from shared.channels.spool import read_files
from shared.channels.standing import Standing
from shared.channels.text import DISCORD_LIMIT, length
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import GatewayError, Invalid, NotFound, Unavailable
from shared.lifecycle.backoff import Backoff
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger
from shared.secrets.files import Secret

_log = get_logger(__name__)

_CALL_TIMEOUT_S = 60.0
_UPLOAD_TIMEOUT_S = 300.0
_CLOSE_TIMEOUT_S = 5.0
_CANCEL_AGAIN_S = 1.0
_STEADY_S = 60.0
"""A connection that held this long was a good one: the next failure is treated as the first."""
_TYPING_EVERY_S = 8.0
_TYPING_TIMEOUT_S = 5.0
_PROBE_TIMEOUT_S = 10.0
_SEARCH_LIMIT = 300


class _Stalled(Exception):
    """Discord answers, but this client does not get ready."""


class DiscordChannel:
    """A `Channel` onto Discord.

    Every attempt gets a new client, since one that ended cannot be used again. What ends an attempt is either final
    (token, intents) and leaves the channel ``failed``, or answered with a back-off and a new attempt.

    Args:
        token: the bot's token.
        handlers: what the tenant wants to be told.
        name: for log lines.
        clock: for stamps and the identify budget.
        called: what people's mentions of the bot become in the text (see `translate.Me`).
        answer_bots: also hand over what other bots and webhooks write.
        notices: also hand over what Discord itself says: joins, pins, boosts.
        line_limit: lines of one message; 0 for any number.
        catch_up: how much of what was missed is read again.
        stall_s: how long a client may be not ready, while Discord answers, before it is replaced.
        backoff: delays between attempts.
        budget: how often it may identify.
    """

    text_limit = DISCORD_LIMIT
    measure = staticmethod(length)

    def __init__(
        self,
        token: Secret,
        handlers: ChannelHandlers,
        *,
        name: str = "discord",
        clock: Clock = SYSTEM_CLOCK,
        called: str = "",
        answer_bots: bool = False,
        notices: bool = False,
        line_limit: int = 0,
        catch_up: CatchUp = CatchUp(),  # noqa: B008 - a frozen value
        stall_s: float = 30.0,
        backoff: Backoff | None = None,
        budget: IdentifyBudget | None = None,
    ) -> None:
        self._token = token
        self._handlers = handlers
        self._name = name
        self._clock = clock
        self._called = called
        self._answer_bots = answer_bots
        self._notices = notices
        self.line_limit = line_limit
        self._catch_up = catch_up
        self._stall_s = stall_s
        self._backoff = backoff or Backoff(base_s=1.0, ceiling_s=60.0)
        self._budget = budget or IdentifyBudget(clock)
        self._pool = TaskPool(name)
        self._feed = Feed(handlers, self._missed, self._pool, name=name)
        self._client: BotClient | None = None
        self._standing = Standing(clock)
        self._online_since: float | None = None
        self._tree: app_commands.CommandTree[BotClient] | None = None
        self._uploaded = False
        _keep_tokens_out_of_logs()

    # --- staying up --------------------------------------------------------------------------------------------------

    @property
    def status(self) -> ChannelStatus:
        """How it is doing now."""
        return replace(self._standing.status, identifies=self._budget.total, dropped=self._feed.dropped)

    async def wait_online(self, timeout_s: float) -> bool:
        """Wait until connected; false when that did not happen in time or never will."""
        return await self._standing.wait_online(timeout_s)

    async def run(self) -> None:
        """Stay connected until cancelled; returns only when the channel failed for good (see `status`)."""
        try:
            while self._standing.status.state != "failed":
                if (wait_s := self._budget.wait_s()) > 0:
                    self._set("waiting", f"identified often lately: the next try is in {wait_s:.0f} s")
                    await asyncio.sleep(wait_s)
                error, held_s = await self._attempt()
                if (failure := final_failure(error)) is not None:
                    self._set("failed", failure.detail, failure=failure)
                    _log.error("discord.failed", channel=self._name, code=failure.code, reason=failure.detail)
                elif not isinstance(error, TooManyIdentifies):
                    if held_s >= _STEADY_S:
                        self._backoff.reset()
                    delay_s = self._backoff.next_delay_s()
                    reason = _in_words(error)
                    log = _log.warning if self._backoff.attempts == 1 else _log.debug
                    log("discord.attempt_ended", channel=self._name, reason=reason, retry_in_s=round(delay_s, 1))
                    self._set("waiting", f"{reason}; the next try is in {delay_s:.0f} s")
                    await asyncio.sleep(delay_s)
        finally:
            await self._pool.close()

    async def _attempt(self) -> tuple[BaseException, float]:
        """Connect and stay so; returns what ended it, and how many seconds after it first came online."""
        client = BotClient(self, self._budget)
        self._client = client
        self._online_since = None
        if self._handlers.commands or self._handlers.marks is not None:
            self._tree = declare(client, self._handlers.commands)
        self._set("connecting")
        connection = self._pool.start(_outcome(client.start(self._token.reveal())), name="client")
        watch = self._pool.start(_outcome(self._watch(client)), name="watch")
        try:
            await asyncio.wait({connection, watch}, return_when=asyncio.FIRST_COMPLETED)
            error = (connection if connection.done() else watch).result()
        finally:
            self._client = None
            self._set("waiting")
            await _put_away(client, {connection, watch})
        held_s = 0.0 if self._online_since is None else self._clock.monotonic() - self._online_since
        return error, held_s

    async def _watch(self, client: BotClient) -> None:
        """End the attempt when its client is not ready for too long although Discord answers.

        discord.py's own waits between tries grow to minutes, and it waits without end for some answers.
        """
        offline_since = self._clock.monotonic()
        while True:
            await asyncio.sleep(self._stall_s / 6)
            if self._standing.status.state == "online":
                offline_since = self._clock.monotonic()
            elif self._clock.monotonic() - offline_since > self._stall_s and await self._answers(client):
                raise _Stalled

    async def _answers(self, client: BotClient) -> bool:
        if client.user is None:
            return True  # the login itself hangs: nothing is lost by trying anew
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT_S):
                await client.http.request(discord.http.Route("GET", "/users/@me"))
        except discord.HTTPException as error:
            return error.status == 401
        except Exception:  # noqa: BLE001 - whatever it is, that is no answer
            return False
        return True

    def _set(self, state: ChannelState, reason: str = "", *, failure: GatewayError | None = None) -> None:
        user = self._client.user if self._client else None
        who = {"user_id": str(user.id), "user_name": user.display_name} if user else {}
        self._standing.set(state, reason, failure=failure, **who)

    async def probe(self, timeout_s: float) -> ProbeResult:
        """Ask Discord who the bot is and what it may hear; also while it is not connected."""
        return await probe(self._client, self._token, timeout_s, self._clock)

    # --- what the client tells ---------------------------------------------------------------------------------------

    async def logged_in(self, client: discord.Client) -> None:
        """The token was accepted: upload the commands, once per process."""
        del client
        if self._uploaded or self._tree is None:
            return
        try:
            await upload(self._tree, self._handlers.marks)
            self._uploaded = True
        except GatewayError as error:
            _log.warning("discord.commands_not_uploaded", channel=self._name, reason=error.detail)

    def session_began(self) -> None:
        """READY: what was missed must be read from history."""
        self._feed.begin_session()

    def came_online(self) -> None:
        """READY or RESUMED."""
        if self._standing.status.state == "online" or self._client is None:
            return
        self._set("online")
        if self._online_since is None:
            self._online_since = self._clock.monotonic()
        _log.info(
            "discord.online", channel=self._name, user=self._standing.status.user_name, identifies=self._budget.total
        )

    def guilds_known(self) -> None:
        """Look for what was written in places nobody wrote in before."""
        if self._client is not None:
            self._pool.start(self._touch_unknown(self._client), name="unknown-chats")

    def went_offline(self) -> None:
        """The client tries to resume by itself."""
        if self._standing.status.state == "online":
            _log.warning("discord.disconnected", channel=self._name)
            self._set("connecting", "the connection broke, and is being resumed")

    def message_arrived(self, message: discord.Message) -> None:
        """A live message."""
        if self._client is None:
            return  # a late event of a client that was given up: the next session catches up
        inbound = self._inbound(self._client, message)
        if inbound is not None:
            self._feed.push(inbound)

    def message_edited(self, message: discord.Message) -> None:
        """A message changed; previews, pins and threads change it too, which is nobody's new text."""
        if self._client is None or message.edited_at is None:
            return
        inbound = self._inbound(self._client, message)
        if inbound is not None:
            self._feed.push_edit(inbound)

    def message_deleted(self, channel_id: int, message_id: int) -> None:
        """A message is gone, whoever removed it."""
        self._feed.push_delete(chat_of(channel_id), str(message_id))

    async def _inbound_read(self, client: BotClient, message: discord.Message) -> InboundMessage | None:
        """A message from history, whose author comes without roles: they are asked for where they matter."""
        inbound = self._inbound(client, message)
        guild, author = message.guild, message.author
        wanted = self._handlers.wants_roles is not None and self._handlers.wants_roles()
        if (
            inbound is None
            or guild is None
            or not wanted
            or inbound.sender.is_bot
            or isinstance(author, discord.Member)
        ):
            return inbound
        try:
            with translated("read a member's roles"):
                async with asyncio.timeout(_CALL_TIMEOUT_S):
                    member = guild.get_member(author.id) or await guild.fetch_member(author.id)
        except NotFound:
            return inbound  # left the server: has no roles there
        return replace(inbound, sender=_sender(member))

    def _inbound(self, client: BotClient, message: discord.Message) -> InboundMessage | None:
        guild = getattr(message.channel, "guild", None)
        me = read_me(client, guild, called=self._called)
        result = translate(read_message(message), me, answer_bots=self._answer_bots, notices=self._notices)
        if isinstance(result, Skipped):
            _log.debug("discord.message_skipped", channel=self._name, message=str(message.id), reason=result.reason)
            return None
        return result

    async def button_pressed(self, interaction: discord.Interaction, action: str, text: str | None = None) -> None:
        """Ask the tenant, and answer the presser."""
        if self._handlers.on_press is None or interaction.message is None:
            return
        press = ButtonPress(
            chat_of(interaction.channel_id), str(interaction.message.id), action, _sender(interaction.user), text
        )
        await answer(interaction, self._handlers.on_press(press), self._pool)

    async def command_called(self, interaction: discord.Interaction, name: str, text: str) -> None:
        """Ask the tenant, and answer the caller."""
        if self._handlers.on_command is None:
            return
        kind = kind_of(interaction.channel) if interaction.channel else "guild" if interaction.guild_id else "dm"
        parent, parent_name = parent_of(interaction.channel)
        message = InboundMessage(
            chat=chat_of(interaction.channel_id),
            chat_name=getattr(interaction.channel, "name", None) or interaction.user.display_name,
            chat_kind=kind,
            id=str(interaction.id),
            sender=_sender(interaction.user),
            text=text,
            addressed=True,
            sent_at=interaction.created_at,
            guild=str(interaction.guild_id or ""),
            parent=chat_of(parent) if parent else "",
            parent_name=parent_name,
        )
        await answer(interaction, self._handlers.on_command(name, message), self._pool)

    # --- what was missed ---------------------------------------------------------------------------------------------

    async def _touch_unknown(self, client: BotClient) -> None:
        """Catch up also on places where nothing was ever stored, if something was written there meanwhile."""
        floor = await self._feed.floor()
        if floor.isdecimal():
            for channel_id in chats_newer_than(client, int(floor)):
                self._feed.touch(chat_of(channel_id))

    async def _missed(self, chat: ChatId, after: MessageId) -> AsyncIterator[InboundMessage]:
        client, bounds = self._ready_client(), self._catch_up
        horizon = discord.utils.time_snowflake(self._clock.now() - bounds.age)
        with translated("read the history of a channel"):
            async with asyncio.timeout(_CALL_TIMEOUT_S):
                channel = await self._messageable(client, chat)
                found = await read_missed(channel, int(after), horizon=horizon, limit=bounds.messages)
        for message in found.left_out:
            if (inbound := self._inbound(client, message)) is not None:
                await self._feed.left_out(Gap(chat, after, bounds.told(is_many=found.is_many), inbound.parent))
                break
        for message in reversed(found.kept):
            if (inbound := await self._inbound_read(client, message)) is not None:
                yield inbound

    async def history(self, chat: ChatId, after: MessageId, limit: int) -> AsyncIterator[InboundMessage]:
        """Messages of others after an id, oldest first; when there are more than `limit`, the newest ones."""
        client = self._ready_client()
        start = discord.Object(int(after or 0))
        with translated("read the history of a channel"):
            async with asyncio.timeout(_CALL_TIMEOUT_S):
                channel = await self._messageable(client, chat)
                newest_first = [m async for m in channel.history(limit=limit, after=start, oldest_first=False)]
        if len(newest_first) == limit:
            _log.warning("discord.history_truncated", channel=self._name, chat=chat, kept=limit)
        for message in reversed(newest_first):
            if (inbound := await self._inbound_read(client, message)) is not None:
                yield inbound

    async def reread(self, chat: ChatId, message: MessageId) -> InboundMessage | None:
        """A message of somebody as it reads now; None when it is gone, or nothing to answer any more."""
        client = self._ready_client()
        try:
            with translated("read a message"):
                async with asyncio.timeout(_CALL_TIMEOUT_S):
                    channel = await self._messageable(client, chat)
                    found = await channel.fetch_message(int(message))
        except NotFound:
            return None
        return await self._inbound_read(client, found)

    async def find_sent(
        self, chat: ChatId, text: str, *, since: datetime, not_among: frozenset[MessageId]
    ) -> MessageId | None:
        """The oldest message of ours with this text made after `since` and not known yet."""
        client = self._ready_client()
        mine = client.user.id if client.user else 0
        with translated("search the history of a channel"):
            place = self._place(client, chat)
            async with asyncio.timeout(_CALL_TIMEOUT_S):
                async for message in place.history(limit=_SEARCH_LIMIT, after=since, oldest_first=True):
                    is_ours = message.author.id == mine and str(message.id) not in not_among
                    if is_ours and message.content.strip() == text.strip():
                        return str(message.id)
        return None

    async def _messageable(self, client: BotClient, chat: ChatId) -> discord.abc.Messageable:
        """The channel with what is known of it, asked for when it is not cached (direct messages never are)."""
        channel = client.get_channel(channel_of(chat)) or await client.fetch_channel(channel_of(chat))
        if not isinstance(channel, discord.abc.Messageable):
            raise Invalid(f"{chat} is no place to write in")
        return channel

    # --- writing -----------------------------------------------------------------------------------------------------

    def _ready_client(self) -> BotClient:
        if self._client is None or self._client.user is None or self._client.is_closed():
            raise Unavailable(f"Discord is not connected ({self._standing.status.state})")
        return self._client

    def _place(self, client: BotClient, chat: ChatId) -> discord.PartialMessageable:
        return client.get_partial_messageable(channel_of(chat))

    async def direct_chat(self, user_id: str) -> ChatId:
        """The chat of a person's direct messages, which Discord opens when there is none."""
        client = self._ready_client()
        with translated("open a direct message"):
            async with asyncio.timeout(_CALL_TIMEOUT_S):
                channel = await client.create_dm(discord.Object(int(user_id)))
        return chat_of(channel.id)

    async def send(self, message: OutboundMessage) -> MessageId:
        """Write one message; safe to repeat with the same nonce, which Discord is told to enforce."""
        place = self._place(self._ready_client(), message.chat)
        files = await asyncio.to_thread(read_files, message.files) if message.files else []
        reference = None
        if message.reply_to:
            reference = discord.MessageReference(
                message_id=int(message.reply_to), channel_id=place.id, fail_if_not_exists=False
            )
        with translated("send a message"):
            async with asyncio.timeout(_UPLOAD_TIMEOUT_S if files else _CALL_TIMEOUT_S):
                sent = await place.send(
                    message.text or None,
                    nonce=message.nonce,
                    reference=reference,  # type: ignore[arg-type]
                    view=view_of(message.buttons),  # type: ignore[arg-type]
                    files=[discord.File(BytesIO(data), name) for name, data in files],
                )
        return str(sent.id)

    async def edit(self, chat: ChatId, message: MessageId, text: str, buttons: tuple[Button, ...] = ()) -> None:
        """Replace the text (and buttons) of a message of ours."""
        place = self._place(self._ready_client(), chat)
        with translated("edit a message"):
            async with asyncio.timeout(_CALL_TIMEOUT_S):
                await place.get_partial_message(int(message)).edit(content=text, view=view_of(buttons))

    async def delete(self, chat: ChatId, message: MessageId) -> None:
        """Take a message of ours back; one that is gone already is success."""
        place = self._place(self._ready_client(), chat)
        with suppress(NotFound), translated("delete a message"):
            async with asyncio.timeout(_CALL_TIMEOUT_S):
                await place.get_partial_message(int(message)).delete()

    async def react(self, chat: ChatId, message: MessageId, emoji: str) -> None:
        """Add a reaction."""
        place = self._place(self._ready_client(), chat)
        with translated("add a reaction"):
            async with asyncio.timeout(_CALL_TIMEOUT_S):
                await place.get_partial_message(int(message)).add_reaction(emoji)

    async def unreact(self, chat: ChatId, message: MessageId, emoji: str) -> None:
        """Take a reaction of ours back; one that is gone already is success."""
        client = self._ready_client()
        place = self._place(client, chat)
        mine = discord.Object(client.user.id if client.user else 0)
        with suppress(NotFound), translated("take back a reaction"):
            async with asyncio.timeout(_CALL_TIMEOUT_S):
                await place.get_partial_message(int(message)).remove_reaction(emoji, mine)

    @asynccontextmanager
    async def typing(self, chat: ChatId) -> AsyncIterator[None]:
        """Show that an answer is being written; failing to show it never matters."""
        task = self._pool.start(self._show_typing(chat), name="typing")
        try:
            yield
        finally:
            task.cancel()

    async def _show_typing(self, chat: ChatId) -> None:
        while True:
            try:
                async with asyncio.timeout(_TYPING_TIMEOUT_S):
                    await self._place(self._ready_client(), chat).typing()
            except Exception as error:  # noqa: BLE001 - see above
                _log.debug("discord.typing_not_shown", channel=self._name, chat=chat, reason=type(error).__name__)
            await asyncio.sleep(_TYPING_EVERY_S)

    async def fetch_attachment(self, attachment: Attachment, limit_bytes: int) -> bytes:
        """A file's content; its address expires after about a day.

        Raises:
            Invalid: it is larger than `limit_bytes`.
            NotFound: it is gone, or its address expired.
        """
        too_large = Invalid(
            f"the file {attachment.name} is larger than {limit_bytes} bytes", code="attachment.too_large"
        )
        if attachment.size_bytes > limit_bytes:
            raise too_large
        client = self._ready_client()
        with translated("fetch a file"):
            try:
                async with asyncio.timeout(_CALL_TIMEOUT_S):
                    data = await client.http.get_from_cdn(attachment.url)
            except (discord.Forbidden, discord.NotFound):
                raise NotFound(f"the file {attachment.name} is gone, or its address expired") from None
        if len(data) > limit_bytes:
            raise too_large
        return data


async def _outcome(work: Awaitable[None]) -> Exception:
    """What ended something that should not end."""
    try:
        await work
    except Exception as error:  # noqa: BLE001 - the supervisor decides what it means
        return error
    return Unavailable("the connection was closed")


async def _put_away(client: BotClient, tasks: set[asyncio.Task[Exception]]) -> None:
    """Close a client and be sure that its tasks end.

    A cancellation can get lost inside `asyncio.wait_for` (Python 3.11), which discord.py connects with; a closed
    client then ends by itself, and one that had just connected is told again.
    """
    with suppress(Exception):
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            await client.close()
    while tasks:
        for task in tasks:
            task.cancel()
        _, tasks = await asyncio.wait(tasks, timeout=_CANCEL_AGAIN_S)


def _sender(user: discord.User | discord.Member) -> Sender:
    return Sender(str(user.id), user.display_name, is_bot=user.bot, roles=roles_of(user))


def _in_words(error: BaseException) -> str:
    """Why an attempt ended, for a log line and `status`."""
    if isinstance(error, _Stalled):
        return "Discord answers but the bot did not get ready"
    if isinstance(error, discord.ConnectionClosed):
        return f"Discord closed the connection (code {error.code})"
    if isinstance(error, discord.HTTPException):
        return f"Discord answered HTTP {error.status}"
    if isinstance(error, GatewayError):
        return error.detail
    if isinstance(error, AttributeError) and "sequence" in str(error):
        return "Discord's gateway cannot be reached"  # what discord.py makes of a refused first connection
    if isinstance(error, OSError):
        return f"Discord cannot be reached ({type(error).__name__})"
    return f"the Discord client ended with {type(error).__name__}"


def _keep_tokens_out_of_logs() -> None:
    """discord.py prints payloads at debug level, and every reconnect with a traceback."""
    for name in ("discord", "discord.http", "discord.gateway"):
        logger = logging.getLogger(name)
        if logger.getEffectiveLevel() < logging.WARNING:
            logger.setLevel(logging.WARNING)
    logging.getLogger("discord.client").setLevel(logging.CRITICAL)


__all__ = ["PREFIX", "DiscordChannel"]
