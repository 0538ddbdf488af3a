"""Values of web access: a tenant asks on behalf of one of its groups, the gateway decides and fetches."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from shared.gatewayclient.models import Slug

MAX_URL_CHARS = 2048
MAX_QUERY_CHARS = 400


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FetchRequest(_Value):
    """Fetch a page for the run a group is in.

    Attributes:
        group: one of the tenant's own; the gateway itself knows which run it is in.
        start: leave out so many characters of the text, to go on where an earlier answer ended.
    """

    group: Slug
    url: str = Field(min_length=1, max_length=MAX_URL_CHARS)
    start: int = Field(default=0, ge=0, le=1 << 30)


class FetchedPage(_Value):
    """A page as text.

    Attributes:
        url: after redirects.
        status: HTTP status.
        content_type: without parameters.
        size_bytes: of the body as it came.
        text: from `start` on, at most what policy allows in one answer.
        start: as asked.
        total_chars: of the whole text.
    """

    url: str
    status: int
    content_type: str
    size_bytes: int
    title: str = ""
    text: str = ""
    start: int = 0
    total_chars: int = 0


class WebSearchRequest(_Value):
    """Search the web for the run a group is in."""

    group: Slug
    query: str = Field(min_length=1, max_length=MAX_QUERY_CHARS)
    count: int = Field(default=5, ge=1, le=20)


class SearchHit(_Value):
    """One result."""

    title: str
    url: str
    snippet: str = ""


class SearchAnswer(_Value):
    """Results, best first."""

    hits: tuple[SearchHit, ...] = ()
