"""The publishing calls of one network. Source: reference notes on the Meta APIs, §3 §5 §9."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from html import escape
from urllib.parse import urlsplit

from gateway.sandbox.meta.auth import graph_error, live_grant
from gateway.sandbox.meta.posts import Container, Fetched, MetaPosts, Post
from gateway.sandbox.meta.tokens import ACCOUNTS, MetaTokens, Network
from gateway.sandbox.models.consent import query_of
from gateway.sandbox.models.wire import Operation, Reply, Request
from shared.errors import GatewayError
from shared.http.pinned import PinnedHttp
from shared.social.images import read_image
from shared.social.videos import is_video as is_video_file

_LOOPBACK = frozenset({"127.0.0.1", "localhost"})
_KEPT_BYTES = 2 << 20
_CRAWLER = b"facebookexternalhit/1.1"
_LIST_KINDS: dict[str, str] = {
    "TEXT": "TEXT_POST",
    "IMAGE": "IMAGE",
    "VIDEO": "VIDEO",
    "REELS": "VIDEO",
    "CAROUSEL": "CAROUSEL_ALBUM",
}
_PUBLISH_SCOPE: dict[Network, str] = {
    "threads": "threads_content_publish",
    "instagram": "instagram_business_content_publish",
}
_CREATE: dict[Network, str] = {"threads": "threads", "instagram": "media"}
_QUOTA: dict[Network, str] = {"threads": "threads_publishing_limit", "instagram": "content_publishing_limit"}
_CHILDREN: dict[Network, int] = {"threads": 20, "instagram": 10}
_ME = r"(?:me|[0-9]+)"

Call = Callable[[Request], Awaitable[Reply]]


class Publishing:
    """Finds and answers the publishing calls under a network's address."""

    def __init__(self, network: Network, version: str, tokens: MetaTokens, posts: MetaPosts) -> None:
        self._network: Network = network
        self._tokens = tokens
        self._posts = posts
        self._http = PinnedHttp()
        create = _CREATE[network]
        table: list[tuple[str, str, str, Call]] = [
            ("POST", rf"{_ME}/{create}", "create", self._create),
            ("POST", rf"{_ME}/{create}_publish", "publish", self._publish),
            ("GET", rf"{_ME}/{create}", "list", self._list),
            ("GET", rf"{_ME}/{_QUOTA[network]}", "quota", self._quota),
            ("GET", r"[0-9]+/insights", "insights", self._insights),
            ("GET", r"[0-9]+", "read", self._read),
        ]
        if network == "threads":
            table += [("GET", rf"{_ME}/replies", "replies", self._list), ("DELETE", r"[0-9]+", "delete", self._delete)]
        else:
            table += [("GET", rf"{_ME}/stories", "list", self._list)]
        self._table = [(method, re.compile(f"/{version}/{path}"), name, call) for method, path, name, call in table]

    def _embed(self, path: str) -> Operation:
        async def answer(request: Request) -> Reply:
            url = query_of(request).get("url", "")
            post = next((post for post in self._posts.posts(self._network) if f"/{post.media_id}" in url), None)
            if self._posts.behaviour.embed_token and not request.bearer():
                return graph_error("Application does not have permission for this action", 10)
            if post is None:
                return graph_error("The requested resource does not exist", 24)
            html = f"<blockquote>{escape(post.text)}</blockquote><script async></script>"
            return Reply.of({"type": "rich", "version": "1.0", "html": html, "width": 658})

        return Operation("GET", path, "oembed", answer)

    def find(self, method: str, path: str) -> Operation | None:
        """The operation meant by a request; a container's and a post's reading are told apart by the id."""
        if method == "GET" and path.endswith("oembed"):
            return self._embed(path)
        for known, pattern, name, call in self._table:
            if known == method and pattern.fullmatch(path):
                if name == "read":
                    is_container = self._posts.container(self._network, path.rpartition("/")[2]) is not None
                    name = "status" if is_container else "media"
                return Operation(method, path, name, self._let_in(call))
        return None

    def _let_in(self, call: Call) -> Call:
        async def answer(request: Request) -> Reply:
            value = request.bearer() or query_of(request).get("access_token", "")
            grant = live_grant(self._tokens, self._network, value)
            if isinstance(grant, Reply):
                return grant
            if request.method == "POST" and _PUBLISH_SCOPE[self._network] not in grant.scopes:
                return graph_error("Application does not have permission for this action", 10)
            reply = await call(request)
            used = self._posts.used(self._network)
            usage = f'{{"call_count":{min(99, used)},"total_time":1,"total_cputime":1}}'
            return Reply(reply.status, reply.body, reply.content_type, {**reply.headers, "x-app-usage": usage})

        return answer

    async def _create(self, request: Request) -> Reply:
        form = request.form()
        if not self._posts.has_room(self._network):
            return graph_error("Too many containers", 9, subcode=2207042)
        container = Container(
            container_id="",
            network=self._network,
            kind=form.get("media_type", "IMAGE"),
            text=form.get("text", "") or form.get("caption", ""),
            created_at=self._posts.now,
            urls=tuple(form[name] for name in ("image_url", "video_url") if form.get(name)),
            is_video=bool(form.get("video_url")),
            children=tuple(form["children"].split(",")) if form.get("children") else (),
            reply_to=form.get("reply_to_id", ""),
            is_item=form.get("is_carousel_item") == "true",
        )
        problem = self._refuse(container) or await self._download(container)
        if not problem and form.get("cover_url") and await self._fetch(form["cover_url"], is_video=False):
            problem = graph_error("The cover could not be fetched or used", 9004, subcode=2207052)
        return problem or Reply.of({"id": self._posts.add(container).container_id})

    def _refuse(self, container: Container) -> Reply | None:
        match container.kind:
            case "TEXT" if self._network == "threads":
                return None if container.text else graph_error("Param text is required", 100)
            case "IMAGE" if not container.is_video:
                return None if container.urls else graph_error("Param image_url is required", 100)
            case "STORIES" if self._network == "instagram" and not container.text:
                return None if container.urls else graph_error("Param image_url or video_url is required", 100)
            case "REELS" if self._network == "instagram" and not container.is_item:
                return None if container.is_video else graph_error("Param video_url is required", 100)
            case "VIDEO" if self._network == "threads" or container.is_item:
                return None if container.is_video else graph_error("Param video_url is required", 100)
            case "CAROUSEL":
                return self._refuse_children(container.children)
        return graph_error(f"Param media_type: {container.kind} is not supported here", 100, subcode=2207023)

    def _refuse_children(self, children: tuple[str, ...]) -> Reply | None:
        if not 2 <= len(children) <= _CHILDREN[self._network]:
            return graph_error("Wrong number of children", 100, subcode=2207028)
        for child in children:
            found = self._posts.container(self._network, child)
            if found is None or not found.is_item or not self._posts.is_ready(found) or self._posts.is_expired(found):
                return graph_error("Param children: not all of them are ready", 100)
        return None

    async def _download(self, container: Container) -> Reply | None:
        """Fetch the picture as the crawler does; Instagram complains at once, Threads in the status."""
        for url in container.urls:
            if problem := await self._fetch(url, is_video=container.is_video):
                if self._network == "instagram":
                    code, subcode = (36001, 2207005) if problem == "format" else (9004, 2207052)
                    return graph_error("The media could not be fetched or used", code, subcode=subcode)
                container.problem = "UNKNOWN"
        return None

    async def _fetch(self, url: str, *, is_video: bool) -> str:
        if not self._posts.behaviour.fetches:
            return ""
        if urlsplit(url).hostname not in _LOOPBACK:
            return "unreachable"
        headers = ((b"User-Agent", _CRAWLER), (b"Range", b"bytes=0-"))
        try:
            call = self._http.stream("GET", url, address="127.0.0.1", headers=headers, timeout_s=10.0)
            async with call as answer:
                kind, body = answer.header("content-type"), await answer.read(16 << 20)
        except GatewayError:
            return "unreachable"
        self._posts.fetched.append(
            Fetched(url, answer.status, kind, len(body), body if len(body) <= _KEPT_BYTES else b"")
        )
        if answer.status not in {200, 206} or not kind.startswith("video/" if is_video else "image/"):
            return "unreachable"
        if is_video:
            return "" if is_video_file(body) else "format"
        known = {"jpeg"} if self._network == "instagram" else {"jpeg", "png"}
        return "" if read_image(body).format in known else "format"

    async def _publish(self, request: Request) -> Reply:
        container = self._posts.container(self._network, request.form().get("creation_id", ""))
        if container is None or container.is_item or self._posts.is_expired(container):
            return self._gone()
        if container.media_id:
            return self._publish_again(container)
        if not self._posts.is_ready(container):
            if self._network == "instagram":
                return graph_error("Media ID is not available", 9007, subcode=2207027)
            return self._gone()
        if self._posts.used(self._network) >= self._posts.behaviour.quota[self._network]:
            return graph_error("Application request limit reached", 9, subcode=2207042)
        return Reply.of({"id": self._posts.put_online(container).media_id})

    def _publish_again(self, container: Container) -> Reply:
        match self._posts.behaviour.republish:
            case "same_id":
                return Reply.of({"id": container.media_id})
            case "duplicate":
                return Reply.of({"id": self._posts.put_online(container).media_id})
        return self._gone()

    def _gone(self) -> Reply:
        subcode = 4279009 if self._network == "threads" else 2207006
        return graph_error("The requested resource does not exist", 24, subcode=subcode)

    async def _read(self, request: Request) -> Reply:
        found_id, fields = request.path.rpartition("/")[2], query_of(request).get("fields", "")
        container = self._posts.container(self._network, found_id)
        if container is not None:
            state, detail = ("status", "error_message") if self._network == "threads" else ("status_code", "status")
            answer = {"id": found_id, state: self._posts.look(container)}
            return Reply.of(answer | ({detail: container.problem} if container.problem else {}))
        post = self._posts.post(self._network, found_id)
        if post is None:
            return graph_error("Unsupported get request", 100, subcode=33)
        if "status" in fields.split(","):
            return graph_error("Tried accessing nonexisting field (status)", 100)
        return Reply.of(self._shown(post))

    async def _list(self, request: Request) -> Reply:
        where = {"replies": "replies", "stories": "stories"}.get(request.path.rpartition("/")[2], "posts")
        limit = query_of(request).get("limit", "25")
        shown = self._posts.listed(self._network, where)[: int(limit) if limit.isdigit() else 25]
        return Reply.of({"data": [self._shown(post) for post in shown], "paging": {"cursors": {}}})

    def _shown(self, post: Post) -> dict[str, str]:
        text = {"threads": "text", "instagram": "caption"}[self._network]
        return {
            "id": post.media_id,
            text: post.text,
            "media_type": _LIST_KINDS.get(post.kind) or ("VIDEO" if post.is_video else "IMAGE"),
            "timestamp": post.posted_at.strftime("%Y-%m-%dT%H:%M:%S+0000"),
            "permalink": f"https://{self._network}.invalid/@{ACCOUNTS[self._network].username}/post/{post.media_id}",
        }

    async def _quota(self, _request: Request) -> Reply:
        config = {"quota_total": self._posts.behaviour.quota[self._network], "quota_duration": 86400}
        return Reply.of({"data": [{"quota_usage": self._posts.used(self._network), "config": config}]})

    async def _insights(self, request: Request) -> Reply:
        if self._posts.post(self._network, request.path.split("/")[-2]) is None:
            return graph_error("Unsupported get request", 100, subcode=33)
        names = query_of(request).get("metric", "views").split(",")
        rows = [{"name": name, "period": "lifetime", "values": [{"value": 0}], "title": name} for name in names]
        return Reply.of({"data": rows})

    async def _delete(self, request: Request) -> Reply:
        grant = live_grant(self._tokens, self._network, request.bearer() or query_of(request).get("access_token", ""))
        if isinstance(grant, Reply) or "threads_delete" not in grant.scopes:
            return graph_error("Application does not have permission for this action", 10)
        post = self._posts.post(self._network, request.path.rpartition("/")[2])
        if post is None:
            return graph_error("Unsupported delete request", 100, subcode=33)
        self._posts.delete(post)
        return Reply.of({"success": True, "deleted_id": post.media_id})
