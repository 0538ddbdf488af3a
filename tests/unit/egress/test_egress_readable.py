"""Pages as text."""

from __future__ import annotations

import gc
import gzip
import sys
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.egress.readable import check_readable, plain, readable, unpack
from shared.errors import Invalid


def text_of(html: str) -> str:
    return readable(f"<html><body>{html}</body></html>".encode(), "text/html; charset=utf-8", "https://e.org/p/")[1]


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<h1>Big <b>news</b></h1><p>One.</p><p>Two.", "# Big news\n\nOne.\n\nTwo."),
        ("<p>a<br>b &amp; c&nbsp;d", "a\nb & c d"),
        ("<ul><li>x<li>y<ul><li>z</ul></ul>", "- x\n- y\n  - z"),
        ("<ol start=3><li>x<li>y</ol>", "3. x\n4. y"),
        ("<a href='/a?b=1#c'>to <i>a</i></a>", "[to a](https://e.org/a?b=1#c)"),
        ("<a href='javascript:x'>no</a> <a>plain</a>", "no plain"),
        ("<pre>  a\n   b</pre>", "```\n  a\n   b\n```"),
        ("<p>use <code>x()</code>.", "use `x()`."),
        ("<blockquote>one<br>two</blockquote>three", "> one\n> two\n\nthree"),
        ("<table><tr><th>A<th>B<tr><td>1<td>2</table>", "| A | B\n| 1 | 2"),
        ("<img alt='a  cat'><img src=x>", "[image: a cat]"),
        ("a<hr>b", "a\n\n---\n\nb"),
        ("<form>kept <button>not</button><select><option>not</select></form>", "kept"),
        ("a<script>x</script><style>y</style><noscript>z</noscript><svg><text>t</text></svg>b", "ab"),
        ("<div hidden>no<div>no</div>no</div>yes", "yes"),
        ("<div style='color:red; DISPLAY : none'>no</div><span aria-hidden=true>no</span>yes", "yes"),
        ("<p hidden>no<p>yes", "yes"),
        ("<div><p hidden>no</div>yes", "yes"),
        ("<ul><li hidden>no<li>yes</ul>", "- yes"),
        ("<input hidden>yes", "yes"),
        ("<li hidden>no<ul><li>no</li><li>no</ul>no<li>yes", "- yes"),
        ("<table><tr><td hidden>no<table><tr><td>no</table><td>yes</table>", "| yes"),
        ("<b hidden>no</i>no</b>yes", "yes"),
        ("<a href=/x>one<a href=/y>two</a>", "[one](https://e.org/x)[two](https://e.org/y)"),
        ("a<!-- <p>no</p> -->b<!doctype x><?php no ?>c", "abc"),
        ("1 < 2 &lt; 3 <4 </ 5", "1 < 2 < 3 <4 </ 5"),
        ("<p title='a > b' class=x/y>x", "x"),
        ("<textarea><b>kept as text</textarea><iframe><p>no</iframe>y", "y"),
        ("yes<a href='never closed", "yes"),
        ("yes<!-- never closed", "yes"),
        ("<blockquote>" * 50 + "x", "> " * 8 + "x"),
    ],
)
def test_html_reads_as_markdown_without_what_a_browser_hides(html, text):
    assert text_of(html) == text


def test_the_title_is_told_apart():
    page = b"<html><head><title> A \n page </title><meta charset=utf-8></head><body>x"
    assert readable(page, "text/html", "") == ("A page", "x")


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("é".encode("latin-1"), "text/plain; charset=ISO-8859-1", "é"),
        ("<meta charset='euc-kr'>안녕".encode("euc-kr"), "text/html", "안녕"),
        ("\ufeffhi".encode(), "text/plain", "hi"),
        ("안녕".encode("utf-16"), "text/plain; charset=utf-16", "안녕"),
        (b"\xff\xfe broken", "text/plain; charset=no-such-thing", "\ufffd\ufffd broken"),
        (b"{}", "application/json; charset=rot13", "{}"),
        (b"x-y", "text/plain; charset=punycode", "x-y"),
        (b"x", "text/plain; charset=undefined", "x"),
        (b'{"a": 1}', "application/vnd.api+json", '{"a": 1}'),
        (b"<a/>", "application/rss+xml", "<a/>"),
        (b"<p>x", "", "x"),
    ],
)
def test_other_texts_come_as_they_are_in_their_own_encoding(body, content_type, text):
    check_readable(content_type)
    assert readable(body, content_type, "")[1] == text


