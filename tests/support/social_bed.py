"""A posting service on a real database file against the emulated networks, on a clock of its own."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.sandbox.faults import Fault
from gateway.sandbox.meta import MetaWorld
from gateway.social.hosting.server import media_app
from gateway.social.machine import SignedIn
from gateway.social.media import MediaProbe
from gateway.social.models import Job
from gateway.social.policy import SocialPolicy
from gateway.social.service import Social
from gateway.social.store import SocialStore
from shared.clock import FakeClock
from shared.errors import AuthRequired
from shared.gatewayclient.models import PostInfo, PostRequest
from shared.http.client import HttpPool
from shared.http.unixserver import AsgiListeners
from shared.secrets.files import Secret
from shared.social.instagram import InstagramClient
from shared.social.threads import ThreadsClient
from shared.storage import Database

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
OPEN = {"groups": ["main"], "mode": "auto", "daily_cap": 100}
EVERYTHING = {"tenants": {"nanoclaw": {"threads": OPEN, "instagram": OPEN}}}
SCOPES = (
    "threads_basic",
    "threads_content_publish",
    "threads_delete",
    "instagram_business_basic",
    "instagram_business_content_publish",
)


def jpeg(width: int = 800, height: int = 800, *, mpf: bool = False, size: int = 0) -> bytes:
    app2 = b"\xff\xe2" + struct.pack(">H", 6) + b"MPF\0" if mpf else b""
    head = b"\xff\xd8\xff\xe0" + struct.pack(">H", 16) + b"JFIF\0" + bytes(9) + app2
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, height, width, 1) + bytes(3)
    body = head + frame + b"\xff\xda\xff\xd9"
    return body + bytes(max(0, size - len(body)))


def png(width: int = 800, height: int = 800) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + bytes(9)


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body


def mp4(seconds: float = 10.0, *, width: int = 1080, height: int = 1920, brand: bytes = b"isom") -> bytes:
    """A video's boxes without a picture in them; the facts come last, as cameras write them."""
    header = _box(b"mvhd", bytes(12) + struct.pack(">II", 1000, int(seconds * 1000)) + bytes(80))
    track = _box(b"tkhd", bytes(76) + struct.pack(">II", width << 16, height << 16))
    return _box(b"ftyp", brand + bytes(8)) + _box(b"mdat", bytes(64)) + _box(b"moov", header + _box(b"trak", track))


_MIGRATED: list[bytes] = []


