"""Reading the web through the gateway, which decides what a group may reach; the worker itself has no network."""

from __future__ import annotations

from collections.abc import Sequence

from nanoclaw.agent.tools.base import Tool, ToolCall, text_schema
from nanoclaw.groups import Group
from shared.gatewayclient.models import SearchOffer
from shared.gatewayclient.web import (
    MAX_QUERY_CHARS,
    MAX_URL_CHARS,
    FetchRequest,
    WebGateway,
    WebSearchRequest,
    hits_text,
    page_text,
)

_HITS = 5
_MOST_HITS = 20


class WebTools:
    """`web_fetch` for everybody, since a refusal says how to allow a host; `web_search` where it is configured.

    Args:
        search: which groups may search; the gateway checks it again.
    """

    def __init__(self, gateway: WebGateway, search: SearchOffer) -> None:
        self._gateway = gateway
        self._search_offer = search

    def offered(self, group: Group) -> Sequence[Tool]:
        """What the group may use."""
        fetch = Tool(
            "web_fetch",
            "Get a web page or file as text (http and https, GET only; HTML becomes Markdown). Only hosts that the "
            "operator allowed can be reached. Long pages come in parts.",
            self._fetch,
            {
                "url": text_schema("The whole address.", longest=MAX_URL_CHARS),
                "start": {
                    "type": "integer",
                    "description": "Where to go on in a long page, as the last part said.",
                    "minimum": 0,
                    "maximum": 1 << 30,
                },
            },
            ["url"],
            read_only=True,
        )
        if not self._search_offer.includes(group.folder):
            return (fetch,)
        search = Tool(
            "web_search",
            "Search the web; gives titles, addresses and short excerpts. Use web_fetch to read a result.",
            self._search,
            {
                "query": text_schema("What to look for.", longest=MAX_QUERY_CHARS),
                "count": {"type": "integer", "description": "How many results.", "minimum": 1, "maximum": _MOST_HITS},
            },
            ["query"],
            read_only=True,
        )
        return (fetch, search)

    async def _fetch(self, call: ToolCall) -> str:
        request = FetchRequest(
            group=call.group.folder, url=call.text("url"), start=int(call.arguments.get("start") or 0)
        )
        page = await self._gateway.fetch_page(request)
        return page_text(page)

    async def _search(self, call: ToolCall) -> str:
        request = WebSearchRequest(
            group=call.group.folder, query=call.text("query"), count=int(call.arguments.get("count") or _HITS)
        )
        answer = await self._gateway.search_web(request)
        return hits_text(answer)
