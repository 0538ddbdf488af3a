"""The web site and its search behind one loopback port."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qs

from gateway.sandbox.faults import FaultPlan
from gateway.sandbox.models.loopback import LoopbackWorld
from gateway.sandbox.models.wire import Emulator, Handler, Operation, Reply, Request
from gateway.sandbox.web.pages import Page, default_pages
from shared.clock import SYSTEM_CLOCK, Clock

_NOT_FOUND = Reply(404, b"<h1>There is no such page</h1>", "text/html")


class WebWorld(LoopbackWorld):
    """Emulates a web site (``/web``) and a SearXNG instance that knows its pages (``/searx``).

    Args:
        pages: more pages by path, or others instead of the site's own.
        faults: what goes wrong; upstream names are ``web`` (operation ``page``) and ``searx`` (``search``).
        port: loopback port; 0 takes a free one.
        clock: for the log.
    """

    def __init__(
        self,
        pages: Mapping[str, Page] | None = None,
        *,
        faults: FaultPlan | None = None,
        port: int = 0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        super().__init__(faults=faults, port=port, clock=clock)
        self.pages = default_pages() | dict(pages or {})

    @property
    def site(self) -> str:
        """The site's first page."""
        return f"{self._base('web')}/"

    @property
    def search(self) -> str:
        """The search's base address, as ``search.url`` of ``policies/egress.toml`` wants it."""
        return self._base("searx")

    def _emulators(self) -> Mapping[str, Emulator]:
        pages = [Operation("GET", path, "page", _serving(page)) for path, page in self.pages.items()]
        search = Operation("GET", "/search", "search", self._search)
        return {
            "web": Emulator("web", pages, not_found=_NOT_FOUND),
            "searx": Emulator("searx", [search], not_found=_NOT_FOUND),
        }

    def _revoke(self, upstream: str, token: str) -> None:
        """There are no tokens here."""

    async def _search(self, request: Request) -> Reply:
        query = parse_qs(request.log.query)
        if query.get("format") != ["json"]:
            return Reply(403, b"<h1>403 Forbidden</h1>", "text/html")
        words = set(re.findall(r"\w+", " ".join(query.get("q", ())).lower()))
        found = [(len(words & _words(page)), path, page) for path, page in self.pages.items()]
        results = [
            {"title": _title(page) or path, "url": f"{self.site}{path[1:]}", "content": _text(page)[:200]}
            for hits, path, page in sorted(found, key=lambda item: -item[0])
            if hits
        ]
        return Reply.of({"query": query.get("q", [""])[0], "number_of_results": len(results), "results": results})


def _text(page: Page) -> str:
    if not page.content_type.startswith("text/html"):
        return ""
    text = re.sub(r"<(style|script|title)>.*?</\1>|<[^>]+>", " ", page.body.decode(errors="replace"))
    return " ".join(text.split())


def _words(page: Page) -> set[str]:
    return set(re.findall(r"\w+", f"{_title(page)} {_text(page)}".lower()))


def _title(page: Page) -> str:
    found = re.search(rb"<title>(.*?)</title>", page.body)
    return found[1].decode(errors="replace") if found else ""


def _serving(page: Page) -> Handler:
    async def serve(_request: Request) -> Reply:
        return Reply(page.status, page.body, page.content_type, page.headers)

    return serve
