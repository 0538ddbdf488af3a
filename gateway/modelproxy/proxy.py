"""Forwards a model call: capability, credential, bytes there and back, and a record of what it cost."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

from gateway.credentials.models import Provider, ProviderAuth
from gateway.modelproxy.adapters import Adapter
from gateway.modelproxy.call import Call
from gateway.modelproxy.dialects import Dialect, Headers, error_event, plain_refusal
from gateway.modelproxy.exchange import ClientGoneError, Exchange, Receive, Scope, Send
from gateway.modelproxy.identity import ModelIdentity
from gateway.modelproxy.in_flight import CallRoom, InFlight, InFlightLimits
from gateway.modelproxy.routes import Route, betas_of, find_route, parse_body, upstream_headers, upstream_url
from gateway.modelproxy.streams import EndMark, WholeEvents, said_bytes
from gateway.modelproxy.worker_requests import is_harmless_beta, worker_request
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import Denied, GatewayError, Internal, Invalid, UpstreamError
from shared.http.client import HttpPool, StreamedAnswer
from shared.obs.log import get_logger
from shared.obs.redact import redact_text

__all__ = ["Gate", "ModelProxy", "ProxyCredentials", "Receive", "Reserve", "Scope", "Send"]

_log = get_logger(__name__)

_READ_TIMEOUT_S = 600.0
_KEEP_ALIVE_S = 10.0
"""Short enough for the most impatient of the usual clients and edges, whose limits begin at half a minute."""
_LIMITED = 429
_UNKNOWN_LIMIT_S = 60.0
_RUN_HEADER = b"x-clawgate-run"
_MAX_WHOLE_BYTES = 32 << 20
_MAX_REFUSAL_BYTES = 64 << 10
_MAX_TOLD = 64
_WORKER_ROUTE = "messages"
_SHOWN_CHARS = 60
_CLIENT_GONE = 499
_FIRST_REDIRECT = 300
_FIRST_ERROR_STATUS = 400
_BAD_GATEWAY = 502
_ANSWERS = frozenset({"choices", "content", "output", "data", "embedding"})
_UNAUTHORIZED = 401
_FORBIDDEN = 403
_REPLAYED = frozenset({_UNAUTHORIZED, _FORBIDDEN, _LIMITED})

_PASSED_BACK = re.compile(
    rb"(content-type|retry-after|retry-after-ms|request-id|x-request-id|x-github-request-id|x-should-retry"
    rb"|cache-control|openai-processing-ms|(anthropic-ratelimit|x-ratelimit|x-codex)-[a-z0-9-]+)"
)
"""Answer headers that go back; cookies, account ids and connection headers do not."""


class ProxyCredentials(Protocol):
    """What the proxy asks of `gateway.credentials.service.Credentials`."""

    async def headers_for(self, provider: Provider) -> ProviderAuth:
        """The credential for a call now; raises a GatewayError when there is none."""
        ...

    async def after_refusal(self, auth: ProviderAuth) -> ProviderAuth | None:
        """Another one after the provider refused this one."""
        ...

    async def after_limit(self, auth: ProviderAuth, retry_after_s: float) -> ProviderAuth | None:
        """Another one after a 429, where policy allows it."""
        ...


class Reserve(Protocol):
    """Takes room in a budget before a call is sent; what it returns comes back with the call's record."""

    async def __call__(
        self,
        identity: ModelIdentity,
        provider: str,
        model: str,
        body: Mapping[str, Any],
        request_bytes: int,
        *,
        run_id: str,
        auth: str,
    ) -> object:
        """Raise a GatewayError to refuse the call."""
        ...


Gate = Callable[[ModelIdentity, str, str], Awaitable[None]]
"""Waits, or refuses with a GatewayError: told who calls, which route, which model."""


