"""What the emulated world is made of. Plain values: behaviour lives beside them, and a snapshot is these as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, IntFlag
from typing import Any

Json = dict[str, Any]


class Intent(IntFlag):
    """Gateway intents the emulator acts on. Source: Discord gateway documentation."""

    GUILDS = 1
    GUILD_MEMBERS = 1 << 1
    GUILD_PRESENCES = 1 << 8
    GUILD_MESSAGES = 1 << 9
    GUILD_MESSAGE_REACTIONS = 1 << 10
    GUILD_MESSAGE_TYPING = 1 << 11
    DIRECT_MESSAGES = 1 << 12
    DIRECT_MESSAGE_REACTIONS = 1 << 13
    DIRECT_MESSAGE_TYPING = 1 << 14
    MESSAGE_CONTENT = 1 << 15


PRIVILEGED = Intent.GUILD_MEMBERS | Intent.GUILD_PRESENCES | Intent.MESSAGE_CONTENT
KNOWN_INTENT_BITS = (1 << 26) - 1
"""Any bit above these is no intent at all and closes the connection with 4013."""
ALL_INTENTS = Intent(KNOWN_INTENT_BITS)


class ChannelType(IntEnum):
    """The channel kinds that exist here."""

    TEXT = 0
    DM = 1
    PUBLIC_THREAD = 11
    PRIVATE_THREAD = 12


class MessageType(IntEnum):
    """The message kinds that are made here."""

    DEFAULT = 0
    THREAD_CREATED = 18
    REPLY = 19
    SLASH_ANSWER = 20
    THREAD_STARTER = 21
    CONTEXT_MENU_ANSWER = 23


class MessageFlag(IntFlag):
    """Message flags with a meaning here."""

    SUPPRESS_EMBEDS = 1 << 2
    HAS_THREAD = 1 << 5
    EPHEMERAL = 1 << 6
    LOADING = 1 << 7
    SILENT = 1 << 12
    HAS_SNAPSHOT = 1 << 14
    COMPONENTS_V2 = 1 << 15


class Permission(IntFlag):
    """Permission bits the emulator checks."""

    ADMINISTRATOR = 1 << 3
    MANAGE_CHANNELS = 1 << 4
    ADD_REACTIONS = 1 << 6
    VIEW_CHANNEL = 1 << 10
    SEND_MESSAGES = 1 << 11
    MANAGE_MESSAGES = 1 << 13
    EMBED_LINKS = 1 << 14
    ATTACH_FILES = 1 << 15
    READ_MESSAGE_HISTORY = 1 << 16
    MENTION_EVERYONE = 1 << 17
    USE_APPLICATION_COMMANDS = 1 << 31
    MANAGE_THREADS = 1 << 34
    CREATE_PUBLIC_THREADS = 1 << 35
    CREATE_PRIVATE_THREADS = 1 << 36
    SEND_MESSAGES_IN_THREADS = 1 << 38


ALL_PERMISSIONS = (1 << 53) - 1
EVERYONE_PERMISSIONS = int(
    Permission.ADD_REACTIONS
    | Permission.VIEW_CHANNEL
    | Permission.SEND_MESSAGES
    | Permission.EMBED_LINKS
    | Permission.ATTACH_FILES
    | Permission.READ_MESSAGE_HISTORY
    | Permission.MENTION_EVERYONE
    | Permission.USE_APPLICATION_COMMANDS
    | Permission.CREATE_PUBLIC_THREADS
    | Permission.CREATE_PRIVATE_THREADS
    | Permission.SEND_MESSAGES_IN_THREADS
)


@dataclass(slots=True)
class User:
    """A person or a bot's account.

    Attributes:
        token: what authenticates the account: a person's own, or the bot token of its application.
        accepts_dms: false makes messages to this person fail with 50007.
        nitro: this person may write 4,000 characters and send more files than others.
    """

    id: int
    name: str
    display_name: str = ""
    bot: bool = False
    token: str = field(default="", repr=False)
    accepts_dms: bool = True
    nitro: bool = False

    @property
    def shown_name(self) -> str:
        """What people see."""
        return self.display_name or self.name


@dataclass(slots=True)
class Command:
    """A registered application command; `spec` is what the application sent, with defaults filled in."""

    id: int
    application_id: int
    guild_id: int | None
    name: str
    type: int
    version: int
    spec: Json


@dataclass(slots=True)
class Application:
    """A bot application. Its id is also its bot account's id, as for every application made since 2016.

    Attributes:
        intents_allowed: the privileged intents switched on in its portal.
        identifies: wall times (Unix seconds) of the IDENTIFYs of the last day.
    """

    id: int
    name: str
    intents_allowed: int = int(PRIVILEGED)
    commands: dict[int, Command] = field(default_factory=dict)
    identifies: list[float] = field(default_factory=list)

    @property
    def flags(self) -> int:
        """Application flags that mirror the portal's switches (the limited ones, as for an unverified bot)."""
        pairs = ((Intent.GUILD_PRESENCES, 13), (Intent.GUILD_MEMBERS, 15), (Intent.MESSAGE_CONTENT, 19))
        return sum(1 << bit for intent, bit in pairs if self.intents_allowed & intent)


