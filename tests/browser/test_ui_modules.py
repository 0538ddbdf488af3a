"""Modules of the page by themselves: what is signed, how a timeline is made, what sanitising lets through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Page

from openclaw.web import ControlUi, send_answer
from shared.http.unixserver import AsgiListeners
from shared.openclawclient.device import ConnectClaim

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@asynccontextmanager
async def blank_page_of_the_ui(page: Page) -> AsyncIterator[Page]:
    """A page of the UI's origin on which nothing runs, so that modules can be imported one by one."""
    ui = ControlUi("OpenClaw", lambda: True)

    async def serve(scope: Any, _receive: Any, send: Any) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        await send_answer(await ui.answer("GET", scope["path"], b"", headers), "GET", send)

    async with AsgiListeners(serve) as listeners:
        port = await listeners.add_tcp("127.0.0.1", 0, state={})
        await page.goto(f"http://127.0.0.1:{port}/assets/icon.svg")
        yield page


def module(name: str, body: str) -> str:
    return f"async (given) => {{ const m = await import(location.origin + '/assets/{name}'); {body} }}"


async def test_the_page_signs_the_text_that_the_gateway_verifies(page: Page):
    claims = [
        ConnectClaim("ab" * 32, "openclaw-control-ui", "webchat", "operator", ["b", "a"], 17, "tok|en", "n-1", platform)
        for platform in ("Linux x86_64", "  MacIntel ", "İSTANBUL ÄÖ", "")
    ]
    given = [
        {
            "deviceId": claim.device_id,
            "clientId": claim.client_id,
            "clientMode": claim.client_mode,
            "role": claim.role,
            "scopes": claim.scopes,
            "signedAt": claim.signed_at_ms,
            "token": claim.token,
            "nonce": claim.nonce,
            "platform": claim.platform,
        }
        for claim in claims
    ]
    async with blank_page_of_the_ui(page):
        texts = await page.evaluate(module("handshake.js", "return given.map(m.claimText)"), given)
    assert texts == [claim.payload("v3") for claim in claims]


def said(role: str, text: str, at: int) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": text}], "timestamp": at}


SCRIPT = """
  return given.map((steps) => {
    let chat = m.emptyChat();
    for (const [name, ...args] of steps) chat = m[name](chat, ...args);
    return m.timeline(chat).map((i) => [i.kind, (i.message ?? i.echo ?? i.run ?? i.notice).text]);
  });
"""


def echo(run_id: str, text: str, at: int, status: str = "accepted") -> list[Any]:
    return ["withEcho", {"id": run_id, "text": text, "at": at, "status": status, "error": ""}]


def delta(run_id: str, text: str) -> list[Any]:
    return ["withChatEvent", {"state": "delta", "runId": run_id, "message": said("assistant", text, 0)}, 2000]


def final(run_id: str, text: str | None) -> list[Any]:
    message = {} if text is None else {"message": said("assistant", text, 3000)}
    return ["withChatEvent", {"state": "final", "runId": run_id, **message}, 3000]


TIMELINES: dict[str, tuple[list[list[Any]], list[list[str]]]] = {
    "a late shorter delta changes nothing": (
        [echo("r", "hi", 1000), delta("r", "one two"), delta("r", "one")],
        [["echo", "hi"], ["run", "one two"]],
    ),
    "an end turns echo and answer into messages": (
        [echo("r", "hi", 1000), delta("r", "one"), final("r", "one two")],
        [["message", "hi"], ["message", "one two"]],
    ),
    "an end without a message keeps what was seen": (
        [echo("r", "hi", 1000), delta("r", "one"), final("r", None)],
        [["message", "hi"], ["message", "one"]],
    ),
    "an empty end behind another run means waiting": (
        [echo("r", "hi", 1000), delta("r", "one"), echo("q", "later", 1500, "sending"), final("q", None)],
        [["echo", "hi"], ["run", "one"], ["echo", "later"]],
    ),
    "history replaces the echo it shows, once": (
        [
            echo("a", "same", 50_000),
            echo("b", "same", 50_001, "sending"),
            ["withHistory", [said("user", "same", 50_002)], 50_010],
        ],
        [["message", "same"], ["echo", "same"]],
    ),
    "an older message of the same words is not the echo": (
        [echo("a", "same", 50_000, "sending"), ["withHistory", [said("user", "same", 10_000)], 50_010]],
        [["message", "same"], ["echo", "same"]],
    ),
    "a message typed after the history was asked for stays": (
        [echo("a", "new", 60_000), ["withHistory", [], 50_000]],
        [["echo", "new"]],
    ),
    "errors keep their place when history grows": (
        [
            ["withChatEvent", {"state": "error", "runId": "r", "errorMessage": "no model"}, 2000],
            ["withHistory", [said("user", "a", 1000), said("user", "b", 3000)], 4000],
        ],
        [["message", "a"], ["notice", "no model"], ["message", "b"]],
    ),
    "tool results are not shown": (
        [["withHistory", [said("toolResult", "secret", 1), {"role": "assistant", "content": "plain"}], 2]],
        [["message", "plain"]],
    ),
}


