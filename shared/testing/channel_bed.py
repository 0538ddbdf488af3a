"""A database with just the channel tables, and a chat platform in memory, for tests of what runs above them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from shared.channels.base import (
    Attachment,
    Button,
    ButtonPress,
    Channel,
    ChannelHandlers,
    ChannelStatus,
    ChatId,
    Form,
    InboundMessage,
    MessageId,
    OutboundMessage,
    Sender,
)
from shared.channels.outbox import Outbox
from shared.channels.schema import ChannelTables, channel_tables
from shared.channels.spool import read_files
from shared.channels.text import length
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import Invalid, NotFound, Unavailable
from shared.lifecycle.tasks import TaskPool
from shared.storage import Database

ME = Sender("100", "bot", is_bot=True)
SOMEBODY = Sender("200", "owner")


_MIGRATIONS = "shared.testing.channel_migrations"
_empty: dict[str, bytes] = {}


async def _empty_database() -> bytes:
    """A migrated, empty database file; migrating takes longer than most tests, so it is done once."""
    if _MIGRATIONS not in _empty:
        with TemporaryDirectory() as folder:
            path = Path(folder, "channels.db")
            database = Database(path, migrations=_MIGRATIONS)
            await database.open()
            await database.close()
            _empty[_MIGRATIONS] = await asyncio.to_thread(path.read_bytes)
    return _empty[_MIGRATIONS]


@asynccontextmanager
async def channel_database(folder: Path) -> AsyncIterator[tuple[Database, ChannelTables]]:
    """An open database in `folder`; opening the same folder again finds what was stored."""
    path = folder / "channels.db"
    if not path.exists():
        path.write_bytes(await _empty_database())
    database = Database(path, migrations=_MIGRATIONS)
    await database.open()
    try:
        yield database, channel_tables()
    finally:
        await database.close()


@asynccontextmanager
async def delivering(outbox: Outbox) -> AsyncIterator[Outbox]:
    """An outbox that delivers while the context is open; leaving it is like the end of the process."""
    pool = TaskPool("test")
    pool.start(outbox.run(), name="outbox")
    await asyncio.sleep(0)
    try:
        yield outbox
    finally:
        await pool.close()


@asynccontextmanager
async def running(channel: Channel, *, online: bool = True) -> AsyncIterator[asyncio.Task[None]]:
    """A channel that runs while the context is open, as its task.

    Args:
        channel: any.
        online: enter only once it is connected.
    """
    pool = TaskPool("test")
    task = pool.start(channel.run(), name="channel")
    try:
        if online and not await channel.wait_online(10):
            raise AssertionError(channel.status)
        yield task
    finally:
        await pool.close()


@dataclass(frozen=True, slots=True)
class Shown:
    """A message as the platform's people see it."""

    id: MessageId
    chat: ChatId
    sender: Sender
    text: str
    nonce: str
    reply_to: MessageId
    buttons: tuple[Button, ...]
    sent_at: datetime
    files: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one call.

    Attributes:
        op: ``send``, ``edit``, ``delete`` or ``history``.
        error: raised to the caller.
        applied: the work is done first, and only its answer is lost.
    """

    op: str
    error: Exception
    applied: bool = False


class MemoryChannel:
    """A `Channel` onto a platform that lives in this object, with faults on demand.

    Args:
        handlers: told about what people do.
        clock: dates messages and ends the platform's memory of nonces.
        nonce_memory_s: how long a nonce is remembered.
    """

    text_limit = 2000
    line_limit = 0
    measure = staticmethod(length)

    def __init__(
        self, handlers: ChannelHandlers, *, clock: Clock = SYSTEM_CLOCK, nonce_memory_s: float = 120.0
    ) -> None:
        self._handlers = handlers
        self._clock = clock
        self._nonce_memory_s = nonce_memory_s
        self._online = asyncio.Event()
        self._online.set()
        self._next_id = 1_000
        self.shown: list[Shown] = []
        self.calls: list[tuple[str, str]] = []
        self.faults: list[Fault] = []
        self.typing_in: set[ChatId] = set()

    # --- the people's side -------------------------------------------------------------------------------------------

    async def say(self, chat: ChatId, text: str, *, sender: Sender = SOMEBODY, addressed: bool = True) -> MessageId:
        """Write as a person."""
        message = self._show(OutboundMessage(chat, text, nonce=""), sender)
        if self._online.is_set():
            await self._handlers.on_message(_inbound(message, addressed=addressed))
        return message.id

    async def rewrite(self, message: MessageId, text: str, *, addressed: bool = True) -> None:
        """Change a message as its author."""
        old = self._find(message)
        shown = self.shown[self.shown.index(old)] = replace(old, text=text)
        if self._online.is_set() and self._handlers.on_edit is not None:
            await self._handlers.on_edit(_inbound(shown, addressed=addressed))

    async def take_back(self, message: MessageId) -> None:
        """Delete a message as its author."""
        old = self._find(message)
        self.shown.remove(old)
        if self._online.is_set() and self._handlers.on_delete is not None:
            await self._handlers.on_delete(old.chat, message)

    async def press(self, message: MessageId, action: str, *, sender: Sender = SOMEBODY) -> str:
        """Press a button; returns what only the presser reads."""
        told = await self._press(message, action, sender, None)
        return told.otherwise if isinstance(told, Form) else told

    async def fill_in(self, message: MessageId, action: str, text: str, *, sender: Sender = SOMEBODY) -> str:
        """Press a button that opens a form, and send the form with this text."""
        form = await self._press(message, action, sender, None)
        if not isinstance(form, Form):
            return form
        told = await self._press(message, form.action, sender, text)
        return told if isinstance(told, str) else ""

    async def _press(self, message: MessageId, action: str, sender: Sender, text: str | None) -> str | Form:
        shown = self._find(message)
        if self._handlers.on_press is None or action not in {button.action for button in shown.buttons}:
            raise Invalid("no such button")
        return await self._handlers.on_press(ButtonPress(shown.chat, message, action, sender, text))

    def texts(self, chat: ChatId, *, sender: Sender = ME) -> list[str]:
        """What somebody's messages in a chat say now, in order."""
        return [message.text for message in self.shown if message.chat == chat and message.sender == sender]

    def set_online(self, *, online: bool) -> None:
        """Lose or regain the connection."""
        if online:
            self._online.set()
        else:
            self._online.clear()

    # --- the channel -------------------------------------------------------------------------------------------------

    @property
    def status(self) -> ChannelStatus:
        """How it is doing."""
        return ChannelStatus("online" if self._online.is_set() else "waiting", user_id=ME.id, user_name=ME.name)

    async def run(self) -> None:
        """Run until cancelled."""
        await asyncio.get_running_loop().create_future()

    async def wait_online(self, timeout_s: float) -> bool:
        """Wait for the connection."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._online.wait()
        except TimeoutError:
            return False
        return True

    async def send(self, message: OutboundMessage) -> MessageId:
        """Write one message."""
        self.calls.append(("send", message.text))
        fault = self._fault("send")
        files = read_files(message.files)
        if not (message.text.strip() or files) or length(message.text) > self.text_limit:
            raise Invalid("the text is empty or too long")
        shown = self._known(message) or self._show(message, ME, tuple(files))
        _raise(fault)
        return shown.id

    async def edit(self, chat: ChatId, message: MessageId, text: str, buttons: tuple[Button, ...] = ()) -> None:
        """Replace a message's text."""
        del chat
        self.calls.append(("edit", text))
        fault = self._fault("edit")
        old = self._find(message)
        self.shown[self.shown.index(old)] = replace(old, text=text, buttons=buttons)
        _raise(fault)

    async def delete(self, chat: ChatId, message: MessageId) -> None:
        """Take a message back."""
        self.calls.append(("delete", message))
        fault = self._fault("delete")
        self.shown = [shown for shown in self.shown if (shown.chat, shown.id) != (chat, message)]
        _raise(fault)

    async def find_sent(
        self, chat: ChatId, text: str, *, since: datetime, not_among: frozenset[MessageId]
    ) -> MessageId | None:
        """Search our messages."""
        self.calls.append(("history", chat))
        _raise(self._fault("history"))
        for shown in self.shown:
            is_ours = shown.chat == chat and shown.sender == ME and shown.sent_at >= since
            if is_ours and shown.text == text and shown.id not in not_among:
                return shown.id
        return None

    async def direct_chat(self, user_id: str) -> ChatId:
        """A person's direct messages."""
        _raise(self._fault("direct"))
        return f"dc:9{user_id}"

    async def react(self, chat: ChatId, message: MessageId, emoji: str) -> None:
        """Add a reaction."""
        self._find(message)
        self.calls.append(("react", f"{chat} {emoji}"))

    async def unreact(self, chat: ChatId, message: MessageId, emoji: str) -> None:
        """Take a reaction back."""
        self._find(message)
        self.calls.append(("unreact", f"{chat} {emoji}"))

    @asynccontextmanager
    async def typing(self, chat: ChatId) -> AsyncIterator[None]:
        """Show typing."""
        self.typing_in.add(chat)
        try:
            yield
        finally:
            self.typing_in.discard(chat)

    async def history(self, chat: ChatId, after: MessageId, limit: int) -> AsyncIterator[InboundMessage]:
        """Messages of others."""
        found = [m for m in self.shown if m.chat == chat and m.sender != ME and int(m.id) > int(after or "0")]
        for message in found[-limit:]:
            yield _inbound(message, addressed=True)

    async def reread(self, chat: ChatId, message: MessageId) -> InboundMessage | None:
        """A message of somebody as it reads now."""
        del chat
        _raise(self._fault("reread"))
        found = next((shown for shown in self.shown if shown.id == message and shown.sender != ME), None)
        return None if found is None else _inbound(found, addressed=True)

    async def fetch_attachment(self, attachment: Attachment, limit_bytes: int) -> bytes:
        """There are none."""
        del limit_bytes
        raise NotFound(f"no attachment {attachment.name}")

    # --- inside ------------------------------------------------------------------------------------------------------

    def _fault(self, op: str) -> Fault | None:
        """Raise the next fault of a call, or hand it over when the work is to be done first."""
        if not self._online.is_set():
            raise Unavailable("not connected")
        fault = next((fault for fault in self.faults if fault.op == op), None)
        if fault is None:
            return None
        self.faults.remove(fault)
        if fault.applied:
            return fault
        raise fault.error

    def _find(self, message: MessageId) -> Shown:
        for shown in self.shown:
            if shown.id == message:
                return shown
        raise NotFound(f"no message {message}")

    def _known(self, message: OutboundMessage) -> Shown | None:
        for shown in self.shown:
            age_s = (self._clock.now() - shown.sent_at).total_seconds()
            if shown.nonce and shown.nonce == message.nonce and age_s < self._nonce_memory_s:
                return shown
        return None

    def _show(self, message: OutboundMessage, sender: Sender, files: tuple[tuple[str, bytes], ...] = ()) -> Shown:
        self._next_id += 1
        shown = Shown(
            str(self._next_id),
            message.chat,
            sender,
            message.text,
            message.nonce,
            message.reply_to,
            message.buttons,
            self._clock.now(),
            files,
        )
        self.shown.append(shown)
        return shown


def _raise(fault: Fault | None) -> None:
    if fault is not None:
        raise fault.error


def _inbound(message: Shown, *, addressed: bool) -> InboundMessage:
    return InboundMessage(
        chat=message.chat,
        chat_name="general",
        chat_kind="guild",
        id=message.id,
        sender=message.sender,
        text=message.text,
        addressed=addressed,
        sent_at=message.sent_at,
        guild="1",
    )
