"""``web_fetch`` and ``web_search`` through the gateway, which decides what may be reached and checks addresses."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from openclaw.agent.tools import Arguments, Tool, ToolContext, make_tool
from openclaw.sessions import AGENT_ID, MAIN_KEY, is_private
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
from shared.ids import slug

_TIMEOUT_S: Final = 190.0  # above the gateway client's own


class FetchArguments(Arguments):
    """``web_fetch``."""

    url: Annotated[str, Field(min_length=1, max_length=MAX_URL_CHARS)]
    start: Annotated[int, Field(ge=0, le=1 << 30, description="Where to go on in a long page.")] = 0


class SearchArguments(Arguments):
    """``web_search``."""

    query: Annotated[str, Field(min_length=1, max_length=MAX_QUERY_CHARS)]
    count: Annotated[int, Field(ge=1, le=20)] = 5


def egress_group(session_key: str) -> str:
    """The name of a session in ``policies/egress.toml``: ``main`` for the owner's own, else such as ``channel-123``."""
    if is_private(session_key):
        return MAIN_KEY
    tail = session_key.removeprefix(f"agent:{AGENT_ID}:").removeprefix("discord:")
    return slug(tail.replace(":", "-"))


def web_tools(gateway: WebGateway, search: SearchOffer) -> tuple[Tool, ...]:
    """The tools, `web_search` only where it is configured.

    Args:
        gateway: decides and fetches.
        search: who may search; the gateway checks it again.
    """

    async def fetch(given: FetchArguments, context: ToolContext) -> str:
        request = FetchRequest(
            group=egress_group(context.session_key), url=given.url, start=given.start, run_id=context.run_id
        )
        return page_text(await gateway.fetch_page(request))

    async def find(given: SearchArguments, context: ToolContext) -> str:
        request = WebSearchRequest(
            group=egress_group(context.session_key), query=given.query, count=given.count, run_id=context.run_id
        )
        return hits_text(await gateway.search_web(request))

    tools = [
        make_tool(
            "web_fetch",
            "Get a web page or file as text (http and https, GET only; HTML becomes Markdown). Only hosts that the "
            "operator allowed can be reached. Long pages come in parts.",
            FetchArguments,
            fetch,
            label="Web fetch",
            group="web",
            outside=True,
            timeout_s=_TIMEOUT_S,
        )
    ]
    if search.includes(MAIN_KEY) or search.exceptions:
        tools.append(
            make_tool(
                "web_search",
                "Search the web; gives titles, addresses and short excerpts. Use web_fetch to read a result.",
                SearchArguments,
                find,
                label="Web search",
                group="web",
                outside=True,
                timeout_s=_TIMEOUT_S,
            )
        )
    return tuple(tools)
