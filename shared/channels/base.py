"""What a chat platform looks like to a tenant: a few frozen values and the `Channel` contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from shared.channels.text import without_lone_surrogates
from shared.errors import GatewayError

ChatKind = Literal["guild", "thread", "dm"]
ChannelState = Literal["off", "connecting", "online", "waiting", "failed"]
MessageId = str
ChatId = str
"""A chat's address: ``dc:<channelId>`` on Discord (policy N1), ``sl:<channelId>`` on Slack."""


def platform_of(chat: ChatId) -> str:
    """The platform's prefix of a chat address: ``dc`` of ``dc:123``."""
    return chat.partition(":")[0]


def age_order(message: MessageId) -> tuple[int, str]:
    """Sorts the message ids of one platform by age.

    They begin with a number that grows with time and has no leading zeros: longer is newer, then the text decides.
    What follows an ``@`` tells apart messages of the same instant in different chats.
    """
    number = message.partition("@")[0]
    return len(number), number


class _Readable:
    """A value that came in: half a character in a text of it is replaced when it is made, or it could not be stored."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __post_init__(self) -> None:
        """Repair every text, whichever platform or command brought it."""
        for name in self.__dataclass_fields__:
            text = getattr(self, name)
            if isinstance(text, str) and (readable := without_lone_surrogates(text)) is not text:
                object.__setattr__(self, name, readable)


@dataclass(frozen=True, slots=True)
class Sender(_Readable):
    """Who wrote a message.

    Attributes:
        roles: ids of their roles in the server; empty where the platform did not say.
    """

    id: str
    name: str
    is_bot: bool = False
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attachment(_Readable):
    """A file that came with a message. `url` is short-lived: fetch at once, keep the bytes.

    Attributes:
        path: where the tenant keeps its bytes, relative to the chat's own folder; empty when it does not.
        problem: why it does not, in words; empty while nothing was tried.
    """

    id: str
    name: str
    content_type: str
    size_bytes: int
    url: str
    path: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class InboundMessage(_Readable):
    """One message as a platform delivered it.

    Attributes:
        chat: where it was written (`ChatId`).
        id: the platform's message id; unique within the platform.
        text: what was said, with the bot's own mention taken out.
        addressed: the bot was mentioned, replied to, or this is a direct message.
        guild: the server's id, empty in a direct message.
        parent: in a thread, the chat the thread belongs to.
        parent_name: that chat's name.
        reply_to: text of the message this one answers, empty when it answers none.
        sent_at: the platform's time, aware UTC.
        notice: what the platform itself says with it, such as ``pins_add``; nobody's words. Only for channels that were
            asked for notices.
        task_run: the scheduled task's run this prompt belongs to; empty for what people write.
    """

    chat: ChatId
    chat_name: str
    chat_kind: ChatKind
    id: MessageId
    sender: Sender
    text: str
    addressed: bool
    sent_at: datetime
    guild: str = ""
    parent: ChatId = ""
    reply_to: str = ""
    reply_to_sender: str = ""
    attachments: tuple[Attachment, ...] = ()
    task_run: str = ""
    parent_name: str = ""
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Button:
    """A button under a message; `action` comes back in `ButtonPress`."""

    action: str
    label: str
    style: Literal["primary", "secondary", "success", "danger"] = "secondary"


@dataclass(frozen=True, slots=True)
class OutboundFile:
    """A file to send along: the name people see, and where its bytes lie until it is delivered."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """One message to write.

    Attributes:
        nonce: at most 25 characters, the same at every retry: the platform makes the message once.
        files: sent with the message, not changed by edits.
        is_repeat: an earlier try, perhaps of an earlier process, may have made the message already; a channel whose
            platform forgets nonces looks for it first.
    """

    chat: ChatId
    text: str
    nonce: str
    reply_to: MessageId = ""
    buttons: tuple[Button, ...] = ()
    files: tuple[OutboundFile, ...] = ()
    is_repeat: bool = False


@dataclass(frozen=True, slots=True)
class ButtonPress(_Readable):
    """A person pressed a button of ours, or sent a form that a press opened.

    Attributes:
        text: what the form holds; None for a button.
    """

    chat: ChatId
    message: MessageId
    action: str
    sender: Sender
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """An answer to a press: one field of text for the presser, where the platform has such a thing.

    Attributes:
        action: comes back in `ButtonPress`, with the text.
        value: what the field holds at first.
        longest: characters it takes, at most 4000.
        otherwise: said where the platform has no forms.
    """

    action: str
    title: str
    label: str
    value: str
    longest: int
    otherwise: str


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """How a channel is doing, for `status`, `doctor` and health checks.

    Attributes:
        state: ``off`` not configured · ``connecting`` · ``online`` · ``waiting`` between tries · ``failed`` for good.
        reason: why, in words a person can act on.
        failure: when failed for good, the error that says so: its class decides the exit code.
        dropped: messages, edits and deletes of this process that a defect kept from the tenant after all tries.
    """

    state: ChannelState
    reason: str = ""
    user_id: str = ""
    user_name: str = ""
    since: datetime | None = None
    identifies: int = 0

    def as_json(self) -> dict[str, str | int | None]:
        """For ``status --json``."""
        return {
            "state": self.state,
            "reason": self.reason,
            "user_id": self.user_id,
            "user_name": self.user_name,
            "since": self.since.isoformat() if self.since else None,
            "identifies": self.identifies,
            "dropped": self.dropped,
        }

    failure: GatewayError | None = None
    dropped: int = 0


OnMessage = Callable[[InboundMessage], Awaitable[None]]
"""Called for every message; must make it durable and return soon. Order within a chat is kept.

