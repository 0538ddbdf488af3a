"""What a tenant may ask for: its start-up values, its own workers, the web, and what it is to tell the owner."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from litestar import Request, WebSocket, delete, get, post, websocket
from litestar.datastructures import State
from litestar.exceptions import WebSocketDisconnect
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.types import ControllerRouterHandler

from gateway.audit.control import AuditDesk
from gateway.backup.service import Backups
from gateway.broker.audit import audit_routes
from gateway.broker.auth import Caller
from gateway.broker.posts import post_routes
from gateway.broker.sign_ins import sign_in_routes
from gateway.credentials.models import CredentialStatus
from gateway.credentials.signins import SignIns
from gateway.egress.service import Egress
from gateway.notices.service import Notices
from gateway.social.embedding import Embed
from gateway.social.service import Social
from gateway.workers.pool import WorkerPool
from shared.clock import SYSTEM_CLOCK
from shared.errors import GatewayError, NotFound
from shared.gatewayclient.models import NoticeMessage, TenantStartup, WorkerEvent, WorkerInfo, WorkerRequest
from shared.gatewayclient.stream import LINE_HEADER_BYTES
from shared.gatewayclient.web import (
    FetchedPage,
    FetchRequest,
    SearchAnswer,
    WebhookAnswer,
    WebhookRequest,
    WebSearchRequest,
)
from shared.metrics.figures import Durations


@dataclass(frozen=True, slots=True)
class BrokerServices:
    """What the routes act on.

    Attributes:
        startup: reads files; called in a thread.
        before_lease: given the tenant before a worker is leased; never raises, and soon returns.
        logins: makes sign-ins.
        kinds: kind of each tenant, read at every call.
        leases: how long leases took, for the figures.
    """

    pool: WorkerPool
    egress: Egress
    startup: Callable[[str], TenantStartup]
    name_prefix: Callable[[str], str]
    rebuild_image: Callable[[], Awaitable[dict[str, Any]]]
    prune_images: Callable[[], Awaitable[dict[str, Any]]]
    notices: Notices
    before_lease: Callable[[str], Awaitable[None]]
    social: Social
    embed: Embed
    backups: Backups
    sign_ins: Callable[[], Awaitable[list[CredentialStatus]]]
    logins: SignIns
    kinds: Mapping[str, str]
    audit: AuditDesk
    leases: Durations = field(default_factory=lambda: Durations(()))


_TAKEN = WorkerEvent(event="taken").model_dump_json()


def _services(state: State) -> BrokerServices:
    services: BrokerServices = state["services"]
    return services


def _caller(connection: Any) -> Caller:  # noqa: ANN401 - request or socket
    caller: Caller = connection.scope["state"]["caller"]
    return caller


@get("/v1/startup")
async def startup(request: Request[Any, Any, Any], state: State) -> dict[str, Any]:
    """A tenant's own tokens, settings and addresses."""
    startup = await asyncio.to_thread(_services(state).startup, _caller(request).tenant)
    return startup.model_dump(mode="json")


@post("/v1/workers", status_code=201)
async def lease(request: Request[Any, Any, Any], state: State, data: JSONBody[WorkerRequest]) -> WorkerInfo:
    """The worker of one of the tenant's groups, started if need be."""
    caller, services = _caller(request), _services(state)
    await services.before_lease(caller.tenant)
    began_s, result = SYSTEM_CLOCK.monotonic(), "none"
    try:
        worker = await services.pool.lease(
            caller.tenant, data, uid=caller.uid, gid=caller.gid, name_prefix=services.name_prefix(caller.tenant)
        )
        result = "running" if worker.reused else "started"
    finally:
        services.leases.observe(SYSTEM_CLOCK.monotonic() - began_s, result)
    return worker


@get("/v1/workers")
async def workers(request: Request[Any, Any, Any], state: State) -> list[WorkerInfo]:
    """The tenant's workers."""
    return _services(state).pool.list(_caller(request).tenant)


@post("/v1/workers/image", status_code=200)
async def rebuild_image(state: State) -> dict[str, Any]:
    """Build the worker image from the gateway's own files; a tenant chooses nothing about it."""
    return await _services(state).rebuild_image()


@post("/v1/workers/{worker_id:str}/busy", status_code=204)
async def busy(
    request: Request[Any, Any, Any], state: State, worker_id: FromPath[str], data: JSONBody[dict[str, str]]
) -> None:
    """A run begins on a worker."""
    await _services(state).pool.mark_busy(_caller(request).tenant, worker_id, str(data.get("run_id", ""))[:64])


@post("/v1/workers/{worker_id:str}/idle", status_code=204)
async def idle(request: Request[Any, Any, Any], state: State, worker_id: FromPath[str]) -> None:
    """The run on a worker is over."""
    await _services(state).pool.mark_idle(_caller(request).tenant, worker_id)


@post("/v1/workers/prune", status_code=200)
async def prune_images(state: State) -> dict[str, Any]:
    """Clear build leftovers out of the engine; a tenant chooses nothing about it."""
    return await _services(state).prune_images()


@post("/v1/workers/{worker_id:str}/pause", status_code=204)
async def pause(request: Request[Any, Any, Any], state: State, worker_id: FromPath[str]) -> None:
    """Freeze a worker that has no run."""
    await _services(state).pool.pause(_caller(request).tenant, worker_id)


