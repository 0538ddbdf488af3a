"""Registering and removing groups, whoever asks: the operator's command or the main group's agent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nanoclaw.agent.residents import Residents
from nanoclaw.config import MAIN_FOLDER
from nanoclaw.groups import Group, GroupRegistry
from nanoclaw.intake import Intake
from nanoclaw.runs import Runs
from shared.channels.base import ChatId
from shared.channels.inbox import Inbox
from shared.channels.store.inbox import SeenChat


@dataclass(frozen=True, slots=True)
class WantedGroup:
    """A registration as somebody words it.

    Attributes:
        requires_trigger: None for the usual: everybody but main has to call.
        is_main: None when the folder says it.
    """

    folder: str
    chat: str
    name: str = ""
    requires_trigger: bool | None = None
    trigger_pattern: str = ""
    is_main: bool | None = None


class Administration:
    """Changes which chats are answered.

    Args:
        hurry: ends the rest of a chat's lane before its next try.
    """

    def __init__(
        self,
        registry: GroupRegistry,
        intake: Intake,
        runs: Runs,
        residents: Residents,
        inbox: Inbox,
        hurry: Callable[[ChatId], None],
    ) -> None:
        self._registry = registry
        self._intake = intake
        self._runs = runs
        self._residents = residents
        self._inbox = inbox
        self._hurry = hurry

    @property
    def groups(self) -> list[Group]:
        """All groups, main first."""
        return list(self._registry)

    async def register(self, wanted: WantedGroup, *, by: str) -> Group:
        """Answer a chat from now on.

        Raises:
            Invalid: the registration is malformed.
            Conflict: the chat or the folder is taken.
        """
        is_main = wanted.folder == MAIN_FOLDER if wanted.is_main is None else wanted.is_main
        group = Group(
            wanted.folder,
            wanted.chat,
            wanted.name or wanted.folder,
            is_main=is_main,
            requires_trigger=(not is_main) if wanted.requires_trigger is None else wanted.requires_trigger,
            trigger_pattern=wanted.trigger_pattern,
            added_by=by,
        )
        return await self._intake.register(group)

    async def remove(self, name: str, *, by: str) -> Group:
        """Stop answering a chat, named by folder or address: its run and its workers end, what waits is settled.

        Its folder stays, and so do its messages.

        Raises:
            NotFound: there is no such group.
        """
        group = self._registry.find(name)
        await self._runs.remove(group, by, self._intake.forget)
        self._hurry(group.chat)
        for is_isolated in (False, True):
            await self._residents.drop(group.folder, end=True, isolated=is_isolated)
        return group

    async def unregistered_chats(self) -> list[SeenChat]:
        """Chats that something was heard of and that are no groups, the most recently heard ones first."""
        return [chat for chat in await self._inbox.chats() if self._registry.of_chat(chat.id, chat.parent) is None]
