"""Methods about scheduled jobs. Source of the shapes: protocol §10."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from openclaw.cron.models import JobSpec
from openclaw.cron.queries import MOST, JobQuery, RunQuery
from openclaw.protocol.errors import invalid
from openclaw.protocol.frames import NonEmpty, Wire
from openclaw.protocol.registry import Call, Method
from openclaw.protocol.scopes import ADMIN, READ

Limit = Annotated[int, Field(ge=1, le=MOST)]
Offset = Annotated[int, Field(ge=0)]
Direction = Literal["asc", "desc"]
RunStatus = Literal["ok", "error", "skipped"]
DeliveryStatus = Literal["delivered", "not-delivered", "unknown", "not-requested"]


class ListParams(Wire):
    """``cron.list``."""

    include_disabled: bool = False
    limit: Limit = 50
    offset: Offset = 0
    query: str | None = None
    enabled: Literal["all", "enabled", "disabled"] | None = None
    sort_by: Literal["nextRunAtMs", "updatedAtMs", "name"] = "nextRunAtMs"
    sort_dir: Direction = "asc"


async def _list(call: Call, params: ListParams) -> object:
    wanted = JobQuery(
        enabled=params.enabled or ("all" if params.include_disabled else "enabled"),
        query=params.query or "",
        sort_by=params.sort_by,
        descending=params.sort_dir == "desc",
        limit=params.limit,
        offset=params.offset,
    )
    return await call.services.cron.listing(wanted)


async def _status(call: Call, _params: object) -> object:
    services = call.services
    return await services.cron.status(str(services.folder / f"{services.name}.db"))


async def _add(call: Call, params: JobSpec) -> object:
    job = await call.services.cron.add(params)
    return await call.services.cron.wire(job)


class IdParams(Wire):
    """A job by either of its names."""

    id: NonEmpty | None = None
    job_id: NonEmpty | None = None

    def wanted(self, method: str) -> str:
        """The job's id.

        Raises:
            ProtocolError: it is missing.
        """
        found = self.id or self.job_id
        if found is None:
            raise invalid(f"invalid {method} params: at root: must have required property 'id'")
        return found


class UpdateParams(IdParams):
    """``cron.update``."""

    patch: dict[str, Any]


async def _update(call: Call, params: UpdateParams) -> object:
    job = await call.services.cron.update(params.wanted("cron.update"), params.patch)
    return await call.services.cron.wire(job)


async def _remove(call: Call, params: IdParams) -> object:
    return {"ok": True, "removed": await call.services.cron.remove(params.wanted("cron.remove"))}


class RunParams(IdParams):
    """``cron.run``."""

    mode: Literal["due", "force"] = "force"


async def _run(call: Call, params: RunParams) -> object:
    reason = await call.services.cron.run(params.wanted("cron.run"), params.mode)
    return {"ok": True, "ran": False, "reason": reason} if reason else {"ok": True, "ran": True}


class RunsParams(IdParams):
    """``cron.runs``."""

    scope: Literal["job", "all"] | None = None
    limit: Limit = 50
    offset: Offset = 0
    status: RunStatus | Literal["all"] | None = None
    statuses: list[RunStatus] | None = None
    delivery_status: DeliveryStatus | None = None
    delivery_statuses: list[DeliveryStatus] | None = None
    query: str | None = None
    sort_dir: Direction = "desc"


async def _runs(call: Call, params: RunsParams) -> object:
    is_all = params.scope == "all" or (params.scope is None and not (params.id or params.job_id))
    one = (params.status,) if params.status not in (None, "all") else ()
    one_delivery = (params.delivery_status,) if params.delivery_status else ()
    wanted = RunQuery(
        job_id="" if is_all else params.wanted("cron.runs"),
        query=params.query or "",
        statuses=tuple(params.statuses or one),
        deliveries=tuple(params.delivery_statuses or one_delivery),
        descending=params.sort_dir == "desc",
        limit=params.limit,
        offset=params.offset,
    )
    return await call.services.cron.history(wanted)


METHODS = (
    Method("cron.list", READ, _list, params=ListParams),
    Method("cron.status", READ, _status),
    Method("cron.add", ADMIN, _add, params=JobSpec),
    Method("cron.update", ADMIN, _update, params=UpdateParams),
    Method("cron.remove", ADMIN, _remove, params=IdParams),
    Method("cron.run", ADMIN, _run, params=RunParams),
    Method("cron.runs", READ, _runs, params=RunsParams),
)
