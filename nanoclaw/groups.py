"""Groups: one chat, one folder, one agent; and the decision what happens to a message.

A chat that is not registered is never answered: registering is an operator's act, or a policy's
(``chats.register = "on_mention"``). A thread belongs to the group of its channel, unless it is registered itself.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from nanoclaw.config import GLOBAL_FOLDER, MAIN_FOLDER, NanoclawPolicy
from shared.channels.base import ChatId, InboundMessage
from shared.channels.text import CODE
from shared.errors import Conflict, Invalid, NotFound
from shared.ids import parse_name, slug

_FOLDER_LIMIT = 31
_CHAT = re.compile(r"[a-z]{2,10}:\S{1,100}")

RouteSetting = Literal["auto", "agent", "light"]


@dataclass(frozen=True, slots=True)
class Group:
    """A registered chat.

    Attributes:
        folder: the agent's folder and the worker's name part; unique.
        chat: where it lives (``dc:<channelId>``); unique.
        requires_trigger: only messages that call the assistant are answered.
        trigger_pattern: the group's own pattern, empty for the assistant's.
        is_main: the operator's own group; needs no trigger.
    """

    folder: str
    chat: str
    name: str
    is_main: bool = False
    requires_trigger: bool = True
    trigger_pattern: str = ""
    route: RouteSetting = "auto"
    model: str = ""
    added_at: datetime | None = None
    added_by: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to a message.

    ``answer`` runs the agent · ``register`` makes the chat a group first, then runs · ``context`` is kept and shown
    with the next message that is answered · ``ignore`` is recorded with its reason and nothing else · ``full`` is
    recorded too, and the chat is told that too much waits there already.
    """

    kind: Literal["answer", "register", "context", "ignore", "full"]
    reason: str

    @property
    def is_answered(self) -> bool:
        """An agent will see it now."""
        return self.kind in {"answer", "register"}


def decide_trigger(message: InboundMessage, group: Group | None, policy: NanoclawPolicy) -> Decision:
    """Say what happens to a message, and why."""
    if message.sender.is_bot:
        return Decision("ignore", "written by a bot")
    called = _reason_to_answer(message, group, policy)
    if group is not None:
        return Decision("answer", called) if called else Decision("context", "nobody called the assistant")
    if not called:
        return Decision("ignore", "the chat is not registered")
    people = policy.chats.people
    if policy.chats.register_mode == "on_mention" and (not people or message.sender.id in people):
        return Decision("register", f"{called}; policy registers a chat at its first mention")
    if message.chat_kind == "dm" and message.sender.id in policy.chats.owner_ids:
        return Decision("register", "direct message of an owner")
    return Decision("ignore", "the chat is not registered: an operator can run `nanoclaw groups register`")


def _reason_to_answer(message: InboundMessage, group: Group | None, policy: NanoclawPolicy) -> str:
    if not (message.text.strip() or message.attachments or message.addressed):
        return ""
    if message.chat_kind == "dm":
        return "direct message"
    if message.addressed:
        return "the assistant was mentioned"
    if group is not None and (group.is_main or not group.requires_trigger):
        return "the group needs no trigger"
    own = group.trigger_pattern if group is not None else ""
    pattern = re.compile(own, re.IGNORECASE) if own else policy.trigger
    spoken = CODE.sub("``", message.text).strip()  # what a code block says calls nobody
    return "the text starts with the trigger" if pattern.search(spoken) else ""


def home_of(message: InboundMessage) -> tuple[ChatId, str]:
    """The chat, and its name, that a message's group would have: a thread's channel, else the chat itself."""
    if message.parent:
        return message.parent, message.parent_name or message.chat_name
    return message.chat, message.chat_name


def folder_for(message: InboundMessage, taken: Collection[str]) -> str:
    """A free folder name for a chat that registers itself: readable, and never one that means something else."""
    chat, chat_name = home_of(message)
    wish = f"dm-{message.sender.name}" if message.chat_kind == "dm" else chat_name.replace("#", "")
    name = slug(wish, limit=_FOLDER_LIMIT)
    if name in {MAIN_FOLDER, GLOBAL_FOLDER} or name in taken:
        name = slug(f"{name[:20]} {chat}", limit=_FOLDER_LIMIT)  # the blank makes it end with a hash
    return name


def check_new_group(group: Group, existing: Collection[Group]) -> None:
    """Refuse a registration that cannot stand.

    Raises:
        Invalid: the folder, the chat address or the pattern is malformed.
        Conflict: the chat or the folder belongs to another group, or there already is a main group.
    """
    parse_name("folder", group.folder)
    if group.folder == GLOBAL_FOLDER:
        raise Invalid(f"the folder {GLOBAL_FOLDER!r} holds the memory of all groups: choose another name")
    if (group.folder == MAIN_FOLDER) != group.is_main:
        raise Invalid(f"the main group is the one in the folder {MAIN_FOLDER!r}: use both or neither")
    if not _CHAT.fullmatch(group.chat):
        raise Invalid(f"chat {group.chat!r} is not an address such as dc:123456789012345678")
    try:
        re.compile(group.trigger_pattern)
    except re.error as error:
        raise Invalid(f"trigger {group.trigger_pattern!r} is not a regular expression: {error}") from None
    for other in existing:
        if other.chat == group.chat and other.folder != group.folder:
            raise Conflict(f"the chat {group.chat} already belongs to the group {other.folder!r}: remove it first")
        if other.folder == group.folder and other.chat != group.chat:
            raise Conflict(f"the folder {group.folder!r} already belongs to {other.chat}: choose another name")


class GroupRegistry:
    """All groups in memory, by chat and by folder; the store is the truth and is written first."""

    def __init__(self, groups: Collection[Group] = ()) -> None:
        self._by_chat = {group.chat: group for group in groups}

    def __iter__(self) -> Iterator[Group]:
        return iter(sorted(self._by_chat.values(), key=lambda group: (not group.is_main, group.folder)))

    def __len__(self) -> int:
        return len(self._by_chat)

    @property
    def folders(self) -> set[str]:
        """Folder names in use."""
        return {group.folder for group in self._by_chat.values()}

    def of_chat(self, chat: str, parent: str = "") -> Group | None:
        """The group of a chat; of a thread that has none of its own, the group of its channel, `parent`."""
        return self._by_chat.get(chat) or self._by_chat.get(parent)

    def lane_of(self, chat: str, parent: str = "") -> str:
        """Where a chat waits for its turn: a group's channel and threads share a lane, since they share an agent."""
        return chat if chat in self._by_chat else parent or chat

    def of_folder(self, folder: str) -> Group | None:
        """The group of a folder."""
        return next((group for group in self._by_chat.values() if group.folder == folder), None)

    def find(self, name: str) -> Group:
        """A group by folder or chat.

        Raises:
            NotFound: there is none of that name.
        """
        for group in self._by_chat.values():
            if name in {group.folder, group.chat}:
                return group
        raise NotFound(f"there is no group {name!r}: `nanoclaw groups list` shows them", code="group.not_found")

    def put(self, group: Group) -> None:
        """Remember a group that was stored."""
        self._by_chat[group.chat] = group

    def drop(self, chat: str) -> None:
        """Forget a group that was removed."""
        self._by_chat.pop(chat, None)