async def test_timelines(page: Page):
    async with blank_page_of_the_ui(page):
        shown = await page.evaluate(module("chat-state.js", SCRIPT), [steps for steps, _ in TIMELINES.values()])
    assert dict(zip(TIMELINES, shown, strict=True)) == {name: wanted for name, (_, wanted) in TIMELINES.items()}


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "![x](https://example.org/p.png)",
    "![x](javascript:alert(1))",
    "<a href='https://example.org' onclick='alert(1)'>x</a>",
    "<form action=https://example.org><input name=q></form>",
    "<iframe src=https://example.org></iframe>",
    "<style>body{display:none}</style>",
    '[x](https://example.org "onmouseover=alert(1)")',
    '[x](https://example.org/"onmouseover="alert(1))',
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "```html\n<script>alert(1)</script>\n```",
    "- [ ] task\n- [x] done",
    "<input type=text autofocus onfocus=alert(1)>",
]

INSPECT = """
  return given.map((text) => {
    const div = document.createElementNS('http://www.w3.org/1999/xhtml', 'div');
    div.append(m.renderMarkdown(text));
    const all = [...div.querySelectorAll('*')];
    return {
      tags: all.map((e) => e.localName),
      attributes: all.flatMap((e) => [...e.attributes].map((a) => [e.localName, a.name, a.value])),
    };
  });
"""


async def test_no_markdown_makes_anything_that_acts_or_fetches(page: Page):
    async with blank_page_of_the_ui(page):
        results = await page.evaluate(module("markdown.js", INSPECT), HOSTILE)
    for text, found in zip(HOSTILE, results, strict=True):
        assert not {"script", "img", "svg", "style", "iframe", "form", "math", "object"} & set(found["tags"]), text
        for tag, name, value in found["attributes"]:
            assert not name.startswith("on"), text
            assert name not in {"style", "src", "srcset", "action"}, text
            if name == "href":
                assert value.startswith(("https://", "http://", "mailto:")), text
            if tag == "input":
                assert (name, value) in {("type", "checkbox"), ("disabled", ""), ("checked", "")}, text


async def test_what_markdown_means_is_kept(page: Page):
    texts = ["- [ ] task\n- [x] done", "3. three\n4. four", "| a |\n|--:|\n| 1 |", "one\ntwo", "`x` and ~~y~~"]
    async with blank_page_of_the_ui(page):
        task, numbered, table, lines, inline = await page.evaluate(module("markdown.js", INSPECT), texts)
    assert task["tags"].count("input") == 2
    assert ["input", "checked", ""] in task["attributes"]
    assert ["ol", "start", "3"] in numbered["attributes"]
    assert ["td", "align", "right"] in table["attributes"]
    assert "br" in lines["tags"]
    assert {"code", "del"} <= set(inline["tags"])


async def test_a_route_survives_any_session_key(page: Page):
    keys = ["agent:main:main", "agent:main:discord:channel:1", "a/b#c?d", "나노봇 %", "main"]
    body = "return given.map((key) => m.readRoute(m.address('chat', key)))"
    async with blank_page_of_the_ui(page):
        routes = await page.evaluate(module("route.js", body), keys)
        assert routes == [{"view": "chat", "session": key} for key in keys]
        odd = await page.evaluate(
            module("route.js", "return given.map(m.readRoute)"), ["", "#", "#/nowhere", "#/chat/%E0%A4%A"]
        )
        assert odd == [{"view": "overview", "session": ""}] * 3 + [{"view": "chat", "session": ""}]


async def test_a_path_is_found_on_its_line_whatever_the_file_looks_like(page: Page):
    text = """// a "comment: {
{
  gateway: { /* { */ port: 1, "auth": {
    'token': "a } b", } },
  agents: { list: [
    {id: "a"},
    {
      id: "b" },
  ] },
}"""
    paths = [
        "gateway.port",
        "gateway.auth.token",
        "agents.list[1].id",
        "agents.list.0",
        "agents.list[1].nam",
        "gateway[a.b]",
        "x",
    ]
    async with blank_page_of_the_ui(page):
        found = await page.evaluate(
            module("json5-lines.js", "return given[1].map((path) => m.lineOfPath(given[0], path))"), [text, paths]
        )
    assert found == [3, 4, 8, 6, 7, 3, 0]


async def test_what_cannot_be_seen_is_numbered_and_what_can_is_left_alone(page: Page):
    texts = ["ls -l\n\t/tmp", "a\u202eb", "pay\u200bpal", "x\u3164y", "x\U000e0041y", "나노봇 — ok", "a\rb"]
    async with blank_page_of_the_ui(page):
        shown = await page.evaluate(module("visible-text.js", "return given.map(m.visible)"), texts)
    numbered = ["a⟨U+202E⟩b", "pay⟨U+200B⟩pal", "x⟨U+3164⟩y", "x⟨U+E0041⟩y"]
    assert shown == ["ls -l\n\t/tmp", *numbered, "나노봇 — ok", "a⟨U+000D⟩b"]


async def test_no_setting_name_reaches_the_prototype_of_anything(page: Page):
    edits = [[["__proto__", "polluted"], True], [["a", "constructor"], 1]]
    body = "const raw = JSON.stringify(m.patchOf(given)); return [raw, ({}).polluted === undefined]"
    async with blank_page_of_the_ui(page):
        raw, clean = await page.evaluate(module("config-form.js", body), edits)
    assert raw == '{"__proto__":{"polluted":true},"a":{"constructor":1}}'
    assert clean