class PictureHost:
    """Serves pictures on loopback; `files` may change at any time."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[bytes, str]] = {}
        self.base = ""

    def put(self, name: str, body: bytes, content_type: str = "image/jpeg") -> str:
        self.files[f"/{name}"] = (body, content_type)
        return f"{self.base}/{name}"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, kind = self.files.get(scope["path"], (b"", ""))
        status = 200 if kind else 404
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class Bed:
    """One emulated world, one database file, and the service that works on it now."""

    def __init__(self, folder: Path, meta: MetaWorld, http: HttpPool, clock: FakeClock, pictures: PictureHost) -> None:
        self.meta, self.clock, self.pictures = meta, clock, pictures
        self._http, self._file = http, folder / "gateway.db"
        apps = {network: meta.new_app(network, "https://localhost/") for network in ("threads", "instagram")}
        self.grants = {network: meta.generate(network, app, SCOPES) for network, app in apps.items()}
        self.users = {"threads": "1", "instagram": "2"}
        self.signed_in = True
        self._open: list[Database] = []
        self._folder = folder
        self.current: Social | None = None
        self.media_base = ""
        self.policy: dict[str, Any] = EVERYTHING

    async def service(self, policy: dict[str, Any] | None = None) -> Social:
        """A service on the same file, as a start after a kill has it: nothing of the one before is told."""
        self.policy = policy or self.policy
        if _MIGRATED and not self._file.exists():
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_bytes(_MIGRATED[0])
        database = Database(self._file, migrations="gateway.migrations")
        await database.open()
        if not _MIGRATED:
            # Making the schema takes longer than a whole test: it is made once.
            await database.close()
            _MIGRATED.append(self._file.read_bytes())
            database = Database(self._file, migrations="gateway.migrations")
            await database.open()
        self._open.append(database)

        async def token_of(tenant: str, network: str) -> SignedIn:
            if not self.signed_in:
                raise AuthRequired("nobody is signed in", code="auth.none")
            return SignedIn(Secret(self.grants[network].value), self.users[network])

        base = self.meta.base
        clients = {
            "threads": ThreadsClient(self._http, base("threads") + "/v1.0"),
            "instagram": InstagramClient(self._http, base("instagram") + "/v25.0"),
        }
        rules = SocialPolicy.model_validate({"media": {"public_base": self.media_base}, **self.policy})
        self.current = Social(
            SocialStore(database, self.clock),
            clients,
            token_of,
            rules,
            media=MediaProbe(allow_loopback=True, max_video_bytes=rules.media.max_video_bytes),
            files=self._folder / "media",
            clock=self.clock,
        )
        await self.current.host.start()
        return self.current

    async def serve_files(self, scope: Any, receive: Any, send: Any) -> None:
        """The media host of whichever service runs now."""
        assert self.current is not None
        await media_app(self.current.host)(scope, receive, send)

    async def close(self) -> None:
        for database in self._open:
            await database.close()

    def fault(self, op: str, *, upstream: str = "threads", nth: Any = 1, applied: bool = False, **more: Any) -> None:
        self.meta.faults.add(Fault(upstream=upstream, op=op, nth=nth, applied=applied, **more))

    def graph_fault(self, op: str, code: int, subcode: int = 0, **more: Any) -> None:
        error = {"message": "scripted", "type": "OAuthException", "code": code, "error_subcode": subcode}
        self.fault(op, kind="status", status=400, body={"error": error}, **more)

    def live(self, network: str = "threads") -> int:
        return len(self.meta.posts.posts(network))


@contextlib.asynccontextmanager
async def social_bed(folder: Path) -> AsyncIterator[Bed]:
    clock, pictures = FakeClock(START), PictureHost()
    listeners = AsgiListeners(pictures)
    pictures.base = f"http://127.0.0.1:{await listeners.add_tcp('127.0.0.1', 0, state={})}"
    async with MetaWorld(clock=clock) as meta, HttpPool() as http:
        bed = Bed(folder, meta, http, clock, pictures)
        served = AsgiListeners(bed.serve_files)
        bed.media_base = f"http://127.0.0.1:{await served.add_tcp('127.0.0.1', 0, state={})}"
        try:
            yield bed
        finally:
            await bed.close()
            await served.close(0.0)
            await listeners.close(0.0)


def wish(
    text: str = "Good morning", *, network: str = "threads", media: tuple[str, ...] = (), **more: Any
) -> PostRequest:
    named = ("reply_to", "topic_tag", "link", "story", "convert", "cover", "thumb_offset_ms", "share_to_feed")
    inner = {name: more.pop(name) for name in named if name in more}
    people = more.pop("people", {})
    shown = [{"url": url, "people": people.get(number, [])} for number, url in enumerate(media, start=1)]
    content = {"network": network, "text": text, "media": shown, **inner}
    return PostRequest.model_validate({"content": content, "group": "main", **more})


async def post(social: Social, request: PostRequest, *, origin: Any = "agent") -> PostInfo:
    return await social.submit("nanoclaw", origin, request)


async def settle(social: Social, clock: FakeClock, *, most_s: float = 3600.0) -> None:
    """Let virtual time run from one due moment to the next until nothing is left to do within `most_s`."""
    end = clock.monotonic() + most_s
    while clock.monotonic() < end:
        await social.runner.run_due()
        _, later = await social.store.due(clock.now())
        if later is None:
            return
        clock.advance(min((later - clock.now()).total_seconds(), end - clock.monotonic()))


async def only(social: Social) -> Job:
    (job,) = await social.store.jobs()
    return job
