"""A page with everything that is online at the emulated networks, newest first."""

from __future__ import annotations

import base64
from html import escape

from gateway.sandbox.meta.posts import MetaPosts, Post
from gateway.sandbox.meta.tokens import ACCOUNTS
from gateway.sandbox.models.wire import Emulator, Operation, Reply, Request
from shared.social.models import TITLES

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Published</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem; color: #1c1c1c }}
article {{ border: 1px solid #d8d8d8; border-radius: 8px; padding: 1rem; margin: 1rem 0 }}
p {{ white-space: pre-wrap; overflow-wrap: anywhere; margin: .5rem 0 }}
img, video {{ max-width: 100%; border-radius: 4px }}
header, footer {{ color: #595959; font-size: .875rem }}
</style></head><body><h1>Published</h1>{posts}</body></html>
"""


def feed(posts: MetaPosts) -> Emulator:
    """Serves the page under ``/feed/``."""

    async def page(_request: Request) -> Reply:
        shown = "".join(_article(posts, post) for post in reversed(posts.live)) or "<p>Nothing is online yet.</p>"
        return Reply(200, _PAGE.format(posts=shown).encode(), "text/html; charset=utf-8")

    return Emulator("feed", [Operation("GET", "/", "page", page)], not_found=Reply(404, b"not here", "text/plain"))


def _article(posts: MetaPosts, post: Post) -> str:
    # The text is an agent's: it is shown, never run.
    name = f"{TITLES[post.network]} · @{ACCOUNTS[post.network].username}"
    pictures = "".join(_medium(posts, url) for url in post.urls)
    reply = f"<footer>in reply to {escape(post.reply_to)}</footer>" if post.reply_to else ""
    kind = "" if post.kind in {"TEXT", "IMAGE"} else f" · {post.kind.lower()}"
    moment = f"{post.posted_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"<article><header>{name} · {moment}{kind}</header><p>{escape(post.text)}</p>{pictures}{reply}</article>"


def _medium(posts: MetaPosts, url: str) -> str:
    """The copy that was fetched, as a network shows its own; its first address has ended by now."""
    kept = next((entry for entry in reversed(posts.fetched) if entry.url == url and entry.body), None)
    source = escape(url, quote=True)
    if kept is not None:
        source = f"data:{escape(kept.content_type, quote=True)};base64,{base64.b64encode(kept.body).decode()}"
    is_video = kept is not None and kept.content_type.startswith("video/")
    return f'<video src="{source}" controls></video>' if is_video else f'<img src="{source}" alt="">'
