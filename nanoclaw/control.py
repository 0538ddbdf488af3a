"""What an operator may ask a running NanoClaw over its control socket."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nanoclaw.administration import WantedGroup
from nanoclaw.audit import Facts, audit_operations
from nanoclaw.groups import Group, GroupRegistry
from nanoclaw.runlog import runs_as_json
from nanoclaw.store import groups
from nanoclaw.tasks.control import task_operations
from nanoclaw.tasks.store import TaskRows
from nanoclaw.tasks.views import preview
from shared.channels.store import inbox, outbox
from shared.channels.store.inbox import InboxItem, OpenChat
from shared.channels.store.outbox import OutboxRow
from shared.errors import Invalid
from shared.gatewayclient import GatewayClient
from shared.lifecycle.control import Operation

if TYPE_CHECKING:
    from nanoclaw.schema import NanoclawTables
    from nanoclaw.tenant import Tenant

_OPERATOR = "the operator"
_LIST_LIMIT = 200


def operations(tenant: Tenant) -> Mapping[str, Operation]:
    """The table of operations; every result is JSON."""
    control = _Control(tenant)
    return {
        "status": control.status,
        "groups.list": control.groups_list,
        "groups.register": control.groups_register,
        "groups.remove": control.groups_remove,
        "groups.new": control.groups_new,
        "groups.stop": control.groups_stop,
        "groups.status": control.groups_status,
        "workers.list": control.workers_list,
        "workers.stop_all": control.workers_stop_all,
        "workers.rebuild": control.workers_rebuild,
        "workers.prune": control.workers_prune,
        "runs.list": control.runs_list,
        "deadletters.list": control.dead_letters,
        "deadletters.requeue": control.requeue,
        "stop": control.stop,
        **task_operations(tenant.tasks),
        **tenant.maintenance.operations(),
        **audit_operations(tenant.name, tenant.paths, lambda: Facts(tenant.policy, tuple(tenant.registry))),
    }


class _Control:
    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    async def status(self, _params: dict[str, Any]) -> dict[str, Any]:
        tenant = self._tenant
        came, gone = await tenant.inbox.counts(), await tenant.outbox.counts()
        summary = f"{tenant.channels.summary()}, {len(tenant.registry)} groups, {len(tenant.runs.current)} running"
        return {
            "summary": summary + _dead_in_words(came, gone),
            "tenant": tenant.name,
            "kind": "nanoclaw",
            "running": True,
            "pid": os.getpid(),
            "started_at": tenant.started_at.isoformat(),
            "assistant_name": tenant.policy.assistant_name,
            "channels": [{"name": name, **status.as_json()} for name, status in tenant.channels.status().items()],
            "groups": len(tenant.registry),
            "lanes": [asdict(view) for view in tenant.lanes.view()],
            "waiting": _waiting(await tenant.inbox.open_chats()),
            "runs": [
                {"run_id": run.id, "group": run.group.folder, "attempt": run.attempt, "worker_id": run.worker_id}
                for run in tenant.runs.current
            ],
            "tasks": await tenant.tasks.read(lambda rows: rows.counts()),
            "inbox": came,
            "outbox": gone,
            "metrics_port": tenant.metrics_port,
        }

    async def groups_list(self, _params: dict[str, Any]) -> list[dict[str, Any]]:
        return [_group(group) for group in self._tenant.registry]

    async def groups_register(self, params: dict[str, Any]) -> dict[str, Any]:
        folder, chat = str(params.get("folder", "")), str(params.get("chat", ""))
        if not folder or not chat:
            raise Invalid("a group needs a folder and a chat")
        is_main, requires_trigger = params.get("main"), params.get("requires_trigger")
        wanted = WantedGroup(
            folder,
            chat,
            str(params.get("name") or ""),
            requires_trigger=None if requires_trigger is None else bool(requires_trigger),
            trigger_pattern=str(params.get("trigger_pattern") or ""),
            is_main=None if is_main is None else bool(is_main),
        )
        by = str(params.get("by") or "operator")
        return _group(await self._tenant.administration.register(wanted, by=by))

    async def groups_remove(self, params: dict[str, Any]) -> dict[str, Any]:
        return _group(await self._tenant.administration.remove(str(params.get("group", "")), by=_OPERATOR))

    async def groups_new(self, params: dict[str, Any]) -> dict[str, Any]:
        group = self._tenant.registry.find(str(params.get("group", "")))
        return {"group": group.folder, "said": await self._tenant.commands.begin_anew(group, _OPERATOR)}

    async def groups_stop(self, params: dict[str, Any]) -> dict[str, Any]:
        group = self._tenant.registry.find(str(params.get("group", "")))
        return {"group": group.folder, "said": await self._tenant.commands.stop(group, _OPERATOR)}

    async def groups_status(self, params: dict[str, Any]) -> dict[str, Any]:
        group = self._tenant.registry.find(str(params.get("group", "")))
        status = await self._tenant.commands.status(group)
        return status.as_json() | {"text": status.as_text(self._tenant.zone)}

    async def workers_list(self, _params: dict[str, Any]) -> list[dict[str, Any]]:
        return [worker.model_dump(mode="json") for worker in await self._tenant.gateway.workers()]

    async def workers_stop_all(self, _params: dict[str, Any]) -> dict[str, Any]:
        workers = await self._tenant.gateway.workers()
        for worker in workers:
            await self._tenant.gateway.end_worker(worker.worker_id)
        return {"stopped": len(workers)}

    async def workers_rebuild(self, _params: dict[str, Any]) -> dict[str, Any]:
        return await self._images().rebuild_image()

    async def workers_prune(self, _params: dict[str, Any]) -> dict[str, Any]:
        return await self._images().prune_images()

    def _images(self) -> GatewayClient:
        gateway = self._tenant.gateway
        if not isinstance(gateway, GatewayClient):
            raise Invalid("this gateway has no images")
        return gateway

    async def runs_list(self, params: dict[str, Any]) -> list[dict[str, Any]]:
        limit = min(500, max(1, int(params.get("limit", 20))))
        wanted = params.get("group")
        records = await self._tenant.store.recent_runs(limit, folder=str(wanted) if wanted else "")
        return runs_as_json(records)

    async def dead_letters(self, _params: dict[str, Any]) -> list[dict[str, Any]]:
        inbound = [_dead_inbound(item) for item in await self._tenant.inbox.dead_letters()]
        outbound = [_dead_outbound(row) for row in await self._tenant.outbox.dead_letters()]
        return inbound + outbound

    async def requeue(self, params: dict[str, Any]) -> dict[str, Any]:
        direction, _, number = str(params.get("id", "")).partition("-")
        if direction not in {"in", "out"} or not number.isdigit():
            raise Invalid(f"{params.get('id')!r} is not a dead letter's id such as in-12: list them first")
        if direction == "out":
            row = await self._tenant.outbox.requeue(int(number))
            return {"id": f"out-{row.id}", "chat": row.chat}
        item = await self._tenant.inbox.requeue(int(number))
        self._tenant.wake(item.message)
        return {"id": f"in-{item.id}", "chat": item.message.chat}

    async def stop(self, _params: dict[str, Any]) -> dict[str, Any]:
        self._tenant.stop_requested.set()
        return {"stopping": True}


def status_at_rest(connection: Any, tables: NanoclawTables, tenant: str) -> dict[str, Any]:  # noqa: ANN401 - a connection
    """`status` of a process that is down: what its database knows, with the keys that only a running one fills."""
    came, gone = inbox.counts(connection, tables.channels), outbox.counts(connection, tables.channels)
    known = len(groups(connection, tables))
    waiting = _waiting(inbox.open_chats(connection, tables.channels))
    # A claimed message is one whose run was cut off: the next start takes it up again.
    waits = came.get("new", 0) + came.get("claimed", 0)
    summary = f"not running, {known} groups, {waits} messages wait, {gone.get('pending', 0)} to be sent"
    return {
        "summary": summary + _dead_in_words(came, gone),
        "tenant": tenant,
        "kind": "nanoclaw",
        "running": False,
        "pid": None,
        "started_at": None,
        "assistant_name": None,
        "channels": [],
        "groups": known,
        "lanes": [],
        "waiting": waiting,
        "runs": [],
        "tasks": TaskRows(connection, tables).counts(),
        "inbox": came,
        "outbox": gone,
        "metrics_port": 0,
    }


def _dead_in_words(came: Mapping[str, int], gone: Mapping[str, int]) -> str:
    dead = came.get("dead", 0) + gone.get("dead", 0) + gone.get("failed", 0)
    return f", {dead} dead letters" if dead else ""


def _waiting(chats: Sequence[OpenChat]) -> list[dict[str, Any]]:
    return [{"chat": chat.chat, "messages": chat.count} for chat in chats]


def groups_at_rest(connection: Any, tables: NanoclawTables) -> list[dict[str, Any]]:  # noqa: ANN401 - a connection
    """`groups.list` out of the database of a process that is down."""
    return [_group(group) for group in GroupRegistry(groups(connection, tables))]


def dead_letters_at_rest(connection: Any, tables: NanoclawTables) -> list[dict[str, Any]]:  # noqa: ANN401 - a connection
    """`deadletters.list` out of the database of a process that is down."""
    inbound = inbox.in_state(connection, tables.channels, state="dead", limit=_LIST_LIMIT)
    outbound = outbox.in_state(connection, tables.channels, ["failed", "dead"], _LIST_LIMIT)
    return [*map(_dead_inbound, inbound), *map(_dead_outbound, outbound)]


def _group(group: Group) -> dict[str, Any]:
    return asdict(group) | {"added_at": group.added_at.isoformat() if group.added_at else None}


def _dead_inbound(item: InboxItem) -> dict[str, Any]:
    return {
        "id": f"in-{item.id}",
        "direction": "in",
        "chat": item.message.chat,
        "who": item.message.sender.name,
        "at": item.received_at.isoformat(),
        "run_id": item.run_id,
        "tries": item.attempts,
        "reason": item.reason,
        "text": preview(item.message.text),
    }


def _dead_outbound(row: OutboxRow) -> dict[str, Any]:
    return {
        "id": f"out-{row.id}",
        "direction": "out",
        "chat": row.chat,
        "who": "",
        "at": row.created_at.isoformat(),
        "run_id": row.key,
        "tries": row.attempts,
        "reason": row.reason,
        "text": preview(row.text or f"[{', '.join(file.name for file in row.files)}]"),
    }
