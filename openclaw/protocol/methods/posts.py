"""Methods of our own about posts: what waits for an approval, the calendar, the history."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import Field

from openclaw.config import OPERATOR
from openclaw.protocol import events
from openclaw.protocol.frames import NonEmpty, Wire
from openclaw.protocol.registry import Call, Method
from openclaw.protocol.scopes import APPROVALS
from openclaw.services import PostsGateway
from shared.clock import unix_ms
from shared.errors import Unavailable
from shared.gatewayclient.models import PostAnswer, PostCard, PostChange, PostInfo

_MOST: Final = 500


class ListParams(Wire):
    """``posts.list``."""

    state: str = ""
    limit: Annotated[int, Field(ge=1, le=_MOST)] = 200


class IdParams(Wire):
    """``posts.show``, ``posts.cancel``."""

    id: NonEmpty


class ThumbnailParams(IdParams):
    """``posts.thumbnail``; the number is one of the post's ``thumbnails``."""

    number: Annotated[int, Field(ge=1, le=51)]


class AnswerParams(IdParams):
    """``posts.approve``, ``posts.reject``; the digest is that of the post that was looked at."""

    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{12,64}$")]
    reason: Annotated[str, Field(max_length=500)] = ""


class ScheduleParams(IdParams):
    """``posts.schedule``."""

    at_ms: Annotated[int, Field(ge=0, le=1 << 42)]


class EditParams(IdParams):
    """``posts.edit``."""

    text: Annotated[str, Field(max_length=20_000)]


class RetryParams(IdParams):
    """``posts.retry``."""

    allow_duplicate: bool = False


class DeleteParams(IdParams):
    """``posts.delete``; the digest is that of the post that was looked at."""

    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{12,64}$")]


class ResolveParams(IdParams):
    """``posts.resolve``."""

    posted: bool
    media_id: Annotated[str, Field(pattern=r"^[0-9]{0,40}$")] = ""


def payload(info: PostInfo) -> dict[str, Any]:
    """A post on the wire."""
    return {
        "id": info.id,
        "network": info.network,
        "account": info.account,
        "group": info.group or None,
        "kind": info.kind,
        "text": info.text,
        "length": info.length,
        "limit": info.limit,
        "extras": info.extras,
        "media": list(info.media),
        "thumbnails": list(info.thumbnails),
        "state": info.state,
        "errorCode": info.error_code or None,
        "summary": info.summary,
        "digest": info.digest,
        "mediaId": info.media_id or None,
        "permalink": info.permalink or None,
        "approvedBy": info.approved_by or None,
        "createdAtMs": unix_ms(info.created_at),
        "dueAtMs": unix_ms(info.due_at),
        "publishedAtMs": _moment(info.published_at),
    }


def _moment(value: datetime | None) -> int | None:
    return None if value is None else unix_ms(value)


def telling(emit: Callable[[str, dict[str, Any]], None]) -> Callable[[PostCard], None]:
    """A listener that tells clients of every post that changed."""
    return lambda card: emit(events.POST_CHANGED, payload(card.post))


def _posts(call: Call) -> PostsGateway:
    posts = call.services.posts
    if posts is None:
        raise Unavailable(
            "this OpenClaw runs without the gateway: there are no posts", code="posts.off", retryable=False
        )
    return posts


async def _list(call: Call, params: ListParams) -> object:
    infos = await _posts(call).all_posts(params.state, params.limit)
    return {"posts": [payload(info) for info in infos]}


async def _show(call: Call, params: IdParams) -> object:
    details = await _posts(call).post_details(params.id)
    return {"post": payload(details.post), "history": list(details.history)}


async def _thumbnail(call: Call, params: ThumbnailParams) -> object:
    data = await _posts(call).post_thumbnail(params.id, params.number)
    # In the answer itself: an address would need a login of its own, or be open to whoever knows it.
    return {"dataUrl": f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"}


def _who(call: Call) -> str:
    client = call.grant.client
    return (client.display_name or client.id)[:60]


async def _approve(call: Call, params: AnswerParams) -> object:
    answer = PostAnswer(answer="approve", digest=params.digest, approver=OPERATOR, name=_who(call))
    return {"post": payload(await _posts(call).answer_post(params.id, answer))}


async def _reject(call: Call, params: AnswerParams) -> object:
    answer = PostAnswer(answer="reject", digest=params.digest, approver=OPERATOR, name=_who(call), reason=params.reason)
    return {"post": payload(await _posts(call).answer_post(params.id, answer))}


async def _change(call: Call, post_id: str, change: PostChange) -> object:
    return {"post": payload(await _posts(call).change_post(post_id, change))}


async def _cancel(call: Call, params: IdParams) -> object:
    return await _change(call, params.id, PostChange(action="cancel", by=_who(call)))


async def _schedule(call: Call, params: ScheduleParams) -> object:
    at = datetime.fromtimestamp(params.at_ms / 1000, UTC)
    return await _change(call, params.id, PostChange(action="schedule", by=_who(call), at=at))


async def _edit(call: Call, params: EditParams) -> object:
    return await _change(call, params.id, PostChange(action="edit", by=_who(call), text=params.text))


async def _retry(call: Call, params: RetryParams) -> object:
    change = PostChange(action="retry", by=_who(call), allow_duplicate=params.allow_duplicate)
    return await _change(call, params.id, change)


async def _delete(call: Call, params: DeleteParams) -> object:
    return await _change(call, params.id, PostChange(action="delete", by=_who(call), digest=params.digest))


async def _resolve(call: Call, params: ResolveParams) -> object:
    change = PostChange(action="resolve", by=_who(call), posted=params.posted, media_id=params.media_id)
    return await _change(call, params.id, change)


METHODS = (
    Method("posts.list", APPROVALS, _list, params=ListParams, advertised=False),
    Method("posts.show", APPROVALS, _show, params=IdParams, advertised=False),
    Method("posts.thumbnail", APPROVALS, _thumbnail, params=ThumbnailParams, advertised=False),
    Method("posts.approve", APPROVALS, _approve, params=AnswerParams, advertised=False),
    Method("posts.reject", APPROVALS, _reject, params=AnswerParams, advertised=False),
    Method("posts.cancel", APPROVALS, _cancel, params=IdParams, advertised=False),
    Method("posts.schedule", APPROVALS, _schedule, params=ScheduleParams, advertised=False),
    Method("posts.edit", APPROVALS, _edit, params=EditParams, advertised=False),
    Method("posts.retry", APPROVALS, _retry, params=RetryParams, advertised=False),
    Method("posts.delete", APPROVALS, _delete, params=DeleteParams, advertised=False),
    Method("posts.resolve", APPROVALS, _resolve, params=ResolveParams, advertised=False),
)
