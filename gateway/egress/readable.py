"""Pages as text for an agent: HTML becomes plain Markdown, without scripts, styles and what a browser hides."""

from __future__ import annotations

import codecs
import re
import zlib

from gateway.egress.page import Page
from shared.errors import Invalid

_HTML = ("text/html", "application/xhtml+xml")
_PLAIN = re.compile(r"text/[\w.+-]+|application/(?:json|xml|ld\+json|[\w.-]+\+(?:json|xml)|yaml|toml|javascript)")
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset=[\"']?\s*([A-Za-z0-9_:.-]{1,40})", re.IGNORECASE)
_SNIFFED_BYTES = 2048
_MOST_MARKUP_CHARS = 2 << 20
_TITLE_CHARS = 300
_ODD_CODECS = frozenset({"punycode", "idna", "unicode_escape", "raw_unicode_escape", "undefined"})
"""Python's own, which no page is written in and which are slow or fail on foreign bytes."""


def media_type(content_type: str) -> str:
    """A content type without its parameters, lower case."""
    return content_type.partition(";")[0].strip().lower()


def check_readable(content_type: str) -> None:
    """Refuse what does not read as text.

    Raises:
        Invalid: in words for an agent.
    """
    kind = media_type(content_type)
    if kind and kind not in _HTML and not _PLAIN.fullmatch(kind):
        raise Invalid(
            f"what is there is {kind}: only text, HTML, JSON and XML can be read, not images, PDF files or downloads",
            code="egress.content_type",
        )


def unpack(body: bytes, encoding: str, limit_bytes: int) -> bytes:
    """Undo a content encoding, within a limit: a small body may unpack to a huge one.

    Raises:
        Invalid: the encoding is unknown, the body is damaged or too large.
    """
    encoding = encoding.strip().lower()
    if encoding in {"", "identity"}:
        return body
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        raise Invalid(f"the page comes packed as {encoding[:40]!r}, which is not understood", code="egress.encoding")
    window = zlib.MAX_WBITS | 32 if "gzip" in encoding else -zlib.MAX_WBITS if body[:1] != b"\x78" else zlib.MAX_WBITS
    try:
        unpacked = zlib.decompressobj(window).decompress(body, limit_bytes + 1)
    except zlib.error:
        raise Invalid("the page is damaged: it cannot be unpacked", code="egress.encoding") from None
    if len(unpacked) > limit_bytes:
        raise Invalid(f"the page has more than {limit_bytes:,} bytes once unpacked", code="egress.too_large")
    return unpacked


def readable(body: bytes, content_type: str, url: str) -> tuple[str, str]:
    """Title and text of a page.

    Args:
        body: unpacked.
        content_type: as the server says.
        url: what links in it are relative to.

    Raises:
        Invalid: it says that it is text, and is not.
    """
    text = _decoded(body, content_type)
    if media_type(content_type) in _HTML or (not media_type(content_type) and text.lstrip()[:1] == "<"):
        page = Page(url).read(text[:_MOST_MARKUP_CHARS])
        rest = "\n\n[The rest of this page was too long to be read.]" if len(text) > _MOST_MARKUP_CHARS else ""
        return " ".join(page.title.split())[:_TITLE_CHARS], page.text + rest
    return "", text.strip()


def plain(fragment: str) -> str:
    """A short piece of HTML, such as a search result's excerpt, as one line of text."""
    return " ".join(Page("").read(fragment).text.split())


def _decoded(body: bytes, content_type: str) -> str:
    declared = re.search(r"charset=[\"']?([\w:.-]{1,40})", content_type, re.IGNORECASE)
    name = declared[1] if declared else ""
    if not name and (found := _META_CHARSET.search(body[:_SNIFFED_BYTES])):
        name = found[1].decode("ascii")
    try:
        codec = codecs.lookup(name or "utf-8")
        is_usable = getattr(codec, "_is_text_encoding", True) and codec.name.replace("-", "_") not in _ODD_CODECS
        usable = codec.name if is_usable else "utf-8"
    except LookupError:
        usable = "utf-8"
    if b"\0" in body[:_SNIFFED_BYTES] and not usable.startswith("utf-16"):
        raise Invalid("what is there is not text", code="egress.content_type")
    return body.decode(usable, errors="replace").removeprefix("\ufeff")
