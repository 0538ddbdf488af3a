"""The pages on which a person allows or refuses a sign-in; the same small page stands for every provider's own."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from urllib.parse import parse_qs, urlencode

from gateway.sandbox.models.wire import Reply, Request

DECISION = "decision"

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:4rem auto;padding:0 1rem}}
code{{display:block;padding:.75rem;background:#8882;overflow-wrap:anywhere;user-select:all}}
button{{font:inherit;padding:.5rem 1rem;margin-right:.5rem}}</style>
<h1>{title}</h1>{content}</html>"""


def query_of(request: Request) -> dict[str, str]:
    """The address's parameters; the first of each name."""
    return {key: values[0] for key, values in parse_qs(request.log.query).items()}


def page(title: str, content: str, status: int = 200) -> Reply:
    """A page; `content` is HTML."""
    text = _PAGE.format(title=escape(title), content=content)
    return Reply(status, text.encode(), "text/html; charset=utf-8", {"cache-control": "no-store"})


def asked(who: str, account: str, query: Mapping[str, str]) -> Reply:
    """Ask the person; the answer comes back to the same address with ``decision``."""
    hidden = "".join(f'<input type="hidden" name="{escape(name)}" value="{escape(query[name])}">' for name in query)
    return page(
        f"Emulated {who}",
        f"<p>You are signed in as <b>{escape(account)}</b>. An application asks for access to this account.</p>"
        f'<form method="get">{hidden}<button name="{DECISION}" value="allow">Allow</button>'
        f'<button name="{DECISION}" value="refuse">Refuse</button></form>',
    )


def refused(who: str, why: str) -> Reply:
    """The page that asks nobody, because the request is wrong."""
    return page(f"Emulated {who}", f"<p>This sign-in cannot go on: {escape(why)}.</p>", 400)


def shown_code(who: str, code: str) -> Reply:
    """A code that the person copies."""
    return page(f"Emulated {who}", f"<p>Copy this and paste it where you signed in:</p><code>{escape(code)}</code>")


def sent_back(redirect_uri: str, fields: Mapping[str, str]) -> Reply:
    """The browser goes to the registered address, where usually nothing answers."""
    return gone_to(f"{redirect_uri}?{urlencode(fields)}")


def gone_to(address: str) -> Reply:
    """The browser goes elsewhere."""
    return Reply(302, headers={"location": address}, content_type="text/plain")


def denial(state: str, **more: str) -> dict[str, str]:
    """What a refusal appends to the redirect address."""
    return {"error": "access_denied", "error_description": "The user denied the request", **more, "state": state}
