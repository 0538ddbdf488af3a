"""The REST API's front: matching, faults, tokens, rate limits, bodies and exact answers. The calls are in rest_*.py."""

from __future__ import annotations

import asyncio
import io
import re
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from multipart import MultipartError, MultipartParser, parse_options_header  # type: ignore[import-untyped]

from gateway.sandbox.discord.asgi import (
    BodyTooLarge,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    read_json,
    until_gone,
)
from gateway.sandbox.discord.errors import ApiError, invalid_form, unauthorized
from gateway.sandbox.discord.limits import LimitPolicy, RateLimiter, rate_limited
from gateway.sandbox.discord.models import Json, Upload, User
from gateway.sandbox.discord.snowflake import parse_snowflake
from gateway.sandbox.discord.world import World
from gateway.sandbox.faults import EDGE_PAGE, Fault, FaultPlan
from shared.obs.log import get_logger

REQUEST_LIMIT_BYTES = 25 * 1024 * 1024
VIA = "1.1 clawgate-sandbox"
_PREFIX = re.compile(r"/api(?:/v(?:9|10))?(?=/)")
_FILE_FIELD = re.compile(r"files?\[(\d+)\]")
_KEPT_REQUESTS = 2_000


@dataclass(slots=True)
class Call:
    """One API call on its way through a handler.

    Attributes:
        actor: who calls; a nameless nobody where no token is needed.
        body: the JSON body, or the form's ``payload_json``; none when there is no body.
        files: uploads by their number.
    """

    world: World
    request: Request
    op: str
    actor: User
    gateway_url: str
    policy: LimitPolicy
    body: Any = None
    files: dict[int, Upload] = field(default_factory=dict)

    def id(self, name: str) -> int:
        """A snowflake from the path; 50035 when it is none. ``@me`` is the caller."""
        text = self.request.params[name]
        if text == "@me":
            return self.actor.id
        value = parse_snowflake(text)
        if value is None:
            raise invalid_form(name, "NUMBER_TYPE_COERCE", f'Value "{text[:40]}" is not snowflake.')
        return value

    def text(self, name: str) -> str:
        """A path part, percent-decoded."""
        return self.request.params[name]

    def fields(self) -> Json:
        """The body as an object.

        Raises:
            ApiError: 50109.
        """
        if not isinstance(self.body, dict):
            raise ApiError(400, 50109, "The request body contains invalid JSON.")
        return self.body

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """A query number within bounds.

        Raises:
            ApiError: 50035.
        """
        text = self.request.query.get(name)
        if text is None:
            return default
        if not text.isdigit() or not low <= int(text) <= high:
            raise invalid_form(name, "NUMBER_TYPE_MAX", f"int value should be between {low} and {high}.")
        return int(text)


