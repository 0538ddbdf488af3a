"""Calls to the gateway's tenant socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from json import loads as decode
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from shared.errors import (
    AuthRequired,
    Busy,
    Conflict,
    Denied,
    GatewayError,
    Internal,
    Invalid,
    NotFound,
    RateLimited,
    Unavailable,
    UpstreamError,
)
from shared.gatewayclient.events import AuditEvent
from shared.gatewayclient.models import (
    KeptFile,
    NoticeMessage,
    PostAnswer,
    PostCard,
    PostChange,
    PostDetails,
    PostEmbed,
    PostInfo,
    PostRequest,
    SignInBegun,
    SignInInfo,
    SignInPaste,
    SignInStep,
    TenantStartup,
    WorkerInfo,
    WorkerRequest,
)
from shared.gatewayclient.stream import WorkerStream
from shared.gatewayclient.web import (
    FetchedPage,
    FetchRequest,
    SearchAnswer,
    WebhookAnswer,
    WebhookRequest,
    WebSearchRequest,
)
from shared.http.unixclient import StreamedResponse, UnixClient
from shared.secrets.files import Secret

GRAPH_SOCKET = "graph.sock"

ModelRoute = Literal["messages", "chat/completions", "responses", "copilot/responses", "copilot/messages"]

_BY_STATUS: dict[int, type[GatewayError]] = {
    400: Invalid,
    401: AuthRequired,
    403: Denied,
    404: NotFound,
    409: Conflict,
    422: Invalid,
}
_MODEL_READ_TIMEOUT_S = 600.0
_WEB_TIMEOUT_S = 180.0  # above the longest fetch that the gateway's policy allows
_BACKUP_TIMEOUT_S = 1500.0
_FIRST_ERROR_STATUS = 400
_REPORT_LIMIT_S = 300.0
_SIGN_IN_TIMEOUT_S = 75.0  # above what the gateway gives a provider's token host and account page together
_WAIT_MARGIN_S = 15.0
_RATE_LIMITED, _UPSTREAM, _UNAVAILABLE, _DEADLINE = 429, 502, 503, 504


ModelResponse = StreamedResponse


class GatewayClient:
    """One tenant's connection to the gateway.

    Args:
        socket: the tenant's socket, made by the gateway.
        key: the tenant's key for this start.
    """

    def __init__(self, socket: Path, key: Secret) -> None:
        self._socket = socket
        self._key = key
        self._http = UnixClient(socket, headers=self._headers(), server="the gateway")

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._key.reveal()}"}

    async def close(self) -> None:
        """Close idle connections."""
        await self._http.close()

    async def startup(self) -> TenantStartup:
        """This tenant's own tokens, settings and addresses."""
        return TenantStartup.model_validate(await self._call("GET", "/v1/startup"))

    async def report_events(self, events: Sequence[AuditEvent]) -> None:
        """Hand security-relevant events to the gateway's chain; each is kept once, however often it is reported.

        Raises:
            Unavailable: it could not take them now.
        """
        await self._call("POST", "/v1/audit/events", json=[event.model_dump(mode="json") for event in events])

    async def audit_report(self) -> dict[str, Any]:
        """The audit of the whole installation, as lines in the old script's grammar, and its exit code."""
        answer: dict[str, Any] = await self._call("GET", "/v1/audit/report", timeout_s=_REPORT_LIMIT_S)
        return answer

    async def wait_ready(self, timeout_s: float = 30.0) -> TenantStartup:
        """`startup`, repeated while the gateway is still coming up.

        Raises:
            Unavailable: it did not come up in time.
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        while True:
            try:
                return await self.startup()
            except Unavailable:
                if asyncio.get_running_loop().time() >= deadline:
                    raise
                await asyncio.sleep(0.05)

    @asynccontextmanager
    async def model(self, route: ModelRoute, body: Mapping[str, Any], *, run_id: str) -> AsyncIterator[ModelResponse]:
        """Call a model; the gateway adds the credential and chooses the address.

        Raises:
            Unavailable: the gateway does not answer.
        """
        stream = self._http.stream(
            f"/v1/model/{route}", json=body, headers={"x-clawgate-run": run_id}, read_timeout_s=_MODEL_READ_TIMEOUT_S
        )
        async with stream as response:
            yield response

    async def lease_worker(self, request: WorkerRequest) -> WorkerInfo:
        """Get the worker of a group, started if need be.

        Raises:
            Busy: every slot is taken by a run; try again after `retry_after_s`.
            Unavailable: the engine is down or the image is missing.
        """
        body = request.model_dump(mode="json")
        return WorkerInfo.model_validate(await self._call("POST", "/v1/workers", json=body, timeout_s=120.0))

    async def workers(self) -> list[WorkerInfo]:
        """This tenant's workers."""
        return [WorkerInfo.model_validate(item) for item in await self._call("GET", "/v1/workers")]

    async def mark_busy(self, worker_id: str, run_id: str) -> None:
        """A run begins on a worker: it will not be ended as idle or evicted."""
        await self._call("POST", f"/v1/workers/{worker_id}/busy", json={"run_id": run_id})

    async def mark_idle(self, worker_id: str) -> None:
        """The run is over: the worker may be kept, evicted or ended when idle too long."""
        await self._call("POST", f"/v1/workers/{worker_id}/idle")

    async def pause_worker(self, worker_id: str) -> None:
        """Freeze a worker without a run until a run or input lets it go on; frozen already is success.

        Raises:
            Conflict: it has a run.
        """
        await self._call("POST", f"/v1/workers/{worker_id}/pause")

    async def unpause_worker(self, worker_id: str) -> None:
        """Let a frozen worker go on, since a run is about to begin; one that is not frozen is left as it is."""
        await self._call("POST", f"/v1/workers/{worker_id}/unpause")

    async def end_worker(self, worker_id: str) -> None:
        """Stop a worker; fine when it is gone already."""
        try:
            await self._call("DELETE", f"/v1/workers/{worker_id}")
        except NotFound:
            return

    async def prune_images(self) -> dict[str, Any]:
        """Clear the engine's build cache and worker images nobody needs; answers with the bytes freed."""
        answer: dict[str, Any] = await self._call("POST", "/v1/workers/prune", timeout_s=600.0)
        return answer

    async def hand_over_backup(self, file: Path) -> dict[str, Any]:
        """Send this tenant's copy of its own state; answers when it is backed up.

        Raises:
            Denied: it holds a secret; nothing was pushed.
            Unavailable: the remote does not take it.
        """
        status, body = await self._http.upload("/v1/backup", file, timeout_s=_BACKUP_TIMEOUT_S)
        if status >= _FIRST_ERROR_STATUS:
            raise error_from(status, body)
        answer: dict[str, Any] = decode(body)
        return answer

    async def publish_post(self, request: PostRequest) -> PostInfo:
        """Hand a post to the gateway, which publishes it once, at its time, if a person or policy lets it.

        Raises:
            Invalid: it is refused; `code` is one of docs/posts.md.
        """
        body = request.model_dump(mode="json")
        return PostInfo.model_validate(await self._call("POST", "/v1/posts", json=body, timeout_s=120.0))

    async def posts(self, group: str) -> list[PostInfo]:
        """A group's latest posts."""
        return [PostInfo.model_validate(item) for item in await self._call("GET", f"/v1/posts?group={group}")]

    async def post(self, post_id: str, group: str) -> PostInfo:
        """One of a group's posts.

        Raises:
            NotFound: the group has no such post.
        """
        answer = await self._call("GET", f"/v1/posts/{quote(post_id, safe='')}?group={group}")
        return PostInfo.model_validate(answer)

    async def all_posts(self, state: str = "", limit: int = 200) -> list[PostInfo]:
        """All of this tenant's posts, the youngest first."""
        path = f"/v1/posts/all?state={quote(state, safe='')}&limit={limit}"
        return [PostInfo.model_validate(item) for item in await self._call("GET", path)]

    async def embed_post(self, url: str) -> PostEmbed:
        """How the public post at an address is embedded in a page.

        Raises:
            Invalid: it is no address of a post.
            GatewayError: the network does not say.
        """
        return PostEmbed.model_validate(await self._call("GET", f"/v1/posts/embed?url={quote(url, safe='')}"))

    async def post_cards(self, seen: str, wait_s: float) -> list[PostCard]:
        """What this tenant's people were asked lately; waits while it is what `seen` stands for (`seen_mark`)."""
        path = f"/v1/posts/cards?seen={quote(seen, safe='')}&wait={wait_s:.0f}"
        answer = await self._call("GET", path, timeout_s=wait_s + _WAIT_MARGIN_S)
        return [PostCard.model_validate(item) for item in answer]

    async def post_details(self, post_id: str) -> PostDetails:
        """One of this tenant's posts with its history.

        Raises:
            NotFound: there is no such post.
        """
        return PostDetails.model_validate(await self._call("GET", f"/v1/posts/{quote(post_id, safe='')}/details"))

    async def answer_post(self, post_id: str, answer: PostAnswer) -> PostInfo:
        """A person's yes or no.

        Raises:
            Denied: not theirs to decide.
            Conflict: somebody was faster, or it was changed; the detail is for that person.
        """
        path = f"/v1/posts/{quote(post_id, safe='')}/answer"
        return PostInfo.model_validate(await self._call("POST", path, json=answer.model_dump(mode="json")))

    async def change_post(self, post_id: str, change: PostChange) -> PostInfo:
        """What an operator does with a post.

        Raises:
            Conflict: it is not in a state for that.
        """
        path = f"/v1/posts/{quote(post_id, safe='')}/change"
        body = change.model_dump(mode="json")
        return PostInfo.model_validate(await self._call("POST", path, json=body))

    async def keep_file(self, name: str, data: bytes, *, convert: bool = False) -> KeptFile:
        """Hand over a file that is to be posted.

        Args:
            name: for people.
            data: the whole file.
            convert: make other pictures into JPEGs.

        Raises:
            Invalid: it is too large, of another kind, or files are not served here.
        """
        path = f"/v1/media?name={quote(name, safe='')}&convert={'yes' if convert else 'no'}"
        status, body = await self._http.send("POST", path, body=data, timeout_s=120.0)
        if status >= _FIRST_ERROR_STATUS:
            raise error_from(status, body)
        return KeptFile.model_validate(decode(body))

    async def read_file(self, media_id: str) -> bytes:
        """A file that was handed over.

        Raises:
            NotFound: it is gone.
        """
        return await self._bytes(f"/v1/media/{quote(media_id, safe='')}")

    async def post_thumbnail(self, post_id: str, number: int) -> bytes:
        """One of a post's pictures as a small JPEG.

        Raises:
            NotFound: there is no such picture, or none any more.
        """
        return await self._bytes(f"/v1/posts/{quote(post_id, safe='')}/thumbnail?number={number}")

    async def _bytes(self, path: str) -> bytes:
        status, body = await self._http.send("GET", path, body=b"", timeout_s=60.0)
        if status >= _FIRST_ERROR_STATUS:
            raise error_from(status, body)
        return body

    async def post_unshown(self, post_id: str) -> None:
        """No approver could be shown the card."""
        await self._call("POST", f"/v1/posts/{quote(post_id, safe='')}/unshown")

    async def rebuild_image(self) -> dict[str, Any]:
        """Build the worker image anew; answers with its tag and size."""
        answer: dict[str, Any] = await self._call("POST", "/v1/workers/image", timeout_s=900.0)
        return answer

    async def fetch_page(self, request: FetchRequest) -> FetchedPage:
        """Fetch a web page for the run one of our groups is in.

        Raises:
            Denied: policy does not let this group reach the address; the detail says what an operator can change.
            Invalid: the address is none, or what is there is nothing that reads as text.
            RateLimited: the run has fetched as much as it may.
            Unavailable: the host does not answer.
        """
        body = request.model_dump(mode="json")
        return FetchedPage.model_validate(
            await self._call("POST", "/v1/egress/fetch", json=body, timeout_s=_WEB_TIMEOUT_S)
        )

    async def send_webhook(self, request: WebhookRequest) -> WebhookAnswer:
        """Tell a web address of something, once; it may be told again with the same key.

        Raises:
            Denied: policy lists no such address, or it leads to a place that is not public.
            Unavailable: the host does not answer.
        """
        body = request.model_dump(mode="json")
        return WebhookAnswer.model_validate(
            await self._call("POST", "/v1/egress/webhook", json=body, timeout_s=_WEB_TIMEOUT_S)
        )

    async def search_web(self, request: WebSearchRequest) -> SearchAnswer:
        """Search the web for the run one of our groups is in; raises as `fetch_page` does."""
        body = request.model_dump(mode="json")
        return SearchAnswer.model_validate(
            await self._call("POST", "/v1/egress/search", json=body, timeout_s=_WEB_TIMEOUT_S)
        )

    async def sign_ins(self) -> list[SignInInfo]:
        """Whether the gateway's sign-ins work: this tenant's own, and the shared ones.

        Raises:
            Unavailable: the gateway does not answer.
        """
        return [SignInInfo.model_validate(item) for item in await self._call("GET", "/v1/sign-ins")]

    async def begin_sign_in(self, provider: str) -> SignInBegun:
        """Start a login at a provider for a person at this tenant's command line; the token stays in the gateway.

        Raises:
            Denied: this tenant makes no sign-ins at that provider.
            Unavailable: the provider does not answer.
        """
        answer = await self._call("POST", _sign_in(provider, "begin"), timeout_s=_SIGN_IN_TIMEOUT_S)
        return SignInBegun.model_validate(answer)

    async def complete_sign_in(self, provider: str, pasted: str) -> SignInStep:
        """Finish a code flow with what the person pasted.

        Raises:
            Denied: this tenant makes no sign-ins at that provider.
            NotFound: no login is in progress, or it took too long.
            Invalid: what was pasted is not usable.
            AuthRequired: the provider refused the code.
            Unavailable: the provider does not answer usefully.
        """
        body = SignInPaste(pasted=pasted).model_dump(mode="json")
        answer = await self._call("POST", _sign_in(provider, "complete"), json=body, timeout_s=_SIGN_IN_TIMEOUT_S)
        return SignInStep.model_validate(answer)

    async def poll_sign_in(self, provider: str) -> SignInStep:
        """Ask once whether a device flow is done; raises as `complete_sign_in` does."""
        answer = await self._call("POST", _sign_in(provider, "poll"), timeout_s=_SIGN_IN_TIMEOUT_S)
        return SignInStep.model_validate(answer)

    async def notices(self, wait_s: float) -> list[NoticeMessage]:
        """What the owner is to be told by this tenant; waits for the first notice, up to `wait_s` seconds.

        Raises:
            Unavailable: the gateway does not answer.
        """
        path = f"/v1/notices?wait_s={wait_s:g}"
        answer = await self._call("GET", path, timeout_s=wait_s + _WAIT_MARGIN_S)
        return [NoticeMessage.model_validate(item) for item in answer]

    async def acknowledge_notice(self, notice_id: str, chat: str) -> None:
        """The notice is in this tenant's outbox, for a chat; it is not handed out again."""
        await self._call("POST", f"/v1/notices/{notice_id}/delivered", json={"chat": chat})

    async def hold_notice(self, notice_id: str, reason: str) -> None:
        """The notice cannot be said for now; people see why in ``clawgate notices list``."""
        await self._call("POST", f"/v1/notices/{notice_id}/held", json={"reason": reason})

    def attach(self, worker_id: str, after: int = 0) -> WorkerStream:
        """A worker's stdin and stdout; survives a restart of the gateway.

        Args:
            worker_id: from `lease_worker`.
            after: number of the last stdout line already handled.
        """
        return WorkerStream(self._socket, f"/v1/workers/{worker_id}/stdio", self._headers(), after=after)

    async def open_graph(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection on which a command speaks TLS to the Graph hosts, as the gateway answers for them.

        Raises:
            OSError: the gateway does not let us.
        """
        reader, writer = await asyncio.open_unix_connection(self._socket.with_name(GRAPH_SOCKET))
        writer.write(b"clawgate graph " + self._key.reveal().encode() + b"\n")
        if await reader.readline() != b"ready\n":
            writer.close()
            raise ConnectionRefusedError("the gateway does not open its door to the Graph hosts")
        return reader, writer

    async def _call(self, method: str, path: str, *, json: Any = None, timeout_s: float = 30.0) -> Any:  # noqa: ANN401 - JSON
        status, body = await self._http.request(method, path, json=json, timeout_s=timeout_s)
        if status >= _FIRST_ERROR_STATUS:
            raise error_from(status, body)
        return decode(body) if body else None


def _sign_in(provider: str, step: str) -> str:
    return f"/v1/sign-ins/{quote(provider, safe='')}/{step}"


def error_from(status: int, answer: bytes) -> GatewayError:
    """The error class that matches an error answer of the gateway."""
    try:
        body = decode(answer)["error"]
        detail, code = str(body["detail"]), str(body["code"])
    except (ValueError, KeyError, TypeError):
        return Internal(f"the gateway answered {status} without saying why", code="gateway.answer")
    if status in {_RATE_LIMITED, _UNAVAILABLE} and "retry_after_s" in body:
        kind = RateLimited if status == _RATE_LIMITED else Busy
        return kind(detail, code=code, retry_after_s=float(body["retry_after_s"]))
    if status == _UPSTREAM:
        return UpstreamError(detail, code=code, status=int(body.get("upstream_status", 0)))
    if status in {_UNAVAILABLE, _DEADLINE}:
        return Unavailable(detail, code=code)
    return _BY_STATUS.get(status, Internal)(detail, code=code)