The same message may come twice, live and from history: `Inbox.append` says which is new. It is repeated until it
returns; an error that is not a `GatewayError` is repeated three times only.
"""


@dataclass(frozen=True, slots=True)
class CatchUp:
    """How much of what was missed in a chat is read again.

    Attributes:
        messages: at most so many of its newest messages, at least one.
        age: none older than this.
    """

    messages: int = 500
    age: timedelta = timedelta(hours=24)

    def told(self, *, is_many: bool) -> str:
        """What bounded it, as part of a sentence."""
        if is_many:
            return f"only the newest {self.messages} messages were read"
        return f"only messages of the last {self.age / timedelta(hours=1):g} hours were read"


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages of people that were missed in a chat and will not be handed over.

    Attributes:
        after: the newest message known before them; the same for as long as nothing newer is heard.
        reason: what bounded the catching up, as part of a sentence.
        parent: in a thread, the chat it belongs to.
    """

    chat: ChatId
    after: MessageId
    reason: str
    parent: ChatId = ""


OnDelete = Callable[[ChatId, MessageId], Awaitable[None]]

OnPress = Callable[[ButtonPress], Awaitable[str | Form]]
"""Called for every press; the text answers the presser alone, a form is shown to them."""


class MarkStore(Protocol):
    """Small named facts that outlive the process."""

    async def get(self, name: str) -> str:
        """A fact, empty when there is none."""
        ...

    async def put(self, name: str, value: str) -> None:
        """Remember a fact."""
        ...