class ModelProxy:
    """Calls model providers on behalf of identities.

    Args:
        credentials: what a provider is called with.
        http: connections to providers.
        on_request: told about every call at its end, with what `reserve` gave for it, if anything; must not block.
        reserve: asked before a call is sent.
        release: gives back what `reserve` gave, when the call is repeated with other money.
        gate: awaited before a call is sent; the caller's leaving cancels it.
        keep_alive_s: after this long without a byte a streaming caller gets a comment, the answer's head included if
            the provider has not begun.
        limits: how much may be under way at once.
        clock: for durations.
    """

    def __init__(
        self,
        credentials: ProxyCredentials,
        http: HttpPool,
        *,
        on_request: Callable[..., None] | None = None,
        reserve: Reserve | None = None,
        release: Callable[[Any], Awaitable[None]] | None = None,
        gate: Gate | None = None,
        keep_alive_s: float = _KEEP_ALIVE_S,
        limits: InFlightLimits | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._credentials = credentials
        self._http = http
        self._on_request = on_request
        self._reserve = reserve
        self._release = release
        self._gate = gate
        self._keep_alive_s = keep_alive_s
        self._clock = clock
        self._in_flight = InFlight(limits)
        self._told: set[str] = set()

    async def handle(
        self,
        identity: ModelIdentity,
        route: str,
        scope: Scope,
        receive: Receive,
        send: Send,
        adapter: Adapter | None = None,
    ) -> None:
        """Serve one HTTP request; every failure becomes an answer in the route's own dialect.

        Args:
            identity: who calls.
            route: name of a model route.
            scope: of the ASGI request, like `receive` and `send`.
            receive: see `scope`.
            send: see `scope`.
            adapter: changes the call on its way there and back; made for this call.
        """
        call = Call(identity, route, self._clock.monotonic())
        if adapter is not None:
            call.adapter = adapter
        exchange = Exchange(call, receive, send, self._clock)
        try:
            with self._in_flight.call(identity) as room:
                await self._serve(call, exchange, scope, room)
        except ClientGoneError:
            call.outcome = "client_gone"
            call.status = call.status or _CLIENT_GONE
        except GatewayError as error:
            await exchange.fail(error)
        except Exception:  # noqa: BLE001 - the caller gets an answer, the log the reason
            _log_defect(call)
            await exchange.fail(_defect())
        finally:
            self._record(call)

    async def fetch(self, identity: ModelIdentity, route_name: str) -> tuple[int, bytes]:
        """Status and body of a route that takes no body, for those who translate it.

        Raises:
            GatewayError: as `handle` would answer.
        """
        route = find_route(route_name)
        _check_capability(identity, route)
        auth: ProviderAuth | None = await self._credentials.headers_for(route.provider)
        may_replay = True
        while auth is not None:
            answer = await self._http.request(
                route.method,
                upstream_url(route, auth, b""),
                headers=upstream_headers(route, auth, (), {}),
                max_bytes=_MAX_WHOLE_BYTES,
            )
            if not may_replay or not _refuses_credential(auth, answer.status, answer.body):
                break
            auth, may_replay = await self._credentials.after_refusal(auth), False
        return answer.status, answer.body

    async def _serve(self, call: Call, exchange: Exchange, scope: Scope, room: CallRoom) -> None:
        route = find_route(call.route_name)
        call.dialect, call.provider = route.dialect, route.provider
        _check_capability(call.identity, route)
        if scope["method"] != route.method:
            raise Invalid(f"{call.route_name} takes {route.method} only", code="model.method")
        raw = await exchange.read_body(route.max_body_bytes, scope["headers"], room) if route.max_body_bytes else b""
        call.request_bytes = len(raw)
        body = parse_body(raw) if route.max_body_bytes else {}
        call.model = str(body.get("model", ""))[:80]
        call.streams = body.get("stream") is True
        if call.is_workers and raw:
            raw = worker_request(body)
            self._tell_left_out(call, scope["headers"])
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(exchange.watch_client())
                beat = _Beat(group, exchange, self._keep_alive_s)
                try:
                    raw, sent = await call.adapter.request(raw, body) if raw else (raw, body)
                    if self._gate is not None:
                        await self._gate(call.identity, route.name, call.model)
                    await self._forward(call, exchange, route, scope, raw, body, sent)
                except GatewayError as error:
                    # Answered inside the group, where it is still one error and not a group of them.
                    await exchange.fail(error)
                except Exception:  # noqa: BLE001 - the caller gets an answer, the log the reason
                    _log_defect(call)
                    await exchange.fail(_defect())
                finally:
                    exchange.done = True
                    watch.cancel()
                    beat.cancel()
        except* ClientGoneError:
            pass
        if exchange.client_gone:
            raise ClientGoneError

    def _tell_left_out(self, call: Call, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Log the features that a worker asks for and does not get, each once: a new command line may have new ones."""
        names = {beta[:_SHOWN_CHARS] for beta in betas_of(headers) if not is_harmless_beta(beta)} - self._told
        if names and len(self._told) < _MAX_TOLD:
            self._told |= names
            _log.warning("model.betas_left_out", worker_id=call.identity.worker_id, betas=sorted(names))

    async def _forward(
        self,
        call: Call,
        exchange: Exchange,
        route: Route,
        scope: Scope,
        raw: bytes,
        body: Mapping[str, Any],
        sent: Mapping[str, Any],
    ) -> None:
        auth: ProviderAuth | None = await self._credentials.headers_for(route.provider)
        may_replay = True
        while auth is not None:
            await self._admit(call, route, scope, sent, auth.kind)
            call.auth = auth.kind
            again: ProviderAuth | None = None
            async with self._http.stream(
                route.method,
                upstream_url(route, auth, scope.get("query_string", b""), path=call.adapter.path),
                headers=upstream_headers(
                    route, auth, scope["headers"], body, path=call.adapter.path, is_worker=call.is_workers
                ),
                body=raw,
                read_timeout_s=_READ_TIMEOUT_S,
            ) as answer:
                call.request_id = answer.header("request-id") or answer.header("x-request-id")
                refusal: bytes | None = None
                if answer.status >= _FIRST_ERROR_STATUS:
                    refusal = await answer.read_beginning(_MAX_REFUSAL_BYTES)
                    if may_replay and answer.status in _REPLAYED:
                        again = await self._another(auth, answer, refusal)
                if again is None:
                    await self._pass_back(call, exchange, answer, refusal)
            auth, may_replay = again, False

    async def _admit(self, call: Call, route: Route, scope: Scope, sent: Mapping[str, Any], kind: str) -> None:
        """Reserve room in the budget; another kind of credential is other money, and is asked for anew."""
        if self._reserve is None or call.auth == kind:
            return
        if call.reservation is not None and self._release is not None:
            await self._release(call.reservation)
            call.reservation = None
        call.model = str(sent.get("model", ""))[:80]
        named = next((value for name, value in scope["headers"] if name == _RUN_HEADER), b"")
        call.run_id = named.decode("latin-1")[:80]
        call.reservation = await self._reserve(
            call.identity, route.provider, call.model, sent, call.request_bytes, run_id=call.run_id, auth=kind
        )

    async def _another(self, auth: ProviderAuth, answer: StreamedAnswer, refusal: bytes) -> ProviderAuth | None:
        if answer.status == _LIMITED:
            return await self._credentials.after_limit(auth, _limit_s(answer, self._clock))
        if _refuses_credential(auth, answer.status, refusal):
            return await self._credentials.after_refusal(auth)
        return None

    async def _pass_back(self, call: Call, exchange: Exchange, answer: StreamedAnswer, refusal: bytes | None) -> None:
        headers = _passed_back(answer.headers)
        if refusal is None and answer.header("content-type").startswith("text/event-stream"):
            await exchange.begin_stream(answer.status, headers)
            await self._stream(call, exchange, answer)
            return
        # Small enough to be had whole, so that a cut one becomes an error and not half an answer.
        whole = refusal if refusal is not None else await answer.read(_MAX_WHOLE_BYTES)
        parsed = call.usage.feed_json(whole)
        status = _true_status(answer.status, parsed)
        told = whole
        if status >= _FIRST_ERROR_STATUS:
            if len(whole) > _MAX_REFUSAL_BYTES:
                whole, parsed = whole[:_MAX_REFUSAL_BYTES], {}
            # An upstream may quote what it was sent, credential included, and an agent keeps what it reads.
            told = whole = redact_text(whole.decode("utf-8", "replace")).encode()
            if not parsed:
                told = plain_refusal(call.dialect, status, call.provider, whole)
        told = call.adapter.whole(status, told)
        if told is not whole:
            headers = [header for header in headers if header[0] != b"content-type"]
            headers.append((b"content-type", b"application/json"))
        call.outcome = "answered"
        await exchange.answer(status, headers, told, answer.header("retry-after"))

    async def _stream(self, call: Call, exchange: Exchange, answer: StreamedAnswer) -> None:
        events = WholeEvents()
        spoken: Dialect = "openai" if call.adapter.translates else call.dialect
        end = EndMark(spoken)
        translator = call.adapter.stream()
        try:
            while chunk := await answer.next_bytes():
                if block := events.feed(chunk):
                    call.usage.feed_events(block)
                    call.said_bytes += said_bytes(block, spoken)
                    end.feed(block)
                    if translator is not None:
                        block = translator.feed(block)
                    if block:
                        await exchange.write(block)
            rest = events.rest()
            end.feed(rest)
            if translator is not None:
                rest = translator.feed(rest) + translator.rest()
            elif not end.seen:
                # A server that dies behind its own edge looks like one that has finished.
                raise UpstreamError("the provider's stream ended before its answer did", code="upstream.cut")
        except GatewayError as error:
            call.outcome = "cut"
            _log.warning("model.cut", provider=call.provider, tenant=call.identity.tenant, reason=error.code)
            await exchange.end(error_event(call.dialect, error))
            return
        call.outcome = "answered"
        await exchange.end(rest)

    def _record(self, call: Call) -> None:
        if self._on_request is None:
            return
        record = call.record(self._clock.monotonic())
        if call.reservation is None:
            self._on_request(record)
        else:
            self._on_request(record, call.reservation)


class _Beat:
    """Starts a call's keep-alive when its first silence is long; most calls are over by then and never pay for it."""

    def __init__(self, group: asyncio.TaskGroup, exchange: Exchange, every_s: float) -> None:
        self._group = group
        self._exchange = exchange
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(every_s, self._begin)

    def _begin(self) -> None:
        self._task = self._group.create_task(self._exchange.keep_alive(self._every_s))

    def cancel(self) -> None:
        """No more."""
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()


def _true_status(status: int, body: Mapping[str, Any]) -> int:
    """An answer's status; a good one that holds an error in place of an answer is not good.

    Raises:
        UpstreamError: it sends us elsewhere, where the credential must not go along.
    """
    if _FIRST_REDIRECT <= status < _FIRST_ERROR_STATUS:
        raise UpstreamError(
            f"the provider answered {status} and points elsewhere; is its address right?", status=status
        )
    if status < _FIRST_ERROR_STATUS and body.get("error") and not _ANSWERS & body.keys():
        return _BAD_GATEWAY
    return status


def _limit_s(answer: StreamedAnswer, clock: Clock) -> float:
    """How long a limit holds, in seconds, as the provider says it: for a moment, or until a plan's window ends."""
    wait, resets_at = answer.header("retry-after"), answer.header("anthropic-ratelimit-unified-reset")
    if wait.isdigit():
        return float(wait)
    return max(1.0, float(resets_at) - clock.now().timestamp()) if resets_at.isdigit() else _UNKNOWN_LIMIT_S


def _log_defect(call: Call) -> None:
    who = call.identity
    _log.exception("model.failed", route=call.route_name, tenant=who.tenant, worker_id=who.worker_id)


def _defect() -> Internal:
    return Internal("internal error of the gateway; its log has the reason")


def _check_capability(identity: ModelIdentity, route: Route) -> None:
    if route.name not in identity.routes:
        who = f"worker {identity.worker_id}" if identity.worker_id else f"tenant {identity.tenant}"
        allowed = ", ".join(sorted(identity.routes)) or "none"
        raise Denied(f"{who} may not use the model route {route.name} (allowed: {allowed})", code="model.route")
    if identity.worker_id and route.name != _WORKER_ROUTE:
        # Only of Messages is it known what a worker must not ask for.
        raise Denied(f"workers have the model route {_WORKER_ROUTE} and no other", code="model.route")


def _refuses_credential(auth: ProviderAuth, status: int, body: bytes) -> bool:
    """Whether an answer refuses the credential itself; a 403 may as well mean the model or an edge filter."""
    if status == _UNAUTHORIZED:
        return True
    if status != _FORBIDDEN or auth.provider != "claude" or auth.kind != "oauth":
        return False
    try:
        error = json.loads(body)["error"]
        return error["type"] == "permission_error" and "oauth" in str(error["message"]).lower()
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _passed_back(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    return [(name.lower(), value) for name, value in headers if _PASSED_BACK.fullmatch(name.lower())]