Handler = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """One call of the API.

    Attributes:
        template: the path below the version, with ``{names}``.
        op: its stable name in fault plans and rate-limit rules.
        auth: ``any`` account, a ``bot``, or ``none`` (the path holds a token of its own).
    """

    method: str
    template: str
    op: str
    handler: Handler
    auth: str = "any"

    def match(self, segments: list[str]) -> dict[str, str] | None:
        """The path's parts by name, decoded only after splitting."""
        pattern = self.template.strip("/").split("/")
        if len(pattern) != len(segments):
            return None
        found = dict[str, str]()
        for wanted, given in zip(pattern, segments, strict=True):
            if wanted.startswith("{"):
                found[wanted[1:-1]] = unquote(given)
            elif wanted != given:
                return None
        return found


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that came, for tests and failure dumps. Tokens are never kept."""

    op: str
    status: int
    body: Any


_log = get_logger(__name__)
_NOBODY = User(0, "nobody")


class RestServer:
    """Answers the API.

    Attributes:
        requests: the newest requests.
        unknown_routes: method and path of every call there is no route for; a good client causes none.
        limiter: the rate limits and what they refused.
    """

    def __init__(self, world: World, faults: FaultPlan, policy: LimitPolicy, routes: list[Route]) -> None:
        self._world, self._faults, self._policy = world, faults, policy
        self._routes = routes
        self.limiter = RateLimiter(policy, world.clock)
        self.requests: deque[Seen] = deque(maxlen=_KEPT_REQUESTS)
        self.unknown_routes: list[str] = []
        self.gateway_url = ""

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One HTTP request."""
        request = Request.of(scope, receive)
        try:
            await self._serve(request, send)
        except (ConnectionAbortedError, BrokenPipeError):
            return

    async def _serve(self, request: Request, send: Send) -> None:
        if self.limiter.is_banned:
            await self._reply(send, _edge_page(429), via=False)
            return
        prefix = _PREFIX.match(request.path)
        path = request.path[prefix.end() :] if prefix else request.path
        route = self._find(request, path) if prefix else None
        if route is None:
            await self._reply(send, self._no_route(request, path, is_api=prefix is not None))
            return
        fault = self._faults.take("discord", route.op)
        if fault is not None and not fault.applied and await self._strike(fault, request, send):
            return
        response = await self._answer(route, request)
        if fault is not None and fault.kind == "duplicate":
            response = await self._answer(route, request)
        if fault is not None and fault.applied and await self._strike(fault, request, send):
            return
        if fault is not None and fault.kind == "half_body":
            await response.send(send, only=max(1, len(response.body) // 2))
            await asyncio.sleep(0.05)  # let the half arrive before the reset discards it
            request.reset()
            await until_gone(request.receive)
            return
        skew_s = fault.seconds if fault is not None and fault.kind == "clock_skew" else 0.0
        await self._reply(send, response, skew_s=skew_s)

    def _find(self, request: Request, path: str) -> Route | None:
        segments = path.strip("/").split("/")
        for route in self._routes:
            if route.method == request.method and (params := route.match(segments)) is not None:
                request.params = params
                return route
        return None

    def _no_route(self, request: Request, path: str, *, is_api: bool) -> Response:
        segments = path.strip("/").split("/")
        if is_api and any(route.match(segments) is not None for route in self._routes):
            return Response.json({"message": "405: Method Not Allowed", "code": 0}, 405)
        self.unknown_routes.append(f"{request.method} {request.path}")
        return Response.json({"message": "404: Not Found", "code": 0}, 404)

    async def _answer(self, route: Route, request: Request) -> Response:
        headers, body, actor = dict[str, str](), None, _NOBODY
        try:
            actor = self._authenticate(route, request)
            if actor.bot or route.auth == "none" or self._policy.limit_people:
                headers = self.limiter.spend(actor.id, route.op, _major(request.params))
            call = Call(self._world, request, route.op, actor, self.gateway_url, self._policy)
            await _read_body(call)
            body = call.body
            response = await route.handler(call)
        except ApiError as error:
            response = Response.json(error.body(), error.status, error.headers)
        except (TypeError, ValueError, LookupError, AttributeError) as error:  # a defect of the emulator
            _log.error("discord_emulator.call_failed", op=route.op, exc_info=error)
            response = Response.json({"message": "500: Internal Server Error", "code": 0}, 500)
        response.headers = {**headers, **response.headers}
        self.limiter.note_answer(response.status, shared=response.headers.get("X-RateLimit-Scope") == "shared")
        self.requests.append(Seen(route.op, response.status, body))
        return response

    def _authenticate(self, route: Route, request: Request) -> User:
        if route.auth == "none":
            return _NOBODY
        header = request.headers.get("authorization", "")
        is_bot, token = header.startswith("Bot "), header.removeprefix("Bot ").strip()
        user = self._world.state.user_by_token(token)
        if user is None or user.bot != is_bot:
            raise unauthorized()
        if route.auth == "bot" and not user.bot:
            raise ApiError(403, 20002, "Only bots can use this endpoint")
        return user

    async def _strike(self, fault: Fault, request: Request, send: Send) -> bool:
        """Carry out a fault; true when that was the answer."""
        if fault.kind == "status":
            await self._reply(send, _fault_answer(fault))
        elif fault.kind == "edge_page":
            await self._reply(send, _edge_page(fault.status or 429, fault), via=False)
        elif fault.kind in ("reset", "close"):
            request.reset() if fault.kind == "reset" else request.hang_up()
            await until_gone(request.receive)
        elif fault.kind == "stall":
            await asyncio.sleep(fault.seconds)
            return False
        elif fault.kind == "token_revoked":
            token = request.headers.get("authorization", "").removeprefix("Bot ").strip()
            user = self._world.state.user_by_token(token)
            if user is not None and user.id in self._world.state.applications:
                self._world.rotate_token(self._world.state.applications[user.id])
            return False
        else:
            return False
        return True

    async def _reply(self, send: Send, response: Response, *, via: bool = True, skew_s: float = 0.0) -> None:
        if via:
            response.headers = {"Via": VIA, **response.headers}
        if skew_s and "X-RateLimit-Reset" in response.headers:
            response.headers["X-RateLimit-Reset"] = f"{float(response.headers['X-RateLimit-Reset']) + skew_s:.3f}"
        await response.send(send, now=self._world.clock.now().timestamp(), skew_s=skew_s)


def _major(params: dict[str, str]) -> str:
    if "webhook" in params:
        return f"{params['webhook']}:{params.get('token', '')}"
    return params.get("channel") or params.get("guild") or ""


async def _read_body(call: Call) -> None:
    request = call.request
    try:
        data = await request.body(REQUEST_LIMIT_BYTES)
    except BodyTooLarge:
        raise ApiError(413, 40005, "Request entity too large") from None
    if not data:
        return
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    try:
        if kind == "multipart/form-data":
            _read_form(call, data, options.get("boundary", ""))
        else:
            call.body = read_json(data)
    except (ValueError, MultipartError):
        raise ApiError(400, 50109, "The request body contains invalid JSON.") from None


def _read_form(call: Call, data: bytes, boundary: str) -> None:
    limit = REQUEST_LIMIT_BYTES
    call.body = {}
    form = MultipartParser(io.BytesIO(data), boundary, mem_limit=limit, memfile_limit=limit, part_limit=64)
    for part in form:
        if part.name == "payload_json":
            call.body = read_json(part.raw)
        elif part.filename is not None:
            named = _FILE_FIELD.fullmatch(part.name)
            number = int(named[1]) if named else len(call.files)
            call.files[number] = Upload(part.filename, part.raw, part.content_type or "application/octet-stream")


def _fault_answer(fault: Fault) -> Response:
    status = fault.status or 500
    payload = fault.payload()
    if payload is not None:
        return Response(status, payload[0], payload[1], dict(fault.headers))
    if status == 429:
        wait_s = float(fault.headers.get("Retry-After", "0.5"))
        error = rate_limited(wait_s, dict(fault.headers), scope=fault.headers.get("X-RateLimit-Scope", "user"))
        return Response.json(error.body(), status, error.headers)
    return Response.json({"message": f"{status}: sandbox fault", "code": 0}, status, dict(fault.headers))


def _edge_page(status: int, fault: Fault | None = None) -> Response:
    body, kind = (fault.payload() if fault else None) or (EDGE_PAGE, "text/html")
    return Response(status, body, kind, dict(fault.headers) if fault else {})
