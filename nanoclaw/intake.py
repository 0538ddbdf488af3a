"""The way in: every message is decided about, stored with that decision, and only then acted on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nanoclaw.attachments import Attachments
from nanoclaw.config import MAIN_FOLDER, NanoclawPolicy
from nanoclaw.groups import (
    Decision,
    Group,
    GroupRegistry,
    check_new_group,
    decide_trigger,
    folder_for,
    home_of,
)
from nanoclaw.questions.service import Questions
from nanoclaw.store import Store
from shared.channels.base import ChatId, InboundMessage, MessageId
from shared.channels.inbox import Inbox
from shared.channels.outbox import Outbox
from shared.channels.store.inbox import InboxState
from shared.lifecycle.faultpoints import fault_point
from shared.obs.log import get_logger

_log = get_logger(__name__)


class Intake:
    """Takes messages from channels, their edits and deletes, and wakes the lanes of what is to be answered.

    Args:
        attachments: fetches the files of what an agent will see.
        questions: what agents wait for; a message that answers one begins no run.
        wake: called with a stored message that waits for an answer.
        welcome: prepares a newly registered group's folder.
    """

    def __init__(
        self,
        inbox: Inbox,
        outbox: Outbox,
        store: Store,
        registry: GroupRegistry,
        policy: NanoclawPolicy,
        attachments: Attachments,
        *,
        questions: Questions,
        wake: Callable[[InboundMessage], None],
        welcome: Callable[[Group], Awaitable[None]],
    ) -> None:
        self._inbox = inbox
        self._outbox = outbox
        self._store = store
        self._registry = registry
        self._policy = policy
        self._attachments = attachments
        self._questions = questions
        self._wake = wake
        self._welcome = welcome

    async def on_message(self, message: InboundMessage) -> None:
        """Store a message; it is durable, and its fate decided, when this returns."""
        fault_point("inbox.received")
        decision = await self._decide_new(message)
        if await self._questions.take(message, calls=decision.is_answered):
            _log.info("message.stored", chat=message.chat, message=message.id, decision="answer to a question")
            self._fetch_files(message)
            return
        if decision.is_answered and await self._inbox.count_waiting(message.chat) >= self._policy.chats.max_waiting:
            decision = Decision("full", f"{self._policy.chats.max_waiting} messages of the chat wait already")
        is_new = await self._inbox.append(message, state=_state(decision), reason=decision.reason)
        if not is_new:
            return
        fault_point("inbox.stored")
        _log.info(
            "message.stored", chat=message.chat, message=message.id, decision=decision.kind, reason=decision.reason
        )
        if decision.kind == "full":
            await self._say_full(message.chat)
        elif decision.kind != "ignore":
            self._fetch_files(message)
        if decision.is_answered:
            self._wake(message)

    async def on_edit(self, message: InboundMessage) -> None:
        """Let a stored message read as it does now, unless somebody answers it already.

        One that was not to be answered is, when it calls the assistant now; one that was still is: its author can
        take it back by deleting it.
        """
        decision = self._decide(message)
        outcome = await self._inbox.edit(message, wanted=_state(decision), reason=f"edited: {decision.reason}")
        _log.info("message.edited", chat=message.chat, message=message.id, outcome=outcome, reason=decision.reason)
        if outcome in ("opened", "updated") and decision.kind != "ignore":
            self._fetch_files(message)
        if outcome == "opened":
            self._wake(message)

    async def on_delete(self, chat: ChatId, message: MessageId) -> None:
        """Drop a message that its author took back, unless somebody answers it already."""
        item = await self._inbox.take_back(chat, message)
        if item is None:
            return
        _log.info("message.taken_back", chat=chat, message=message)
        if (group := self._group_of(item.message)) is not None:
            await self._attachments.discard(item.message, group)

    def _decide(self, message: InboundMessage) -> Decision:
        return decide_trigger(message, self._group_of(message), self._policy)

    async def _decide_new(self, message: InboundMessage) -> Decision:
        """`_decide`, and no chat is made a group again by what was written before its group was removed."""
        decision = self._decide(message)
        if decision.kind == "register":
            removed_at = await self._store.removed_at(home_of(message)[0])
            if removed_at is not None and message.sent_at <= removed_at:
                return Decision("ignore", "it was written before the chat's group was removed")
        return decision

    def _group_of(self, message: InboundMessage) -> Group | None:
        return self._registry.of_chat(message.chat, message.parent)

    def _fetch_files(self, message: InboundMessage) -> None:
        # A chat that registers itself has no folder yet: its files are fetched when the message is answered.
        if message.attachments and (group := self._group_of(message)) is not None:
            self._attachments.begin(message, group)

    async def _say_full(self, chat: ChatId) -> None:
        """Tell a chat that it asks too much; once for as long as the same message is the oldest that waits."""
        oldest = next((waiting.first_id for waiting in await self._inbox.open_chats() if waiting.chat == chat), 0)
        limit = self._policy.chats.max_waiting
        text = f"{limit} messages wait for an answer here already; I leave out further ones until some are answered."
        await self._outbox.post(f"full_{chat}_{oldest}", chat, text)

    async def admit(self, message: InboundMessage) -> Group | None:
        """The group of a stored message's chat, registered now if policy wants it; None when it may not be answered."""
        group = self._group_of(message)
        if group is not None:
            return group
        if (await self._decide_new(message)).kind != "register":
            return None
        folder = folder_for(message, self._registry.folders)
        chat, name = home_of(message)
        return await self.register(Group(folder, chat, name, added_by=f"policy, at a message of {message.sender.id}"))

    async def register(self, group: Group) -> Group:
        """Make a chat a group.

        Raises:
            Invalid: the registration is malformed.
            Conflict: the chat or the folder is taken.
        """
        check_new_group(group, list(self._registry))
        await self._welcome(group)
        stored = await self._store.put_group(group)
        self._registry.put(stored)
        _log.info("group.registered", group=stored.folder, chat=stored.chat, by=stored.added_by)
        return stored

    async def register_from_policy(self) -> None:
        """Register the groups that the policy file names; the file decides over what was stored earlier.

        Stored groups that it contradicts go first, all of them: chats may have changed places.
        """
        owners = {wanted.chat: folder for folder, wanted in self._policy.groups.items()}
        for known in list(self._registry):
            named = self._policy.groups.get(known.folder)
            chat = known.chat if named is None else named.chat
            if chat == known.chat and owners.get(chat, known.folder) == known.folder:
                continue
            owner = owners.get(known.chat)
            file_says = f"{known.chat} is of {owner}" if owner else f"{known.folder} answers {chat}"
            _log.warning("group.superseded", group=known.folder, chat=known.chat, file_says=file_says, folder="stays")
            await self._store.remove_group(known.folder)
            self.forget(known)
        for folder, wanted in self._policy.groups.items():
            is_main = wanted.main or folder == MAIN_FOLDER
            requires_trigger = (not is_main) if wanted.requires_trigger is None else wanted.requires_trigger
            await self.register(
                Group(
                    folder,
                    wanted.chat,
                    wanted.name,
                    is_main=is_main,
                    requires_trigger=requires_trigger,
                    trigger_pattern=wanted.trigger_pattern,
                    route=wanted.route,
                    model=wanted.model,
                    added_by="policies/nanoclaw.toml",
                )
            )

    def forget(self, group: Group) -> None:
        """Stop answering the chat of a group whose removal is stored; its folder and its messages stay."""
        self._registry.drop(group.chat)
        _log.info("group.removed", group=group.folder, chat=group.chat)


def _state(decision: Decision) -> InboxState:
    if decision.is_answered:
        return "new"
    return "context" if decision.kind == "context" else "ignored"
