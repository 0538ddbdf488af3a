"""What workers and tenants find on their sockets. The listener on 4141 is in `gateway.modelproxy.public`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from gateway.modelproxy.adapters import adapter_for
from gateway.modelproxy.catalogue import ModelCatalogue
from gateway.modelproxy.identity import ModelIdentity
from gateway.modelproxy.plain import answer_json, close_other, fail
from gateway.modelproxy.proxy import ModelProxy, Receive, Scope, Send
from gateway.modelproxy.public import PublicOptions, public_app
from shared.errors import Denied, NotFound

__all__ = ["PublicOptions", "public_app", "tenant_models", "worker_app"]

AsgiApp = Callable[[Any, Any, Any], Any]


def worker_app(proxy: ModelProxy, lookup: Callable[[str], ModelIdentity | None]) -> AsgiApp:
    """What a worker finds on its socket: the Messages API and nothing else.

    Args:
        proxy: does the calls.
        lookup: identity of a worker by id, which comes from the socket (``scope["state"]["worker"]``).
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await close_other(scope, send)
            return
        method, path = scope["method"], scope["path"]
        identity = lookup(str(scope["state"].get("worker", "")))
        if identity is None:
            await fail(send, "anthropic", Denied("this socket belongs to no worker any more", code="model.worker"))
        elif method == "POST" and path == "/v1/messages":
            await proxy.handle(identity, "messages", scope, receive, send)
        elif method in {"HEAD", "GET"} and path == "/api/hello":
            await answer_json(send, {})
        else:
            await fail(send, "anthropic", NotFound(f"no {method} {path} here", code="model.no_route"))

    return app


def tenant_models(proxy: ModelProxy, catalogue: ModelCatalogue) -> Callable[..., Awaitable[None]]:
    """The model routes of a tenant's socket, as the broker calls them.

    Args:
        proxy: does the calls.
        catalogue: says which of Copilot's models speak Messages themselves; for the others they are translated.
    """

    async def handle(identity: ModelIdentity, route: str, scope: Scope, receive: Receive, send: Send) -> None:
        # A tenant says itself what it wants of a chat completion; Messages need to know the model.
        adapter = adapter_for(route, catalogue.facts) if route == "copilot/messages" else None
        await proxy.handle(identity, route, scope, receive, send, adapter)

    return handle