@pytest.mark.parametrize("kind", ["application/pdf", "image/png", "video/mp4", "application/zip", "font/woff2"])
def test_what_is_no_text_is_refused_in_words(kind):
    with pytest.raises(Invalid, match=kind):
        check_readable(kind)


def test_bytes_that_pretend_to_be_text_are_refused():
    with pytest.raises(Invalid, match="not text"):
        readable(b"\x7fELF\x00\x00", "text/plain", "")


def test_packed_pages_are_unpacked_within_the_limit():
    text = b"wave " * 100
    raw = zlib.compressobj(wbits=-15)
    for packed, encoding in (
        (text, ""), (gzip.compress(text), "gzip"), (zlib.compress(text), "deflate"),
        (raw.compress(text) + raw.flush(), "deflate"),
    ):  # fmt: skip
        assert unpack(packed, encoding, 1000) == text
    with pytest.raises(Invalid, match="once unpacked"):
        unpack(gzip.compress(b"\0" * 5_000_000), "gzip", 1000)
    with pytest.raises(Invalid, match="damaged"):
        unpack(b"nonsense", "gzip", 1000)
    with pytest.raises(Invalid, match="'br'"):
        unpack(text, "br", 1000)


def test_excerpts_become_one_plain_line():
    assert plain("a <strong>bold</strong>\n<b>claim</b> &amp; more") == "a bold claim & more"


@given(st.text(alphabet="<>/=\"' abpulidhtrxnoescriptqk!-&#;\n", max_size=200))
def test_no_markup_however_broken_upsets_the_reader(html):
    title, text = readable(html.encode(), "text/html", "https://e.org/")
    assert isinstance(title + text, str)


MARKUP = (
    "<p> </p> <div,hidden> <p,hidden> </div> <li> <li,hidden> <ul> </ul> <b> </b> <br> <!-- --> <script> </script> "
    "<td,hidden> </td> word"
)
PIECES = [piece.replace(",", " ") for piece in MARKUP.split()]


@given(st.lists(st.sampled_from(PIECES), max_size=25))
def test_what_a_hidden_element_holds_directly_never_shows(pieces):
    """Whatever stands around it: words right behind the start tag of a hidden element stay hidden."""
    for hidden in ("<div hidden>", "<p hidden>", "<li hidden>", "<span style='display:none'>"):
        page = f"{''.join(pieces)}{hidden}secret</div></p></li></span>{''.join(pieces)}"
        assert "secret" not in readable(page.encode(), "text/html", "")[1]


@pytest.mark.parametrize(
    "unit",
    [
        *("<", "</", "<!--", "<![CDATA[", "<a ", '<a b="', "<?", "<div>", "<b hidden>", "<ul><li>", "<a href=x>", "&#"),
        *("<!a", "<div hidden></p>", "<blockquote>x<br>", "</div>"),
    ],
)
def test_a_page_made_to_be_slow_takes_no_longer_than_its_length(unit):
    """Twice the length costs about twice the work: counted in steps of the interpreter, not in seconds."""

    def steps(length: int) -> int:
        page, count = (unit * length)[:length].encode(), 0

        def count_line(_frame, event, _argument):
            nonlocal count
            count += event == "line"
            return count_line

        gc.disable()  # finalizers are steps too
        sys.settrace(count_line)
        try:
            readable(page, "text/html", "https://e.org/")
        finally:
            sys.settrace(None)
            gc.enable()
        return count

    assert steps(8000) < 2.5 * steps(4000) + 1000
