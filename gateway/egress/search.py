"""Search backends: a SearXNG instance of the operator's own, or Brave's API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from gateway.egress.policy import FILE, SEARCH_KEY, SearchPolicy
from gateway.egress.readable import plain
from shared.errors import UpstreamError
from shared.gatewayclient.web import SearchHit
from shared.http.client import Answer, HttpPool
from shared.secrets.files import Secret

BRAVE_URL = "https://api.search.brave.com/res/v1/web/search"
"""Source: Brave Search API documentation, web search."""
_OK = 200
_REFUSED = (401, 403)
_TITLE_CHARS, _SNIPPET_CHARS = 300, 500


class SearchBackend:
    """Asks the configured backend.

    Args:
        http: ordinary connections: the backend is the operator's choice, not an agent's.
        key: of the provider, where it wants one.
    """

    def __init__(self, http: HttpPool, policy: SearchPolicy, key: Secret) -> None:
        self._http = http
        self._policy = policy
        self._key = key

    async def find(self, query: str, count: int) -> tuple[list[SearchHit], int]:
        """Results, best first, and how many bytes they came in.

        Raises:
            UpstreamError: the backend refused, or sent nonsense; the detail says what the operator can do.
                Unavailable: it does not answer.
        """
        if self._policy.backend == "brave":
            address = f"{self._policy.url or BRAVE_URL}?{urlencode({'q': query, 'count': count})}"
            headers = {"X-Subscription-Token": self._key.reveal()}
        else:
            # Source: SearXNG documentation, search API: q, format; the answer's `results` have title, url, content.
            address = f"{self._policy.url.rstrip('/')}/search?{urlencode({'q': query, 'format': 'json'})}"
            headers = {}
        wire = [(b"accept", b"application/json"), *((k.lower().encode(), v.encode()) for k, v in headers.items())]
        answer = await self._http.request("GET", address, headers=wire, read_timeout_s=self._policy.timeout_s)
        self._check(answer)
        return _hits(_json(answer))[:count], len(answer.body)

    def _check(self, answer: Answer) -> None:
        if answer.status == _OK:
            return
        if answer.status in _REFUSED:
            fix = (
                f"check {SEARCH_KEY} in .env"
                if self._policy.backend == "brave"
                else "switch on its JSON format (search.formats in its settings.yml)"
            )
            raise UpstreamError(
                f"the search backend refused us (HTTP {answer.status}): the operator must {fix}", status=answer.status
            )
        raise UpstreamError(f"the search backend answered HTTP {answer.status}", status=answer.status)


def _json(answer: Answer) -> Mapping[str, Any]:
    try:
        body = json.loads(answer.body)
    except ValueError:
        body = None
    if not isinstance(body, Mapping):
        raise UpstreamError(f"the search backend did not answer with JSON: check search.url in {FILE}", status=_OK)
    return body


def _hits(body: Mapping[str, Any]) -> list[SearchHit]:
    """Results of either backend; what is no result is left out."""
    web = body.get("web")
    found = web.get("results") if isinstance(web, Mapping) else body.get("results")
    hits = []
    for item in found if isinstance(found, list) else ():
        if isinstance(item, Mapping) and isinstance(item.get("url"), str):
            snippet = item.get("content") or item.get("description") or ""
            hits.append(
                SearchHit(
                    title=plain(str(item.get("title") or ""))[:_TITLE_CHARS],
                    url=item["url"],
                    snippet=plain(str(snippet))[:_SNIPPET_CHARS],
                )
            )
    return hits