@dataclass(slots=True)
class ChannelHandlers:
    """What a tenant wants to be told."""

    on_message: OnMessage
    on_press: OnPress | None = None
    on_edit: OnMessage | None = None
    """Called with the whole message as it reads now, after its author changed it. May come for unknown messages.

    In its place among the messages of the chat, and repeated like `on_message`; the same goes for `on_delete`.
    """
    on_delete: OnDelete | None = None
    """Called when a message was taken back. May come for unknown messages, and for our own."""
    wants_roles: Callable[[], bool] | None = None
    """Whether the roles of people matter whose messages are read from history, which has none of them."""
    known_chats: Callable[[], Awaitable[dict[ChatId, MessageId]]] | None = None
    """Chats to catch up after an outage, with the newest message already stored of each."""
    on_gap: Callable[[Gap], Awaitable[None]] | None = None
    """Called before what was caught up is handed over, when older messages were left out. May come again for one gap.
    """
    commands: dict[str, str] = field(default_factory=dict)
    """Slash commands: name → description."""
    on_command: Callable[[str, InboundMessage], Awaitable[str]] | None = None
    """Called for every slash command; the text answers the caller alone."""
    marks: MarkStore | None = None
    """Where small facts outlive the process, such as the hash of the commands that were uploaded."""


class Channel(Protocol):
    """A connector to one chat platform, supervised on its own.

    Raises from every call: `Unavailable` (may have been done all the same: repeat with the same nonce),
    `RateLimited` (was not done), `NotFound`, `Denied`, `Invalid`.
    """

    @property
    def text_limit(self) -> int:
        """Longest text of one message, as `measure` counts."""
        ...

    @property
    def line_limit(self) -> int:
        """Lines of one message that people like to read; 0 for any number."""
        ...

    def measure(self, text: str) -> int:
        """How long the platform counts a text: the sum over its characters, at least `text.length`."""
        ...

    @property
    def status(self) -> ChannelStatus:
        """How it is doing now."""
        ...

    async def run(self) -> None:
        """Stay connected until cancelled; returns only when the channel failed for good (see `status`)."""
        ...

    async def wait_online(self, timeout_s: float) -> bool:
        """Wait until connected; false when that did not happen in time or never will."""
        ...

    async def send(self, message: OutboundMessage) -> MessageId:
        """Write one message; returns its id. Safe to repeat with the same nonce."""
        ...

    async def edit(self, chat: ChatId, message: MessageId, text: str, buttons: tuple[Button, ...] = ()) -> None:
        """Replace the text (and buttons) of a message of ours."""
        ...

    async def delete(self, chat: ChatId, message: MessageId) -> None:
        """Take a message of ours back; one that is gone already is success."""
        ...

    async def find_sent(
        self, chat: ChatId, text: str, *, since: datetime, not_among: frozenset[MessageId]
    ) -> MessageId | None:
        """The oldest message of ours with this text in the chat's history, made after `since` and not known yet.

        Tells, after a lost answer, whether a message was made.
        """
        ...

    async def react(self, chat: ChatId, message: MessageId, emoji: str) -> None:
        """Add a reaction."""
        ...

    async def unreact(self, chat: ChatId, message: MessageId, emoji: str) -> None:
        """Take a reaction of ours back; one that is gone already is success."""
        ...

    def typing(self, chat: ChatId) -> AbstractAsyncContextManager[None]:
        """Show that an answer is being written, for as long as the context is open."""
        ...

    def history(self, chat: ChatId, after: MessageId, limit: int) -> AsyncIterator[InboundMessage]:
        """Messages of others after an id, oldest first; when there are more than `limit`, the newest ones."""
        ...

    async def reread(self, chat: ChatId, message: MessageId) -> InboundMessage | None:
        """A message of somebody as it reads now; None when it is gone, or nothing to answer any more."""
        ...

    async def fetch_attachment(self, attachment: Attachment, limit_bytes: int) -> bytes:
        """A file's content.

        Raises:
            Invalid: it is larger than `limit_bytes`.
        """
        ...


MakeChannel = Callable[[ChannelHandlers], Channel]
"""Makes a connector for a tenant that wants to be told these things."""


@runtime_checkable
class DirectChats(Protocol):
    """A channel that can begin a direct message with a person it knows by id."""

    async def direct_chat(self, user_id: str) -> ChatId:
        """The chat of a person's direct messages.

        Raises:
            Unavailable: not connected; try later.
            NotFound: there is no such person. `Denied`: they take no messages from us.
        """
        ...
