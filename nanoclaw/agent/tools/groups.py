"""Administration of groups for the main group's agent, with the effect of the operator's own commands."""

from __future__ import annotations

from collections.abc import Sequence

from nanoclaw.administration import Administration, WantedGroup
from nanoclaw.agent.tools.base import Tool, ToolCall, text_schema
from nanoclaw.config import MAIN_FOLDER
from nanoclaw.groups import Group
from nanoclaw.privileges import GroupAction, decide_group_action
from shared.errors import Denied

_LISTED_CHATS = 50


class GroupTools:
    """`list_groups`, `register_group` and `remove_group`; other groups never hear of them."""

    def __init__(self, administration: Administration) -> None:
        self._administration = administration

    def offered(self, group: Group) -> Sequence[Tool]:
        """All three for main, none for others."""
        if not group.is_main:
            return ()
        return (
            Tool(
                "list_groups",
                "List the registered groups, and the chats the bot has seen that are not registered.",
                self._list,
                read_only=True,
            ),
            Tool(
                "register_group",
                "Answer a chat from now on: it becomes a group with a folder and an agent of its own. Only when the "
                "operator asked for it.",
                self._register,
                {
                    "chat": text_schema("The chat's address as list_groups shows it, such as dc:123.", longest=111),
                    "folder": text_schema("A short new name: 1 to 31 of a-z, 0-9 and '-'.", longest=31),
                    "name": text_schema("A name for people; the chat's own when left out.", longest=100),
                    "trigger": text_schema("A trigger pattern of its own instead of the assistant's.", longest=200),
                    "requires_trigger": {
                        "type": "boolean",
                        "description": "False answers every message; by default somebody has to call the assistant.",
                    },
                },
                ["chat", "folder"],
            ),
            Tool(
                "remove_group",
                "Stop answering a group's chat. Its folder and messages stay. Only when the operator asked for it.",
                self._remove,
                {"folder": text_schema("The group's folder.", longest=31)},
                ["folder"],
            ),
        )

    async def _list(self, call: ToolCall) -> str:
        _require(call, "register", "")
        lines = ["Groups (folder, chat, name, answers when):"]
        for group in self._administration.groups:
            when = "called" if group.requires_trigger and not group.is_main else "anything is written"
            lines.append(f"- {group.folder} | {group.chat} | {_line(group.name)} | {when}")
        chats = await self._administration.unregistered_chats()
        lines.append("Seen, not registered (chat, name, kind, last heard):" if chats else "No other chat was seen yet.")
        lines.extend(
            f"- {chat.id} | {_line(chat.name)} | {chat.kind} | {chat.last_seen_at:%Y-%m-%d %H:%M} UTC"
            for chat in chats[:_LISTED_CHATS]
        )
        if len(chats) > _LISTED_CHATS:
            lines.append(f"and {len(chats) - _LISTED_CHATS} more that were heard of longer ago")
        return "\n".join(lines)

    async def _register(self, call: ToolCall) -> str:
        folder, chat = call.text("folder"), call.text("chat")
        _require(call, "register", folder)
        if folder == MAIN_FOLDER:
            raise Denied("the main group is the operator's to choose: `nanoclaw groups register --folder main`")
        known = {group.chat: group for group in self._administration.groups}
        if (there := known.get(chat)) is not None and there.folder == folder:
            return f"{folder} is registered for {chat} already"
        seen = {seen.id: seen.name for seen in await self._administration.unregistered_chats()}
        wanted = WantedGroup(
            folder,
            chat,
            call.text("name") or seen.get(chat, ""),
            requires_trigger=call.arguments.get("requires_trigger"),
            trigger_pattern=call.text("trigger"),
            is_main=False,
        )
        by = f"the agent of {call.group.folder}" + (f", run {call.place.run_id}" if call.place.run_id else "")
        group = await self._administration.register(wanted, by=by)
        unseen = "" if chat in seen else " Nothing was heard from that chat yet: check the address if it stays silent."
        return f"registered {group.chat} as {group.folder}.{unseen}"

    async def _remove(self, call: ToolCall) -> str:
        folder = call.text("folder")
        _require(call, "remove", folder)
        if all(group.folder != folder for group in self._administration.groups):
            return f"there is no group {folder!r} (any more)"
        group = await self._administration.remove(folder, by=f"the agent of {call.group.folder}")
        return f"removed {group.folder}: {group.chat} is not answered any more; its folder stays"


def _require(call: ToolCall, action: GroupAction, target: str) -> None:
    verdict = decide_group_action(call.group, action, target)
    if not verdict.allowed:
        raise Denied(verdict.reason)


def _line(text: str) -> str:
    return " ".join(text.split())[:80].replace("|", "/")
