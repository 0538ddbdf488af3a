"""The model API on 4141: OpenAI's and Anthropic's dialect in front of Copilot (policy G1).

The same paths as copilot-api, without its holes: nothing answers to a web page, and no path shows a token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from gateway.modelproxy.adapters import adapter_for
from gateway.modelproxy.catalogue import ModelCatalogue
from gateway.modelproxy.client_keys import ClientKeys
from gateway.modelproxy.counting import estimate_tokens
from gateway.modelproxy.dialects import Dialect
from gateway.modelproxy.identity import ModelIdentity
from gateway.modelproxy.pacing import Pacer
from gateway.modelproxy.plain import TEXT, answer, answer_json, close_other, fail, read_body
from gateway.modelproxy.proxy import Gate, ModelProxy, Receive, Scope, Send
from gateway.modelproxy.quota import CopilotQuota
from gateway.modelproxy.routes import parse_body
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.paths import Paths
from shared.errors import Denied, GatewayError, Internal, Invalid, NotFound
from shared.lifecycle.halt import require_not_halted
from shared.obs.log import get_logger

_log = get_logger(__name__)

AsgiApp = Callable[[Any, Any, Any], Any]

LISTENER = "local"
"""Tenant name of all who call this listener."""
LISTENER_ROUTES = frozenset({"chat/completions", "copilot/messages", "copilot/responses", "embeddings", "models"})
_LOOPBACK_HOSTS = {"localhost", "127.0.0.1", "[::1]"}
_MAX_COUNTED_BYTES = 32 << 20
_CALLS = {
    "/chat/completions": "chat/completions",
    "/responses": "copilot/responses",
    "/embeddings": "embeddings",
    "/messages": "copilot/messages",
}


def listener_identity() -> ModelIdentity:
    """In whose name the listener's callers call."""
    return ModelIdentity(tenant=LISTENER, group="", worker_id="", routes=LISTENER_ROUTES)


def pacing_gate(pacer: Pacer, *, is_light: Callable[[str], bool] = lambda _tenant: False) -> Gate:
    """One queue for the listener and for the LIGHT route of some tenants; all other calls pass at once.

    Args:
        pacer: the queue.
        is_light: whether a tenant's own chat completions share it, which is NanoClaw's LIGHT route.
    """

    async def gate(identity: ModelIdentity, route: str, _model: str) -> None:
        if identity.tenant == LISTENER or (route == "chat/completions" and is_light(identity.tenant)):
            await pacer.turn()

    return gate


def halting_gate(paths: Paths, gate: Gate) -> Gate:
    """The same gate, closed to everybody while the operator has stopped everything."""

    async def closed(identity: ModelIdentity, route: str, model: str) -> None:
        require_not_halted(paths)
        await gate(identity, route, model)

    return closed


@dataclass(frozen=True, slots=True)
class PublicOptions:
    """How the listener behaves.

    Attributes:
        keys: who may call; None lets every program of this machine in.
        loopback: the listener is bound to loopback only; the ``Host`` must then name this machine.
        quota: answers ``GET /usage``; None when nobody can.
        catalogue: the provider's models; one of the listener's own when left out.
    """

    keys: ClientKeys | None = None
    loopback: bool = True
    quota: CopilotQuota | None = None
    catalogue: ModelCatalogue | None = None


def public_app(
    proxy: ModelProxy,
    identity: ModelIdentity,
    options: PublicOptions | None = None,
    *,
    clock: Clock = SYSTEM_CLOCK,
) -> AsgiApp:
    """The listener's application.

    A web page must not reach it: requests with an ``Origin``, or with a ``Host`` that is not this machine (DNS
    rebinding), are refused.

    Args:
        proxy: does the calls.
        identity: in whose name all its callers call.
        options: see there.
        clock: for the age of the list of models.
    """
    return _PublicApi(proxy, identity, options or PublicOptions(), clock)


class _PublicApi:
    def __init__(self, proxy: ModelProxy, identity: ModelIdentity, options: PublicOptions, clock: Clock) -> None:
        self._proxy = proxy
        self._identity = identity
        self._options = options
        self._catalogue = options.catalogue or ModelCatalogue(proxy, identity, clock=clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await close_other(scope, send)
            return
        path = str(scope["path"])
        bare = path.removeprefix("/v1")
        dialect: Dialect = "anthropic" if bare.startswith("/messages") else "openai"
        try:
            self._let_in(scope["headers"], path)
            if path.startswith("/v1/messages") or bare in _CALLS or bare == "/messages/count_tokens":
                await self._model_call(bare, scope, receive, send)
            else:
                await self._question(path, bare, scope["method"], send)
        except GatewayError as error:
            await fail(send, dialect, error)
        except Exception:  # noqa: BLE001 - whatever happens, the next caller is served
            _log.exception("model_api.failed", path=path[:80])
            await fail(send, dialect, Internal("internal error of the gateway; its log has the reason"))

    def _let_in(self, headers: Iterable[tuple[bytes, bytes]], path: str) -> None:
        headers = list(headers)
        _refuse_browsers(headers, loopback=self._options.loopback)
        if self._options.keys is not None and path != "/":
            self._options.keys.check(headers)

    async def _model_call(self, bare: str, scope: Scope, receive: Receive, send: Send) -> None:
        if bare == "/messages/count_tokens":
            if scope["method"] != "POST":
                raise Invalid("count_tokens takes POST only", code="model.method")
            body = parse_body(await read_body(receive, _MAX_COUNTED_BYTES))
            await answer_json(send, {"input_tokens": estimate_tokens(body)})
            return
        route = _CALLS.get(bare)
        if route is None:
            raise NotFound("there is no such path here; docs/model-api.md lists them", code="model.no_route")
        adapter = adapter_for(route, self._catalogue.facts)
        await self._proxy.handle(self._identity, route, scope, receive, send, adapter)

    async def _question(self, path: str, bare: str, method: str, send: Send) -> None:
        reads = method in {"GET", "HEAD"}
        if path == "/" and reads:
            await answer(send, 200, b"Server running", TEXT)
        elif bare == "/models" and reads:
            await answer_json(send, await self._catalogue.listing())
        elif bare.startswith("/models/") and reads:
            await answer_json(send, await self._catalogue.one(bare.removeprefix("/models/")))
        elif path == "/usage" and reads and self._options.quota is not None:
            await answer_json(send, await self._options.quota.usage())
        elif path == "/token":
            raise NotFound("no path here shows a token; for signing in see docs/model-api.md", code="model.no_route")
        else:
            raise NotFound(
                f"there is no {method} of that path here; docs/model-api.md lists them", code="model.no_route"
            )


def _refuse_browsers(headers: Iterable[tuple[bytes, bytes]], *, loopback: bool) -> None:
    hosts = [value.decode("latin-1").lower() for name, value in headers if name == b"host"]
    if any(name == b"origin" for name, _ in headers):
        raise Denied("requests from web pages are refused (they carry an Origin header)", code="model.origin")
    if loopback and (len(hosts) != 1 or _hostname(hosts[0]) not in _LOOPBACK_HOSTS):
        raise Denied("the Host header must name this machine: localhost, 127.0.0.1 or [::1]", code="model.host")


def _hostname(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host
