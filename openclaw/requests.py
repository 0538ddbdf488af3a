"""Requests of an open connection: parsed, checked, handed to their method, answered once or twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from inspect import iscoroutine
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import from_json

from openclaw.connection import Connection
from openclaw.protocol.errors import CLOSE_POLICY, ProtocolError, from_exception, invalid, problems
from openclaw.protocol.frames import RequestFrame, encode_response, request_id_of
from openclaw.protocol.registry import Call, Later, MethodTable, authorize, read_params, unknown_method
from openclaw.services import Services
from shared.errors import GatewayError
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger

_log = get_logger(__name__)

MAX_UNAUTHORIZED: Final = 10

ReceiveText = Callable[[], Awaitable[str]]


class Requests:
    """Answers what connections ask.

    Args:
        services: what the methods need.
    """

    def __init__(self, table: MethodTable, services: Services) -> None:
        self._table = table
        self._services = services

    async def serve(self, connection: Connection, receive: ReceiveText, pool: TaskPool) -> None:
        """Answer requests until the connection closes.

        What a method knows without waiting is answered here and now; the rest gets a task each, so many at a time, and
        may overtake each other.
        """
        slots = asyncio.Semaphore(connection.limits.in_flight)
        while not connection.is_closing():
            text = await receive()
            grant = connection.grant
            if grant is None or connection.is_closing():
                return
            request = self._parse(connection, text)
            if request is None:
                continue
            await slots.acquire()
            if not connection.is_closing() and (work := self._begin(Call(self._services, connection, grant, request))):
                task = pool.start(self._finish(*work, pool), name=request.method[:40])
                task.add_done_callback(lambda _task: slots.release())
            else:
                slots.release()

    def _parse(self, connection: Connection, text: str) -> RequestFrame | None:
        try:
            return RequestFrame.model_validate_json(text)
        except ValidationError as error:
            try:
                frame = from_json(text)
            except ValueError:
                _log.warning("frame.ignored", conn_id=connection.id[:8], reason="not JSON", chars=len(text))
                return None
            refusal = invalid(f"invalid request frame: {problems(error)}")
            connection.send(refusal.frame(request_id_of(frame)))
            return None

    def _begin(self, call: Call) -> tuple[Call, Coroutine[Any, Any, object]] | None:
        """Check a request and answer it if that takes no waiting; else returns what to wait for."""
        request = call.request
        try:
            method = self._table.get(request.method)
            authorize(request.method, method, call.grant)
            if method is None:
                raise unknown_method(request.method)
            payload = method.handler(call, read_params(method, request.params))
        except Exception as error:  # noqa: BLE001 - a handler's defect must not cost the client its connection
            self._refuse(call, error)
            return None
        if iscoroutine(payload):
            return call, payload
        self._accept(call, payload)
        return None

    async def _finish(self, call: Call, work: Coroutine[Any, Any, object], pool: TaskPool) -> None:
        if call.connection.is_closing():
            work.close()
            return
        try:
            payload = await work
        except Exception as error:  # noqa: BLE001 - as above
            self._refuse(call, error)
            return
        if isinstance(payload, Later):
            pool.start(self._finish(call, payload.final, pool), name="second answer")
            payload = payload.first
        self._accept(call, payload)

    def _accept(self, call: Call, payload: object) -> None:
        call.connection.unauthorized = 0
        call.connection.send_text(encode_response(call.request.id, payload))
        for later in call.after:
            later()
        call.after.clear()

    def _refuse(self, call: Call, error: Exception) -> None:
        request, connection = call.request, call.connection
        if isinstance(error, ProtocolError):
            connection.send(error.frame(request.id))
            self._count_unauthorized(connection, error)
        elif isinstance(error, GatewayError):
            connection.send(from_exception(error).frame(request.id))
        else:
            _log.error("method.failed", method=request.method, conn_id=connection.id[:8], exc_info=error)
            connection.send(ProtocolError("UNAVAILABLE", f"internal error in {request.method}").frame(request.id))

    def _count_unauthorized(self, connection: Connection, error: ProtocolError) -> None:
        if not error.message.startswith("unauthorized role"):
            connection.unauthorized = 0
            return
        connection.unauthorized += 1
        if connection.unauthorized > MAX_UNAUTHORIZED:
            connection.close(CLOSE_POLICY, "repeated unauthorized calls")
