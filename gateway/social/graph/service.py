"""Answers an agent's calls to the Graph hosts: GET passes with the real token, posting goes to the publication machine.

A container exists here only until it is published; publishing it hands the post over under a key made of its id. So
policy, approval, quota and "once" are those of every other post, and publishing one again says what became of it.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from datetime import timedelta
from typing import Final, Protocol
from urllib.parse import quote, urlencode

from pydantic import ValidationError

from gateway.social.graph.guard import decide_fields, decide_path, without_tokens
from gateway.social.graph.models import Draft, GraphAnswer, GraphCall
from gateway.social.graph.store import DraftStore
from gateway.social.models import DROPPED, Job
from gateway.social.service import Social
from gateway.social.views import summary_of
from shared.clock import Clock
from shared.errors import AuthRequired, GatewayError
from shared.gatewayclient.models import PostRequest
from shared.secrets.files import Secret
from shared.social.models import TITLES, Content, Media, Network

AGENT_GROUP: Final = "main"
"""Under this name policies/social.toml knows the agent whose commands call."""

OWN_FILES: Final = "a file of your own is posted with the tool publish_post, which takes it in `files`"

DRAFT_LIFE: Final = timedelta(hours=24)
_WAIT_S: Final = 40.0
_LOOK_S: Final = 0.5
_VERSION: Final = r"(?:/v\d+\.\d+)?"
_CREATE: Final = {
    "threads": re.compile(rf"{_VERSION}/(?:me|\d+)/threads"),
    "instagram": re.compile(rf"{_VERSION}/(?:me|\d+)/media"),
}
_PUBLISH: Final = re.compile(rf"{_VERSION}/(?:me|\d+)/(?:threads|media)_publish")
_NODE: Final = re.compile(rf"{_VERSION}/(\d+)")
_TAKEN: Final = frozenset(
    {"media_type", "text", "caption", "image_url", "video_url", "alt_text", "is_carousel_item", "children"}
    | {"reply_to_id", "topic_tag", "link_attachment", "user_tags", "cover_url", "thumb_offset", "share_to_feed"}
)
_BAD, _PERMISSION, _SERVICE, _TOKEN = 100, 10, 2, 190


class GraphReader(Protocol):
    """Reads from a network as it is."""

    async def read(self, network: Network, path: str, token: Secret) -> tuple[int, bytes]:
        """Status and body of a GET; raises `Unavailable`."""
        ...


class GraphService:
    """The Graph hosts of all tenants.

    Args:
        social: publishes.
        drafts: containers that are not published.
        reader: reads from the networks.
        clock: for the drafts' life.
    """

    def __init__(self, social: Social, drafts: DraftStore, reader: GraphReader, clock: Clock) -> None:
        self._social = social
        self._drafts = drafts
        self._reader = reader
        self._clock = clock

    async def answer(self, call: GraphCall) -> GraphAnswer:
        """Answer one call; whatever goes wrong is an answer in the networks' own shape."""
        try:
            return await self._answer(call)
        except AuthRequired as error:
            return GraphAnswer.refusal(error.detail, _TOKEN)
        except GatewayError as error:
            hint = f"; {OWN_FILES}" if error.code in {"media_unreachable", "media_required"} else ""
            return GraphAnswer.refusal(f"{error.detail} ({error.code}){hint}", _BAD)
        except json.JSONDecodeError:
            return GraphAnswer.refusal('user_tags: a JSON list such as [{"username": "ana", "x": 0.5, "y": 0.2}]', _BAD)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            return GraphAnswer.refusal(f"{place}: {first['msg']}", _BAD)

    async def _answer(self, call: GraphCall) -> GraphAnswer:
        title = TITLES[call.network]
        if reason := decide_path(call.path):
            return GraphAnswer.refusal(reason, _PERMISSION)
        if call.method == "GET":
            return await self._get(call)
        if call.method == "POST" and _CREATE[call.network].fullmatch(call.path):
            return await self._create(call)
        if call.method == "POST" and _PUBLISH.fullmatch(call.path):
            return await self._publish(call)
        return GraphAnswer.refusal(
            f"{call.method} {call.path} is not open to agents at {title}: reading is, and posting by creating a "
            "container and publishing it; ask the person for everything else",
            _PERMISSION,
        )

    async def _get(self, call: GraphCall) -> GraphAnswer:
        if (found := _NODE.fullmatch(call.path)) and (draft := await self._drafts.get(call.tenant, found[1])):
            return await self._status(draft)
        if reason := decide_fields(call.fields):
            return GraphAnswer.refusal(reason, _PERMISSION)
        rule = self._social.policy.rule(call.tenant, call.network)
        if rule is None or not rule.lets(AGENT_GROUP):
            title = TITLES[call.network]
            detail = f"policies/social.toml does not let the agent of {call.tenant} use {title} (posting_not_allowed)"
            return GraphAnswer.refusal(detail, _PERMISSION)
        token = await self._social.token(call.tenant, call.network)
        query = f"?{urlencode(call.fields)}" if call.fields else ""
        status, body = await self._reader.read(call.network, quote(call.path, safe="/.:@,~-_") + query, token)
        clean = without_tokens(body, token)
        if clean is None:
            return GraphAnswer.refusal(f"{TITLES[call.network]} answered {status} and no JSON: try later", _SERVICE)
        return GraphAnswer(status, clean)

    async def _create(self, call: GraphCall) -> GraphAnswer:
        form = dict(call.fields)
        if form.pop("auto_publish_text", "false").lower() not in {"false", "0", ""}:
            return GraphAnswer.refusal("auto_publish_text is not available: create, then publish the container", _BAD)
        if unknown := sorted(form.keys() - _TAKEN):
            return GraphAnswer.refusal(f"the gateway does not take {', '.join(unknown)}: leave it out", _BAD)
        draft = Draft(
            "9" + "".join(secrets.choice("0123456789") for _ in range(17)),
            call.tenant,
            call.network,
            form,
            created_at=self._clock.now(),
        )
        content = await self._content(draft)
        if form.get("is_carousel_item") != "true":
            # What is refused here need not wait for the publishing.
            request = PostRequest(content=content, group=AGENT_GROUP, dry_run=True)
            await self._social.submit(call.tenant, "agent", request)
        await self._drafts.add(draft)
        return GraphAnswer.of({"id": draft.draft_id})

    async def _content(self, draft: Draft) -> Content:
        form, media = draft.form, list[Media]()
        for child_id in filter(None, form.get("children", "").split(",")):
            child = await self._drafts.get(draft.tenant, child_id.strip())
            media += _media_of(child.form) if child is not None and child.network == draft.network else []
        return Content(
            network=draft.network,
            text=form.get("text") or form.get("caption") or "",
            media=tuple(media or _media_of(form)),
            reply_to=form.get("reply_to_id", ""),
            topic_tag=form.get("topic_tag", ""),
            link=form.get("link_attachment", ""),
            story=form.get("media_type") == "STORIES",
            cover=Media(url=form["cover_url"]) if form.get("cover_url") else None,
            thumb_offset_ms=form.get("thumb_offset") or None,
            share_to_feed=form.get("share_to_feed") or None,
        )

    async def _publish(self, call: GraphCall) -> GraphAnswer:
        draft = await self._drafts.get(call.tenant, call.fields.get("creation_id", ""))
        if draft is None or draft.network != call.network or self._is_old(draft):
            return GraphAnswer.refusal("creation_id names no container made in the last 24 hours", 24)
        request = PostRequest(
            content=await self._content(draft), group=AGENT_GROUP, idempotency_key=f"graph.{draft.draft_id}"
        )
        info = await self._social.submit(call.tenant, "agent", request)
        await self._drafts.became(draft.draft_id, info.id)
        return _published(await self._settled(info.id))

    async def _settled(self, post_id: str) -> Job:
        """The publication, once it is clear what became of it or a person is waited for, or after a while."""
        deadline = asyncio.get_running_loop().time() + _WAIT_S
        while True:
            job, _ = await self._social.find(post_id)
            is_open = job.state not in {"awaiting_approval", "scheduled", "published", "needs_attention", *DROPPED}
            if not is_open or asyncio.get_running_loop().time() > deadline:
                return job
            await asyncio.sleep(_LOOK_S)

    async def _status(self, draft: Draft) -> GraphAnswer:
        state, detail = "EXPIRED" if self._is_old(draft) else "FINISHED", ""
        if draft.post_id:
            job, _ = await self._social.find(draft.post_id)
            state = "PUBLISHED" if job.state == "published" else "ERROR" if job.state in DROPPED else "IN_PROGRESS"
            detail = "" if job.state == "published" else summary_of(job)
        names = ("status", "error_message") if draft.network == "threads" else ("status_code", "status")
        return GraphAnswer.of({"id": draft.draft_id, names[0]: state} | ({names[1]: detail} if detail else {}))

    def _is_old(self, draft: Draft) -> bool:
        return draft.created_at is not None and self._clock.now() - draft.created_at > DRAFT_LIFE


def _media_of(form: dict[str, str]) -> list[Media]:
    url = form.get("image_url") or form.get("video_url")
    if not url:
        return []
    # A wrong one is refused by the model, in words.
    people = json.loads(form.get("user_tags") or "[]")
    return [Media(url=url, alt_text=form.get("alt_text", ""), people=people)]


def _published(job: Job) -> GraphAnswer:
    if job.state == "published" and job.media_id:
        return GraphAnswer.of({"id": job.media_id})
    advice = "Do not create or publish it again under another container; publishing this one again says how it stands."
    detail = f"{job.id} {summary_of(job)}. {advice}"
    is_over = job.state in DROPPED
    return GraphAnswer.refusal(detail, _PERMISSION if is_over else _SERVICE, is_transient=not is_over)
