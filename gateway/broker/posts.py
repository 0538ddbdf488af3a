"""What a tenant's agents may ask about posts: publish one, see their own."""

from __future__ import annotations

from typing import Any

from litestar import Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler

from gateway.broker.auth import Caller
from gateway.social.service import Social
from gateway.social.views import info_of
from shared.errors import Denied, Invalid
from shared.gatewayclient.models import PostInfo, PostRequest
from shared.ids import parse_name

_LATEST = 20


def _social(state: State) -> Social:
    social: Social | None = state["services"].social
    if social is None:
        raise Denied("posting is not available here", code="social.off")
    return social


def _caller(request: Request[Any, Any, Any]) -> Caller:
    caller: Caller = request.scope["state"]["caller"]
    return caller


def _group(request: Request[Any, Any, Any]) -> str:
    return parse_name("group", request.query_params.get("group", ""))


@post("/v1/posts", status_code=200)
async def submit(request: Request[Any, Any, Any], state: State, data: JSONBody[PostRequest]) -> PostInfo:
    """Hand over a post; the tenant speaks for one of its groups, and policy says which may."""
    if not data.group:
        raise Invalid("group is missing: a tenant asks for one of its groups")
    return await _social(state).submit(_caller(request).tenant, "agent", data)


@get("/v1/posts")
async def latest(request: Request[Any, Any, Any], state: State) -> list[PostInfo]:
    """A group's latest posts."""
    jobs = await _social(state).store.jobs(tenant=_caller(request).tenant, group=_group(request), limit=_LATEST)
    return [info_of(job) for job in jobs]


@get("/v1/posts/{post_id:str}")
async def show(request: Request[Any, Any, Any], state: State, post_id: FromPath[str]) -> PostInfo:
    """One of a group's posts."""
    job, _ = await _social(state).find(post_id, tenant=_caller(request).tenant, group=_group(request))
    return info_of(job)


def post_routes() -> list[ControllerRouterHandler]:
    """All of them."""
    return [submit, latest, show]
