"""Web access as a tenant asks for it: decided, checked, fetched, counted and written down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urljoin, urlsplit

from gateway.egress.client import Fetched, WebClient
from gateway.egress.decide import decide_fetch, decide_webhook
from gateway.egress.policy import FILE, EgressPolicy
from gateway.egress.readable import media_type, readable
from gateway.egress.search import SearchBackend
from gateway.egress.store import EgressStore, RequestDecision, RequestKind, Wanted
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import Conflict, DeadlineExceeded, Denied, GatewayError, Invalid
from shared.gatewayclient.web import (
    FetchedPage,
    FetchRequest,
    SearchAnswer,
    WebhookAnswer,
    WebhookRequest,
    WebSearchRequest,
)
from shared.obs.log import get_logger
from shared.secrets.files import Secret

_log = get_logger(__name__)
_SEARCH_BYTES = 1 << 20
_READ_IN_VAIN = frozenset({"egress.too_large", "http.timeout", "http.cut"})
"""Errors after which a body may have been read: they cost the run its full price."""

RunOf = Callable[[str, str, str], str]
"""The run a tenant's group is in; empty when it is in none. The third is what the tenant itself calls its run."""


@dataclass(slots=True)
class _Outcome:
    status: int = 0
    size_bytes: int = 0


class Egress:
    """The one way to the web.

    Args:
        run_of: who knows what runs; an agent cannot name another run to spend from.
        before: called before anything is asked; raises when nothing may be.
        search: None where none is configured.
        webhook_token: sent along with webhooks as a bearer token; empty sends none. No tenant knows it.
    """

    def __init__(
        self,
        policy: EgressPolicy,
        store: EgressStore,
        web: WebClient,
        search: SearchBackend | None,
        *,
        run_of: RunOf,
        before: Callable[[], None] = lambda: None,
        webhook_token: Secret | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._policy = policy
        self._before = before
        self._webhook_token = webhook_token
        self._store = store
        self._web = web
        self._search = search
        self._run_of = run_of
        self._clock = clock

    async def recover(self) -> None:
        """Settle what an earlier process left open, and forget what is old."""
        await self._store.recover(older_than=self._clock.now() - timedelta(days=self._policy.keep_days))

    async def forget(self) -> int:
        """Forget requests older than policy keeps them; says how many."""
        return await self._store.forget(older_than=self._clock.now() - timedelta(days=self._policy.keep_days))

    async def fetch(self, tenant: str, request: FetchRequest) -> FetchedPage:
        """Fetch a page for the run a group is in, following redirects that are allowed themselves.

        Raises:
            Denied: policy says no, the run's budget is used up, or a name leads to a private address.
            Invalid: there is nothing that reads as text.
            Conflict: the group is in no run.
            Unavailable: nobody answers.
            DeadlineExceeded: it took too long.
        """
        self._before()
        run_id = self._run(tenant, request.group, request.run_id)
        url = request.url
        try:
            async with asyncio.timeout(self._policy.timeout_s):
                for hop in range(self._policy.max_redirects + 1):
                    found = await self._hop(tenant, request.group, run_id, "redirect" if hop else "fetch", url)
                    if not found.location:
                        return await asyncio.to_thread(self._page, url, found, request.start)
                    url = urljoin(url, found.location)
        except TimeoutError:
            raise DeadlineExceeded(
                f"the page was not there after {self._policy.timeout_s:g} s", code="egress.timeout"
            ) from None
        raise Invalid(f"the page redirects more than {self._policy.max_redirects} times", code="egress.redirects")

    async def search(self, tenant: str, request: WebSearchRequest) -> SearchAnswer:
        """Search for the run a group is in; raises as `fetch` does."""
        self._before()
        run_id = self._run(tenant, request.group, request.run_id)
        backend = self._search
        host = urlsplit(self._policy.search.url).hostname or self._policy.search.backend
        wanted = Wanted(tenant, request.group, run_id, "search", host)
        if backend is None or not self._policy.may_search(tenant, request.group):
            await self._store.deny(wanted, "search is not allowed")
            raise Denied(
                f"this group may not search: the operator can allow it with search under [tenants.{tenant}] in {FILE}",
                code="egress.search_denied",
            )
        async with self._noted(wanted, _SEARCH_BYTES) as outcome:
            hits, outcome.size_bytes = await backend.find(request.query, request.count)
        return SearchAnswer(hits=tuple(hits))

    async def webhook(self, tenant: str, request: WebhookRequest) -> WebhookAnswer:
        """Tell an address of something; redirects are not followed.

        Raises:
            Denied: it is not on the tenant's list, not https, or leads to a place that is not public.
            Unavailable: nobody answers.
            DeadlineExceeded: it took too long.
        """
        self._before()
        verdict = decide_webhook(request.url, tenant, self._policy)
        wanted = Wanted(tenant, "", request.key, "webhook", verdict.host)
        if verdict.target is None:
            await self._store.deny(wanted, verdict.reason)
            raise Denied(verdict.reason, code="egress.webhook_denied")
        body = request.body.encode()
        headers = [(b"Idempotency-Key", request.key.encode())]
        if self._webhook_token:
            headers.append((b"Authorization", b"Bearer " + self._webhook_token.reveal().encode()))
        async with self._noted(wanted, len(body)) as outcome:
            timeout_s = self._policy.timeout_s
            async with asyncio.timeout(timeout_s):
                outcome.status = await self._web.post(verdict.target, body, tuple(headers), timeout_s=timeout_s)
            outcome.size_bytes = len(body)
        return WebhookAnswer(status=outcome.status)

    async def _hop(self, tenant: str, group: str, run_id: str, kind: RequestKind, url: str) -> Fetched:
        verdict = decide_fetch(url, tenant, group, self._policy)
        wanted = Wanted(tenant, group, run_id, kind, verdict.host)
        if verdict.target is None:
            await self._store.deny(wanted, "not on the allow list" if verdict.host else verdict.reason)
            where = "the page redirects elsewhere: " if kind == "redirect" else ""
            raise Denied(f"{where}{verdict.reason}", code="egress.denied")
        async with self._noted(wanted, self._policy.max_bytes) as outcome:
            found = await self._web.get(verdict.target, timeout_s=self._policy.timeout_s)
            outcome.status, outcome.size_bytes = found.status, found.size_bytes
        return found

    def _page(self, url: str, found: Fetched, start: int) -> FetchedPage:
        title, text = readable(found.body, found.content_type, url)
        return FetchedPage(
            url=url,
            status=found.status,
            content_type=media_type(found.content_type),
            size_bytes=found.size_bytes,
            title=title,
            text=text[start : start + self._policy.max_text_chars],
            start=start,
            total_chars=len(text),
        )

    def _run(self, tenant: str, group: str, named: str) -> str:
        run_id = self._run_of(tenant, group, named)
        if not run_id:
            # Also the answer for a group of somebody else: which ones exist is not confirmed.
            raise Conflict(f"no run of a group {group!r} is under way here", code="egress.no_run")
        return run_id

    @asynccontextmanager
    async def _noted(self, wanted: Wanted, most_bytes: int) -> AsyncIterator[_Outcome]:
        """Write a request down before it is made, and how it ended after."""
        policy = self._policy
        request_id = await self._store.begin(
            wanted, most_bytes=most_bytes, run_requests=policy.run_requests, run_bytes=policy.run_bytes
        )
        if request_id is None:
            raise Denied(
                f"this run has used up what it may take from the web ({policy.run_requests} requests, "
                f"{policy.run_bytes:,} bytes): finish with what you have",
                code="egress.budget",
            )
        outcome = _Outcome()
        try:
            yield outcome
        except GatewayError as error:
            decision: RequestDecision = "denied" if isinstance(error, Denied) else "failed"
            size = most_bytes if error.code in _READ_IN_VAIN else 0
            await self._store.settle(request_id, decision, reason=error.detail, size_bytes=size)
            raise
        except BaseException:
            ending = self._store.settle(request_id, "failed", reason="cut", size_bytes=most_bytes)
            await asyncio.shield(ending)
            raise
        await self._store.settle(request_id, "allowed", status=outcome.status, size_bytes=outcome.size_bytes)
        _log.info(
            "egress.fetched",
            tenant=wanted.tenant,
            group=wanted.group,
            run_id=wanted.run_id,
            kind=wanted.kind,
            host=wanted.host,
            status=outcome.status,
            bytes=outcome.size_bytes,
        )