@post("/v1/workers/{worker_id:str}/unpause", status_code=204)
async def unpause(request: Request[Any, Any, Any], state: State, worker_id: FromPath[str]) -> None:
    """Let a worker go on, since a run is about to begin."""
    await _services(state).pool.unpause(_caller(request).tenant, worker_id)


@delete("/v1/workers/{worker_id:str}", status_code=204)
async def end(request: Request[Any, Any, Any], state: State, worker_id: FromPath[str]) -> None:
    """Stop a worker of the tenant's own."""
    await _services(state).pool.end(_caller(request).tenant, worker_id)


@post("/v1/backup", status_code=200)
async def back_up(request: Request[Any, Any, Any], state: State) -> dict[str, Any]:
    """The tenant's copy of its own state, as a tar file; answers when it is on its remote."""
    outcome = await _services(state).backups.receive(_caller(request).tenant, request.stream())
    return outcome.as_json()


@post("/v1/egress/fetch", status_code=200)
async def fetch(request: Request[Any, Any, Any], state: State, data: JSONBody[FetchRequest]) -> FetchedPage:
    """A web page, for the run one of the tenant's groups is in."""
    return await _services(state).egress.fetch(_caller(request).tenant, data)


@post("/v1/egress/search", status_code=200)
async def search(request: Request[Any, Any, Any], state: State, data: JSONBody[WebSearchRequest]) -> SearchAnswer:
    """Search results, for the run one of the tenant's groups is in."""
    return await _services(state).egress.search(_caller(request).tenant, data)


@post("/v1/egress/webhook", status_code=200)
async def webhook(request: Request[Any, Any, Any], state: State, data: JSONBody[WebhookRequest]) -> WebhookAnswer:
    """Tell a web address of something, for one of the tenant's scheduled jobs."""
    return await _services(state).egress.webhook(_caller(request).tenant, data)


@get("/v1/notices")
async def notices(request: Request[Any, Any, Any], state: State, wait_s: FromQuery[float] = 0.0) -> list[NoticeMessage]:
    """What the owner is to be told by the tenant; waits for the first notice."""
    return await _services(state).notices.wait(_caller(request).tenant, wait_s)


@post("/v1/notices/{notice_id:str}/delivered", status_code=204)
async def notice_delivered(
    request: Request[Any, Any, Any], state: State, notice_id: FromPath[str], data: JSONBody[dict[str, str]]
) -> None:
    """A notice is in the tenant's outbox."""
    await _services(state).notices.acknowledge(_caller(request).tenant, notice_id, data.get("chat", ""))


@post("/v1/notices/{notice_id:str}/held", status_code=204)
async def notice_held(
    request: Request[Any, Any, Any], state: State, notice_id: FromPath[str], data: JSONBody[dict[str, str]]
) -> None:
    """A notice cannot be said for now."""
    await _services(state).notices.hold(_caller(request).tenant, notice_id, data.get("reason", ""))


@websocket("/v1/workers/{worker_id:str}/stdio")
async def stdio(socket: WebSocket[Any, Any, Any], state: State, worker_id: FromPath[str]) -> None:
    """A worker's stdin and stdout; see `shared.gatewayclient.stream` for the messages."""
    pool, tenant = _services(state).pool, _caller(socket).tenant
    after = socket.query_params.get("after", "0")
    if not after.isdigit() or not any(worker.worker_id == worker_id for worker in pool.list(tenant)):
        await socket.close(code=1008, reason="no such worker")  # before accept this is HTTP 403
        return
    await socket.accept()
    try:
        async with asyncio.TaskGroup() as pumps:
            reader = pumps.create_task(_input(socket, pool, tenant, worker_id))
            await _output(socket, pool, tenant, worker_id, int(after))
            reader.cancel()
    except* (WebSocketDisconnect, NotFound):
        pass  # the tenant detached, or the worker vanished between two calls
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):
        await socket.close(code=1000)


async def _output(socket: WebSocket[Any, Any, Any], pool: WorkerPool, tenant: str, worker_id: str, after: int) -> None:
    async for item in pool.stream(tenant, worker_id, after):
        if isinstance(item, WorkerEvent):
            await socket.send_text(item.model_dump_json())
        else:
            number, line = item
            await socket.send_bytes(number.to_bytes(LINE_HEADER_BYTES, "big") + line)


async def _input(socket: WebSocket[Any, Any, Any], pool: WorkerPool, tenant: str, worker_id: str) -> None:
    while True:
        data = await socket.receive_bytes()
        try:
            await pool.write(tenant, worker_id, data)
        except GatewayError as error:  # to repeat it would not help: the worker has ended
            await socket.send_text(WorkerEvent(event="stderr", text=error.detail).model_dump_json())
        await socket.send_text(_TAKEN)


def broker_routes() -> list[ControllerRouterHandler]:
    """All routes of the tenant socket but the model's."""
    workers_of_tenant = [lease, workers, rebuild_image, prune_images, busy, idle, pause, unpause, end, stdio]
    return [
        startup,
        back_up,
        *workers_of_tenant,
        fetch,
        search,
        webhook,
        notices,
        notice_delivered,
        notice_held,
        *sign_in_routes(),
        *post_routes(),
        *audit_routes(),
    ]
