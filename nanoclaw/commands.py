"""What people can order in a chat, and an operator from the command line: begin anew, stop, tell how it is doing."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import asdict, dataclass
from datetime import datetime, tzinfo
from typing import Any

from nanoclaw.agent.base import WorkerGateway
from nanoclaw.agent.residents import Residents
from nanoclaw.config import NanoclawPolicy
from nanoclaw.groups import Group, GroupRegistry
from nanoclaw.lanes import Lanes
from nanoclaw.runs import Runs
from nanoclaw.store import RunRecord, Spent, Store
from shared.channels.base import InboundMessage
from shared.channels.inbox import Inbox
from shared.clock import Clock
from shared.errors import GatewayError
from shared.gatewayclient import WorkerInfo
from shared.obs.log import get_logger

_log = get_logger(__name__)

_RUN_ENDS_S = 15.0

COMMANDS = {
    "new": "Forget this chat's conversation and begin a new one",
    "stop": "Stop what is running or waiting in this chat",
    "status": "Show how this chat's agent is doing and what it used today",
    "help": "Show what I can do here",
}


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """How one group is doing.

    Attributes:
        worker: state of its worker, empty when it has none, ``unknown`` when the gateway does not answer.
        position: place among those that wait, 0 when it does not.
        running_s: seconds since the run began, None when none is under way.
        rests_s: seconds it has been waiting for the next try, None when it does not.
    """

    group: Group
    model: str
    worker: str
    worker_started_at: str
    waiting: int
    position: int
    running_s: float | None
    run_id: str
    attempt: int
    rests_s: float | None
    last: RunRecord | None
    today: Spent

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        values = {name: getattr(self, name) for name in self.__slots__ if name not in {"group", "last", "today"}}
        last = self.last
        return values | {
            "folder": self.group.folder,
            "chat": self.group.chat,
            "today": asdict(self.today),
            "last": None
            if last is None
            else {
                "run_id": last.run_id,
                "ended_at": last.ended_at.isoformat(),
                "seconds": round((last.ended_at - last.started_at).total_seconds(), 1),
                "result": "ok" if last.ok else last.fault,
                "reason": last.reason,
            },
        }

    def as_text(self, zone: tzinfo) -> str:
        """For a chat or a terminal."""
        worker = "none; one starts with the next message" if not self.worker else self.worker
        since = f" since {_hour(self.worker_started_at, zone)}" if self.worker_started_at else ""
        today = self.today
        tokens = f"{today.input_tokens:,} tokens in, {today.output_tokens:,} out"
        return "\n".join(
            [
                f"Group `{self.group.folder}`, model {self.model}",
                f"Worker: {worker}{since}",
                f"Now: {self._now()}",
                f"Last run: {self._last(zone)}",
                f"Today: {today.runs} runs, {tokens}, ${today.cost_usd:.2f}",
            ]
        )

    def _now(self) -> str:
        more = f"; {self.waiting} messages wait behind it" if self.waiting else ""
        if self.running_s is not None:
            return f"running for {self.running_s:.0f} s (run `{self.run_id}`, try {self.attempt}){more}"
        if self.position:
            return f"{self.waiting} messages wait for a free agent, position {self.position}"
        if self.rests_s is not None:
            return f"{self.waiting} messages wait for the next try, {self.rests_s:.0f} s so far"
        return "nothing to do"

    def _last(self, zone: tzinfo) -> str:
        if self.last is None:
            return "none yet"
        seconds = (self.last.ended_at - self.last.started_at).total_seconds()
        ended = f"{self.last.ended_at.astimezone(zone):%Y-%m-%d %H:%M}"
        how = "answered" if self.last.ok else f"{self.last.fault.replace('_', ' ')}: {self.last.reason}"
        return f"{ended}, {seconds:.1f} s, {how}"


class Commands:
    """Carries out what people and operators order for a group."""

    def __init__(
        self,
        *,
        registry: GroupRegistry,
        runs: Runs,
        lanes: Lanes,
        residents: Residents,
        store: Store,
        inbox: Inbox,
        gateway: WorkerGateway,
        policy: NanoclawPolicy,
        zone: tzinfo,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._runs = runs
        self._lanes = lanes
        self._residents = residents
        self._store = store
        self._inbox = inbox
        self._gateway = gateway
        self._policy = policy
        self._zone = zone
        self._clock = clock

    async def on_command(self, name: str, message: InboundMessage) -> str:
        """A slash command of a chat; the text answers the caller alone."""
        if name == "help":
            return self._help(message)
        group = self._registry.of_chat(message.chat, message.parent)
        if group is None:
            return self._unregistered(message)
        by = " ".join(message.sender.name.split())[:80] or "somebody"
        match name:
            case "new":
                return await self.begin_anew(group, by)
            case "stop":
                return await self.stop(group, by)
            case "status":
                return (await self.status(group)).as_text(self._zone)
            case _:
                return f"I do not know /{name}. {self._help(message)}"

    async def stop(self, group: Group, by: str) -> str:
        """End the group's run and settle what waits; nothing of it is tried again."""
        stopped = await self._runs.stop(group, by)
        self._lanes.hurry(group.chat)  # a rest before the next try has lost its purpose
        return "Stopped." if stopped else "Nothing is running or waiting here."

    async def begin_anew(self, group: Group, by: str) -> str:
        """Forget the group's conversation and end its worker, after stopping its run."""
        run = self._runs.of_group(group.folder)
        stopped = await self._runs.stop(group, by)
        self._lanes.hurry(group.chat)
        if run is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RUN_ENDS_S):
                    await run.over.wait()  # its result would name the conversation to go on with
        await self._store.forget_session(group.folder)
        await self._residents.drop(group.folder, end=True)
        _log.info("session.begun_anew", group=group.folder, by=by)
        rest = " What was running or waiting here is stopped." if stopped else ""
        return f"The conversation is forgotten; the next message begins a new one. Files and memory stay.{rest}"

    async def status(self, group: Group) -> GroupStatus:
        """How the group is doing."""
        worker = await self._worker(group)
        lane = self._lanes.look(group.chat)
        run = self._runs.of_group(group.folder)
        last = await self._store.recent_runs(1, folder=group.folder)
        midnight = self._clock.now().astimezone(self._zone).replace(hour=0, minute=0, second=0, microsecond=0)
        chats = [c for c in await self._inbox.open_chats() if self._registry.of_chat(c.chat, c.parent) == group]
        return GroupStatus(
            group=group,
            model=group.model or self._policy.model or "default",
            worker=worker if isinstance(worker, str) else worker.state,
            worker_started_at="" if isinstance(worker, str) else worker.started_at,
            waiting=sum(chat.count for chat in chats),
            position=lane.position if lane else 0,
            running_s=None if run is None else round(self._clock.monotonic() - run.began_s, 1),
            run_id=run.id if run else "",
            attempt=run.attempt if run else 0,
            rests_s=lane.for_s if lane and lane.state == "resting" else None,
            last=last[0] if last else None,
            today=await self._store.spent_since(group.folder, midnight),
        )

    async def _worker(self, group: Group) -> WorkerInfo | str:
        try:
            workers = await self._gateway.workers()
        except GatewayError:
            return "unknown, the gateway does not answer"
        return next((worker for worker in workers if worker.group == group.folder), "")

    def _help(self, message: InboundMessage) -> str:
        group = self._registry.of_chat(message.chat, message.parent)
        if group is None:
            return self._unregistered(message)
        name = self._policy.assistant_name
        needs_call = group.requires_trigger and message.chat_kind != "dm"
        how = f"Mention me or begin with @{name}" if needs_call else "Just write"
        lines = [f"`/{command}` {description}" for command, description in COMMANDS.items()]
        return "\n".join([f"{how}, and the agent of the group `{group.folder}` answers.", *lines])

    def _unregistered(self, message: InboundMessage) -> str:
        if self._policy.chats.register_mode == "on_mention":
            return "This chat is not registered yet: mention me here once, and it will be."
        return (
            "This chat is not registered, so nothing is answered here. An operator can register it: "
            f"`nanoclaw groups register --chat {message.chat} --folder NAME`"
        )


def _hour(moment: str, zone: tzinfo) -> str:
    """A time of the engine or of ours, in the zone of the people."""
    try:
        return f"{datetime.fromisoformat(moment).astimezone(zone):%Y-%m-%d %H:%M}"
    except ValueError:
        return moment