@dataclass(slots=True)
class Role:
    """A guild role; `bot_id` is set on the role an application brings with it."""

    id: int
    name: str
    permissions: int
    position: int = 0
    bot_id: int | None = None


@dataclass(slots=True)
class Member:
    """A user's membership."""

    user_id: int
    joined_at: datetime
    role_ids: list[int] = field(default_factory=list)
    nick: str | None = None


@dataclass(slots=True)
class Guild:
    """A server."""

    id: int
    name: str
    owner_id: int
    roles: dict[int, Role] = field(default_factory=dict)
    members: dict[int, Member] = field(default_factory=dict)


@dataclass(slots=True)
class Channel:
    """A place with messages: a guild's text channel, a thread or a DM.

    Attributes:
        denied: permission bits taken away here, by user id.
        recipient_ids: both ends of a DM.
        thread_member_ids: who joined a thread.
    """

    id: int
    type: ChannelType
    name: str = ""
    guild_id: int | None = None
    parent_id: int | None = None
    position: int = 0
    topic: str | None = None
    owner_id: int | None = None
    recipient_ids: list[int] = field(default_factory=list)
    thread_member_ids: list[int] = field(default_factory=list)
    denied: dict[int, int] = field(default_factory=dict)
    archived: bool = False
    locked: bool = False
    auto_archive_duration: int = 1440
    archive_timestamp: datetime | None = None
    last_message_id: int | None = None

    @property
    def is_dm(self) -> bool:
        """Whether it is a direct message between two."""
        return self.type is ChannelType.DM

    @property
    def is_thread(self) -> bool:
        """Whether it hangs below a text channel."""
        return self.type in (ChannelType.PUBLIC_THREAD, ChannelType.PRIVATE_THREAD)


@dataclass(slots=True)
class Attachment:
    """An uploaded file; its bytes live in the world's blob store."""

    id: int
    filename: str
    size: int
    content_type: str
    description: str | None = None


@dataclass(slots=True)
class InteractionOrigin:
    """Which interaction a bot's message answers."""

    id: int
    type: int
    user_id: int
    name: str | None = None


@dataclass(slots=True)
class Poll:
    """A question put to a channel; nobody votes here."""

    question: str
    answers: list[str]


@dataclass(slots=True)
class Snapshot:
    """A forwarded message as it read when it was forwarded. `id` and `channel_id` say where its files are kept."""

    id: int
    channel_id: int
    content: str
    attachments: list[Attachment]
    stickers: list[str]


@dataclass(slots=True)
class Message:
    """A message. `ephemeral_for` hides it from everybody but that user, the bot's history included."""

    id: int
    channel_id: int
    author_id: int
    content: str = ""
    type: MessageType = MessageType.DEFAULT
    flags: int = 0
    edited_at: datetime | None = None
    tts: bool = False
    pinned: bool = False
    nonce: str | int | None = None
    mentions: list[int] = field(default_factory=list)
    mention_roles: list[int] = field(default_factory=list)
    mention_everyone: bool = False
    attachments: list[Attachment] = field(default_factory=list)
    embeds: list[Json] = field(default_factory=list)
    components: list[Json] = field(default_factory=list)
    reactions: dict[str, list[int]] = field(default_factory=dict)
    reference_id: int | None = None
    reference_channel_id: int | None = None
    application_id: int | None = None
    origin: InteractionOrigin | None = None
    thread_id: int | None = None
    ephemeral_for: int | None = None
    stickers: list[str] = field(default_factory=list)
    poll: Poll | None = None
    snapshot: Snapshot | None = None


@dataclass(slots=True)
class Upload:
    """A file on its way in."""

    filename: str
    data: bytes
    content_type: str = "application/octet-stream"
    description: str | None = None


def dump_compact(value: object) -> str:
    """JSON without spaces, as Discord sends it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
