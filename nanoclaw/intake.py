"""The way in: every message is decided about, stored with that decision, and only then acted on."""

from __future__ import annotations

from collections.abc import Callable

from nanoclaw.config import NanoclawPolicy
from nanoclaw.groups import MAIN_FOLDER, Group, GroupRegistry, check_new_group, decide_trigger, folder_for
from nanoclaw.store import Store
from shared.channels.base import InboundMessage
from shared.channels.inbox import Inbox
from shared.channels.store import InboxState
from shared.obs.log import get_logger

_log = get_logger(__name__)


class Intake:
    """Takes messages from channels and wakes the lanes of those that are to be answered."""

    def __init__(
        self,
        inbox: Inbox,
        store: Store,
        registry: GroupRegistry,
        policy: NanoclawPolicy,
        *,
        wake: Callable[[str], None],
    ) -> None:
        self._inbox = inbox
        self._store = store
        self._registry = registry
        self._policy = policy
        self._wake = wake

    async def on_message(self, message: InboundMessage) -> None:
        """Store a message; it is durable, and its fate decided, when this returns."""
        decision = decide_trigger(message, self._registry.of_chat(message.chat), self._policy)
        state: InboxState = "new" if decision.is_answered else "context" if decision.kind == "context" else "ignored"
        is_new = await self._inbox.append(message, state=state, reason=decision.reason)
        if not is_new:
            return
        _log.info(
            "message.stored", chat=message.chat, message=message.id, decision=decision.kind, reason=decision.reason
        )
        if decision.is_answered:
            self._wake(message.chat)

    async def admit(self, message: InboundMessage) -> Group | None:
        """The group of a stored message's chat, registered now if policy wants it; None when it may not be answered."""
        group = self._registry.of_chat(message.chat)
        if group is not None:
            return group
        if decide_trigger(message, None, self._policy).kind != "register":
            return None
        folder = folder_for(message, self._registry.folders)
        return await self.register(
            Group(folder, message.chat, message.chat_name, added_by=f"policy, at a message of {message.sender.id}")
        )

    async def register(self, group: Group) -> Group:
        """Make a chat a group.

        Raises:
            Invalid: the registration is malformed.
            Conflict: the chat or the folder is taken.
        """
        check_new_group(group, list(self._registry))
        stored = await self._store.put_group(group)
        self._registry.put(stored)
        _log.info("group.registered", group=stored.folder, chat=stored.chat, by=stored.added_by)
        return stored

    async def register_from_policy(self) -> None:
        """Register the groups that the policy file names; the file decides over what was stored earlier."""
        for folder, wanted in self._policy.groups.items():
            known = next((group for group in self._registry if group.folder == folder), None)
            is_main = wanted.main or folder == MAIN_FOLDER
            requires_trigger = (not is_main) if wanted.requires_trigger is None else wanted.requires_trigger
            if known is not None and known.chat != wanted.chat:
                await self.remove(known)
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

    async def remove(self, group: Group) -> None:
        """Stop answering a chat; its folder and its stored messages stay."""
        await self._store.remove_group(group.folder)
        self._registry.drop(group.chat)
        _log.info("group.removed", group=group.folder, chat=group.chat)
