"""What a tenant's agents may ask about posts: publish one, see their own."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler

from gateway.broker.auth import Caller
from gateway.social.cards import asked_cards
from gateway.social.embedding import Embed
from gateway.social.hosting.models import TYPES, extension_of
from gateway.social.hosting.service import read_facts
from gateway.social.service import Social
from gateway.social.views import history_of, info_of
from shared.errors import Denied, Invalid
from shared.gatewayclient.models import (
    KeptFile,
    PostAnswer,
    PostCard,
    PostChange,
    PostDetails,
    PostEmbed,
    PostInfo,
    PostRequest,
)
from shared.ids import parse_name

_LATEST = 20
_LONGEST_WAIT_S = 50
_LARGEST_FILE = 100 << 20
_DIGITS = 6
_MOST_PICTURES = 51


def _social(state: State) -> Social:
    social: Social | None = state["services"].social
    if social is None:
        raise Denied("posting is not available here", code="social.off")
    return social


def _caller(request: Request[Any, Any, Any]) -> Caller:
    caller: Caller = request.scope["state"]["caller"]
    return caller


def _require_posting(social: Social, tenant: str) -> None:
    if not social.policy.groups_of(tenant):
        raise Denied(f"policies/social.toml does not let {tenant} post", code="posting_not_allowed")


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


@get("/v1/posts/all")
async def everything(request: Request[Any, Any, Any], state: State) -> list[PostInfo]:
    """All of the tenant's posts, for its Control UI; the youngest first."""
    query = request.query_params
    jobs = await _social(state).store.jobs(
        tenant=_caller(request).tenant, state=query.get("state", ""), limit=_number(query.get("limit", ""), 200)
    )
    return [info_of(job) for job in jobs]


@get("/v1/posts/embed")
async def embed(request: Request[Any, Any, Any], state: State) -> PostEmbed:
    """How a public post is embedded in a page; for tenants that may post."""
    tenant = _caller(request).tenant
    _require_posting(_social(state), tenant)
    ask: Embed = state["services"].embed
    return await ask(tenant, request.query_params.get("url", ""))


@get("/v1/posts/cards")
async def cards(request: Request[Any, Any, Any], state: State) -> list[PostCard]:
    """What a tenant's people were asked lately, as soon as it differs from what the tenant has seen."""
    social, tenant = _social(state), _caller(request).tenant
    wait_s = float(_number(request.query_params.get("wait", ""), _LONGEST_WAIT_S))
    return await asked_cards(social, tenant, seen=request.query_params.get("seen", ""), wait_s=wait_s)


@get("/v1/posts/{post_id:str}/details")
async def details(request: Request[Any, Any, Any], state: State, post_id: FromPath[str]) -> PostDetails:
    """One of the tenant's posts with its history, for its Control UI."""
    job, events = await _social(state).find(post_id, tenant=_caller(request).tenant)
    return PostDetails(post=info_of(job), history=tuple(history_of(events)))


@get("/v1/posts/{post_id:str}/thumbnail")
async def thumbnail(request: Request[Any, Any, Any], state: State, post_id: FromPath[str]) -> Response[bytes]:
    """One of a post's pictures in small, for the tenant's Control UI; never fetched by whoever looks at it."""
    number = _number(request.query_params.get("number", ""), _MOST_PICTURES)
    data = await _social(state).thumbnail(_caller(request).tenant, post_id, number)
    headers = {"content-security-policy": "default-src 'none'; sandbox", "x-content-type-options": "nosniff"}
    return Response(data, media_type="image/jpeg", headers=headers)


@post("/v1/posts/{post_id:str}/answer", status_code=200)
async def answer(
    request: Request[Any, Any, Any], state: State, post_id: FromPath[str], data: JSONBody[PostAnswer]
) -> PostInfo:
    """A person pressed a button of a card, or decided in the Control UI; policy says whose answer counts."""
    return info_of(await _social(state).answer(_caller(request).tenant, post_id, data))


@post("/v1/posts/{post_id:str}/change", status_code=200)
async def change(
    request: Request[Any, Any, Any], state: State, post_id: FromPath[str], data: JSONBody[PostChange]
) -> PostInfo:
    """What an operator does in the Control UI, where policy lets it decide."""
    return info_of(await _social(state).change(_caller(request).tenant, post_id, data))


@post("/v1/posts/{post_id:str}/unshown", status_code=204)
async def unshown(request: Request[Any, Any, Any], state: State, post_id: FromPath[str]) -> None:
    """No approver could be shown the card: the owner is told in words."""
    job, _ = await _social(state).find(post_id, tenant=_caller(request).tenant)
    _social(state).remind(job)


@post("/v1/media", status_code=200, request_max_body_size=_LARGEST_FILE)
async def keep_file(request: Request[Any, Any, Any], state: State) -> KeptFile:
    """Take a file that is to be posted; its name is in the query, its bytes are the body."""
    social, tenant = _social(state), _caller(request).tenant
    name = request.query_params.get("name", "file")
    _require_posting(social, tenant)
    body = await request.body()
    if request.query_params.get("convert") == "yes" and not extension_of(read_facts(body)):
        kept = await social.host.keep_as_jpeg(tenant, name, body)
    else:
        kept = await social.host.keep(tenant, name, body)
    return KeptFile(media_id=kept.media_id, url=kept.url, name=kept.name, kind=kept.kind, size=kept.size)


@get("/v1/media/{media_id:str}")
async def read_file(request: Request[Any, Any, Any], state: State, media_id: FromPath[str]) -> Response[bytes]:
    """One of the tenant's files, for the card that shows it."""
    kept, data = await _social(state).host.read(_caller(request).tenant, media_id)
    return Response(data, media_type=TYPES[kept.extension], headers={"x-name": quote(kept.name)})


def _number(text: str, most: int) -> int:
    return min(int(text), most) if text.isdecimal() and len(text) < _DIGITS else most


def post_routes() -> list[ControllerRouterHandler]:
    """All of them."""
    asked = [show, details, thumbnail, answer, change, unshown]
    return [submit, latest, everything, cards, embed, *asked, keep_file, read_file]
