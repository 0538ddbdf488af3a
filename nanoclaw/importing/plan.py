"""What becomes of each thing of an original installation: decided before anything is written, shown to the person."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from nanoclaw.config import MAIN_FOLDER, NanoclawPolicy, zone_of
from nanoclaw.groups import Group, check_new_group, decide_trigger
from nanoclaw.importing.source import OldGroup, OldInstallation, OldMessage, OldTask
from nanoclaw.tasks.models import Task
from nanoclaw.tasks.rights import decide_new_schedule
from shared.channels.base import InboundMessage, Sender, platform_of
from shared.errors import GatewayError, Invalid
from shared.ids import new_id, slug
from shared.importing import Item
from shared.schedule import next_after, parse_schedule

BACKLOG_AGE = timedelta(hours=24)
"""What waited longer than this is given to the agent as context, not answered: the moment has passed."""

_CHANNELS = {"dc": "Discord", "sl": "Slack"}
_REPLY_PREFIX = re.compile(r"^\[Reply to (?P<who>[^\]]{1,100})\] ")
_RENAMED = {"ANTHROPIC_API_KEY": "ANTHROPIC_API_KEY_FALLBACK"}
_KNOWN = re.compile(
    r"DISCORD_BOT_TOKEN|SLACK_(?:BOT|APP)_TOKEN|ASSISTANT_NAME|TRIGGER_PATTERN|TZ|COPILOT_(?:API_URL|MODEL|API_KEY)|"
    r"THREADS_(?:ACCESS_TOKEN|USER_ID|APP_ID|APP_SECRET)|ANTHROPIC_API_KEY_FALLBACK|"
    r"MAX_CONCURRENT_CONTAINERS|IDLE_TIMEOUT|CONTAINER_TIMEOUT"
)
_NOTES = {
    "THREADS_ACCESS_TOKEN": "becomes the sign-in at the gateway's next start, unless there is one; "
    "`clawgate auth status` then says whose it is",
    "THREADS_USER_ID": "a token of another account is refused",
}
_SIGN_IN = frozenset({"CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_AUTH_TOKEN"})


@dataclass(frozen=True, slots=True)
class GroupImport:
    """A group that is taken over.

    Attributes:
        old_folder: where its files are in the original.
        session: the conversation to go on with; empty begins a new one.
    """

    group: Group
    old_folder: str
    session: str = ""


@dataclass(frozen=True, slots=True)
class MessageImport:
    """A message to store, and as what."""

    message: InboundMessage
    state: Literal["new", "context", "done"]
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """All there is to do, and the report about it."""

    groups: tuple[GroupImport, ...]
    messages: tuple[MessageImport, ...]
    tasks: tuple[Task, ...]
    settings: Mapping[str, str]
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """What is there already.

    Attributes:
        groups: registered with us.
        sessions: folders that have a conversation with us.
        settings: names the gateway's ``.env`` has.
        tasks: creation keys of the tasks there are.
    """

    groups: tuple[Group, ...] = ()
    sessions: frozenset[str] = frozenset()
    settings: frozenset[str] = frozenset()
    tasks: frozenset[str] = frozenset()


def decide_import(source: OldInstallation, target: Target, policy: NanoclawPolicy, now: datetime) -> Plan:
    """Say what becomes of everything. Asking again after it was done finds all of it there already."""
    groups: list[GroupImport] = []
    messages: list[MessageImport] = []
    items: list[Item] = [Item("problem", str(n), "dropped", text) for n, text in enumerate(source.problems, start=1)]
    for old in source.groups:
        taken, report = _decide_group(old, [*target.groups, *(g.group for g in groups)], target.sessions)
        items += report
        if taken is not None:
            groups.append(taken)
            found, report = _decide_messages(source, taken.group, policy, now)
            messages += found
            items += report
    if source.has_global_memory:
        items.append(Item("memory", "groups/global", "maps", "read-only to every group but main"))
    ours = {group.chat: group.folder for group in (*target.groups, *(g.group for g in groups))}
    tasks, report = _decide_tasks(source, ours, target.tasks, policy, now)
    items += report
    settings, report = _decide_settings(source.env, target.settings)
    return Plan(tuple(groups), tuple(messages), tuple(tasks), settings, (*items, *report))


def _decide_group(
    old: OldGroup, existing: list[Group], with_session: frozenset[str]
) -> tuple[GroupImport | None, list[Item]]:
    platform = platform_of(old.chat)
    if platform not in _CHANNELS:
        reason = f"{old.chat}: only {' and '.join(_CHANNELS.values())} chats have a channel here"
        return None, [Item("group", old.folder, "dropped", reason)]
    known = next((group for group in existing if group.chat == old.chat), None)
    if known is not None:
        return None, [Item("group", old.folder, "kept", f"{old.chat} is registered as {known.folder} already")]
    folder = slug(old.folder)
    is_main = folder == MAIN_FOLDER
    group = Group(
        folder,
        old.chat,
        old.name,
        is_main=is_main,
        requires_trigger=old.requires_trigger and not is_main,
        added_by="nanoclaw import",
    )
    try:
        check_new_group(group, existing)
    except GatewayError as error:
        return None, [Item("group", old.folder, "refused", error.detail)]
    renamed = f"its folder is called {folder} here" if folder != old.folder else ""
    ignored = "its own trigger pattern was never used by the original and is left out" if old.trigger_pattern else ""
    notes = "; ".join(note for note in (old.chat, renamed, ignored) if note)
    items = [Item("group", old.folder, "changes" if renamed else "maps", notes)]
    items.append(Item("files", f"groups/{old.folder}", "maps", "copied; its logs stay behind, files of ours are kept"))
    session = ""
    if folder in with_session:
        items.append(Item("session", old.folder, "kept", "the group has a conversation here already"))
    elif old.session and old.has_transcript:
        session = old.session
        items.append(Item("session", old.folder, "maps", f"the conversation {old.session} goes on"))
    elif old.session:
        items.append(Item("session", old.folder, "dropped", "its transcript is gone: a new conversation begins"))
    items += [_mount_item(old, folder, path) for path in old.mounts]
    return GroupImport(group, old.folder, session), items


def _mount_item(old: OldGroup, folder: str, path: str) -> Item:
    note = f"{path}: allow it in policies/mounts.toml first, then name it for the group {folder}"
    return Item("mount", old.folder, "dropped", note)


def _decide_messages(
    source: OldInstallation, group: Group, policy: NanoclawPolicy, now: datetime
) -> tuple[list[MessageImport], list[Item]]:
    """What waits is stored as waiting; the newest answered one says from where on the chat is caught up."""
    waiting = [m for m in source.waiting if m.chat == group.chat and m.id.isdecimal()]
    found = [_decide_message(_inbound(m, source, policy), group, policy, now) for m in waiting]
    newest = source.newest.get(group.chat)
    if newest is not None and newest.id.isdecimal() and newest not in waiting:
        found.insert(0, MessageImport(_inbound(newest, source, policy), "done", "answered by the original"))
    asked = sum(item.state == "new" for item in found)
    if not waiting:
        return found, []
    note = f"{asked} will be answered at the next start, {len(waiting) - asked} go along as context"
    return found, [Item("messages", group.folder, "maps", note)]


def _decide_message(message: InboundMessage, group: Group, policy: NanoclawPolicy, now: datetime) -> MessageImport:
    if now - message.sent_at > BACKLOG_AGE:
        return MessageImport(message, "context", "it waited in the original for more than a day")
    decision = decide_trigger(message, group, policy)
    return MessageImport(message, "new" if decision.is_answered else "context", f"imported: {decision.reason}")


def _inbound(old: OldMessage, source: OldInstallation, policy: NanoclawPolicy) -> InboundMessage:
    # The original put a reply's mark in front of the trigger, which then never matched: one of its known faults.
    reply = _REPLY_PREFIX.match(old.text)
    text = old.text[reply.end() :] if reply else old.text
    return InboundMessage(
        chat=old.chat,
        chat_name=source.chat_names.get(old.chat, ""),
        chat_kind="guild",
        id=old.id,
        sender=Sender(old.sender, old.sender_name),
        text=text,
        addressed=bool(policy.trigger.search(text.strip())),
        sent_at=old.at,
        reply_to_sender=reply["who"] if reply else "",
    )


def _decide_tasks(
    source: OldInstallation, ours: Mapping[str, str], known: frozenset[str], policy: NanoclawPolicy, now: datetime
) -> tuple[list[Task], list[Item]]:
    """Tasks with their next time after now: what was missed while nobody ran is not made up for."""
    folders = {old.folder: ours[old.chat] for old in source.groups if old.chat in ours}
    tasks: list[Task] = []
    items = []
    try:
        zone = zone_of(source.env)
    except GatewayError as error:
        zone = zone_of({})
        items.append(Item("problem", "TZ", "dropped", f"{error.detail}; tasks are read in {zone.key}"))
    for old in source.tasks:
        key, folder = f"import.{old.id}", folders.get(old.folder)
        if folder is None:
            items.append(Item("task", old.id, "dropped", f"its group {old.folder!r} is not taken over"))
        elif key in known:
            items.append(Item("task", old.id, "kept", "it is here already"))
        elif old.status == "completed":
            items.append(Item("task", old.id, "dropped", "it has run"))
        else:
            others = sum(task.folder == folder for task in tasks)
            try:
                task = _task(old, folder, key, others, zone, policy, now)
            except GatewayError as error:
                items.append(Item("task", old.id, "refused", error.detail))
                continue
            tasks.append(task)
            items.append(Item("task", old.id, "maps", f"{task.schedule.describe()}, {task.status}"))
    return tasks, items


def _task(
    old: OldTask, folder: str, key: str, others: int, zone: ZoneInfo, policy: NanoclawPolicy, now: datetime
) -> Task:
    schedule = parse_schedule(old.schedule_type, old.schedule_value, zone=zone, now=now)
    verdict = decide_new_schedule(schedule, old.prompt, others=others, policy=policy.tasks, now=now)
    if not verdict.allowed:
        raise Invalid(verdict.reason)
    is_active = old.status == "active"
    return Task(
        id=new_id("task"),
        folder=folder,
        made_by="import",
        prompt=old.prompt.strip(),
        kind=schedule.kind,
        value=schedule.text,
        zone=zone.key,
        anchor_at=now,
        missed="",
        context="group" if old.context_mode == "group" else "isolated",
        status="active" if is_active else "paused",
        reason="" if is_active else "it was paused in the original",
        next_at=next_after(schedule, now) if is_active else None,
        created_at=now,
        updated_at=now,
        creation_key=key,
    )


def _decide_settings(env: Mapping[str, str], present: frozenset[str]) -> tuple[dict[str, str], list[Item]]:
    wanted: dict[str, str] = {}
    items = []
    for name, value in env.items():
        target = _RENAMED.get(name, name)
        if target in present or (target != name and target in env):
            items.append(Item("setting", name, "kept", f"{target} is set already; its value here stays"))
        elif target != name:
            wanted[target] = value
            items.append(Item("setting", name, "changes", f"stored as {target}: under the old name it bypasses OAuth"))
        elif _KNOWN.fullmatch(name):
            wanted[name] = value
            items.append(Item("setting", name, "maps", _NOTES.get(name, "")))
        else:
            items.append(Item("setting", name, "dropped", _why_dropped(name)))
    return wanted, items


def _why_dropped(name: str) -> str:
    return "sign in with `clawgate auth login claude` instead" if name in _SIGN_IN else "nothing here reads it"
