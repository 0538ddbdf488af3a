"""What HTTP gets: the Control UI's files, its little configuration, and two JSON endpoints for monitoring."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

from pydantic_core import to_json

from openclaw.sessions import AGENT_ID
from openclaw.ui import STATIC_ROOT

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; form-action 'none'; "
    "script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self' ws: wss:"
)
EVERY_ANSWER: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "cross-origin-opener-policy": "same-origin",
}
"""Headers that every answer of this port carries."""
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
}
_CONFIG_PATH: Final = "/__openclaw/control-ui-config.json"


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    status: int
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _File:
    stamp: tuple[int, int]
    body: bytes
    etag: str
    content_type: str


def _text(status: int, text: str, **headers: str) -> Answer:
    return Answer(status, text.encode(), {"content-type": "text/plain; charset=utf-8", **headers})


def json_answer(status: int, value: object, headers: Mapping[str, str] | None = None) -> Answer:
    """A JSON answer that nobody stores."""
    head = {"content-type": "application/json", "cache-control": "no-store", **(headers or {})}
    return Answer(status, to_json(value), head)


class ControlUi:
    """Answers HTTP requests.

    Args:
        agent_name: shown by the page.
        ready: whether the tenant can serve chats.
        enabled: without it only the monitoring endpoints are there.
        root: holds ``index.html`` and ``assets/``.
    """

    def __init__(
        self, agent_name: str, ready: Callable[[], bool], *, enabled: bool = True, root: Path = STATIC_ROOT
    ) -> None:
        self._agent_name = agent_name
        self._ready = ready
        self._enabled = enabled
        self._root = root.resolve()
        self._files: dict[Path, _File] = {}

    async def answer(self, method: str, path: str, query: bytes, headers: Mapping[str, str]) -> Answer:
        """The answer to a request; `headers` have lower-case names."""
        if method not in {"GET", "HEAD"}:
            return _text(405, "Method Not Allowed", allow="GET, HEAD")
        if path == "/healthz":
            return json_answer(200, {"ok": True})
        if path == "/readyz":
            ready = self._ready()
            return json_answer(200 if ready else 503, {"ready": ready})
        if not self._enabled or path == "/ui" or path.startswith(("/ui/", "/api/")):
            return _text(404, "Not Found")
        if path.endswith(_CONFIG_PATH):
            return json_answer(200, self._page_config())
        if path.startswith("/avatar/"):
            known = path == f"/avatar/{AGENT_ID}" and parse_qs(query.decode("latin-1")).get("meta") == ["1"]
            return json_answer(200, {"avatarUrl": None}) if known else _text(404, "Not Found")
        segments = path.split("/")
        if "assets" in segments:
            wanted = segments[segments.index("assets") :]
            return await self._file(wanted, headers, cache="no-cache")
        if "." in segments[-1]:
            return _text(404, "Not Found")
        return await self._file(["index.html"], headers, cache="no-store")

    def _page_config(self) -> dict[str, str]:
        name = self._agent_name
        return {
            "basePath": "",
            "assistantName": name,
            "assistantAvatar": name[:1].upper(),
            "assistantAgentId": AGENT_ID,
        }

    async def _file(self, segments: list[str], headers: Mapping[str, str], *, cache: str) -> Answer:
        if any(part in {"", ".", ".."} or part.startswith(".") or "\\" in part or "\0" in part for part in segments):
            return _text(404, "Not Found")
        path = self._root.joinpath(*segments)
        file = await asyncio.to_thread(self._load, path)
        if file is None:
            return _text(404, "Not Found")
        about = {"content-type": file.content_type, "cache-control": cache}
        if cache == "no-store":
            return Answer(200, file.body, about)
        about["etag"] = file.etag
        if file.etag in {tag.strip() for tag in headers.get("if-none-match", "").split(",")}:
            return Answer(304, b"", about)
        return Answer(200, file.body, about)

    def _load(self, path: Path) -> _File | None:
        """A file from memory, read again when it changed on disk."""
        try:
            info = path.stat()
            if not path.is_file() or not path.resolve().is_relative_to(self._root):
                return None
            stamp = (info.st_mtime_ns, info.st_size)
            known = self._files.get(path)
            if known is not None and known.stamp == stamp:
                return known
            body = path.read_bytes()
        except OSError:
            return None
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        kind = _TYPES.get(path.suffix, "application/octet-stream")
        self._files[path] = _File(stamp, body, etag, kind)
        return self._files[path]


async def send_answer(answer: Answer, method: str, send: Callable[[Any], Any]) -> None:
    """Write an answer as ASGI messages; HEAD and 304 have no body."""
    headers = [(name.encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
    bare = answer.status == 304
    if not bare:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if bare or method == "HEAD" else answer.body})
