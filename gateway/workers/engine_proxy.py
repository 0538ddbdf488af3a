"""A filter before the container engine's socket, for Compose: the gateway sees this and never the engine itself.

Who may use the engine's socket is root of the machine. This lets through what the gateway needs for its workers and
images, and of the containers it may create only ones as confined as ours: no privilege, no network, no capability, no
folder outside what it was given. One request a connection, so that nothing can ride behind an allowed one.

Known limit: a folder is looked at before the engine opens it; whoever owns the folder could replace it by a link in
between.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import sys
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

from shared.errors import Denied, GatewayError, Invalid
from shared.lifecycle.signals import stop_on_signals
from shared.obs.log import configure_logging, get_logger

_log = get_logger(__name__)

LABEL: Final = "clawgate.instance"
_HEAD_LIMIT = 64 * 1024
_BODY_LIMIT = 1 << 20
_CHUNK = 64 * 1024
_ID = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
_IMAGE = r"[A-Za-z0-9][A-Za-z0-9_.:@/-]*"
_VERSION = r"(?:/v1\.\d+)?"
_ALLOWED: Final = tuple(
    re.compile(rf"{method} {_VERSION}{path}")
    for method, path in (
        ("(?:GET|HEAD)", "/_ping"),
        ("GET", "/(?:version|info|system/df|containers/json|images/json)"),
        ("GET", rf"/containers/(?P<id>{_ID})/(?:json|logs|stats)"),
        ("POST", "/containers/create"),
        ("POST", rf"/containers/(?P<id>{_ID})/(?:start|stop|kill|pause|unpause|wait|attach)"),
        ("DELETE", rf"/containers/(?P<id>{_ID})"),
        ("GET", rf"/images/{_IMAGE}/json"),
        ("POST", rf"/images/{_IMAGE}/tag"),
        ("DELETE", rf"/images/{_IMAGE}"),
        ("POST", "/build/prune"),
        ("POST", "/build"),
    )
)
_HOST_KEYS: Final = frozenset(
    (
        *("NetworkMode", "CapDrop", "SecurityOpt", "Privileged", "ReadonlyRootfs", "Init", "IpcMode", "CgroupnsMode"),
        *("Memory", "MemorySwap", "NanoCpus", "PidsLimit", "OomScoreAdj", "ShmSize", "Ulimits", "Tmpfs", "Mounts"),
        *("RestartPolicy", "AutoRemove", "LogConfig"),
    )
)


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request.

    Attributes:
        headers: by lower-case name, without those about the connection.
        wants_upgrade: it asks for a byte stream.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    wants_upgrade: bool

    @property
    def path(self) -> str:
        """Without the query."""
        return self.target.partition("?")[0]

    def query(self, name: str) -> str:
        """A parameter's value; empty when it is not there or there twice."""
        values = parse_qs(self.target.partition("?")[2]).get(name, [])
        return values[0] if len(values) == 1 else ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a request.

    Attributes:
        container: which container it is about; that one must be ours.
        action: the last word of its path.
    """

    container: str = ""
    action: str = ""


def parse_head(head: bytes) -> Request:
    """Read a request's head strictly: what could be read in two ways is refused.

    Raises:
        Invalid: it is not plain HTTP/1.1.
    """
    lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    first = re.fullmatch(r"([A-Z]+) (/[!-~]*) HTTP/1\.1", lines[0])
    if first is None:
        raise Invalid("not an HTTP/1.1 request line")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        match = re.fullmatch(r"([A-Za-z0-9-]+):[ \t]*([^\r\n]*?)[ \t]*", line)
        if match is None or match[1].lower() in headers:
            raise Invalid("a header is malformed, or there twice")
        headers[match[1].lower()] = match[2]
    if "transfer-encoding" in headers and ("content-length" in headers or headers["transfer-encoding"] != "chunked"):
        raise Invalid("the body's length is ambiguous")
    wants_upgrade = headers.pop("upgrade", "") == "tcp"
    for name in ("connection", "keep-alive", "proxy-connection", "expect", "te", "trailer"):
        headers.pop(name, None)
    return Request(first[1], first[2], headers, wants_upgrade)


def decide_request(request: Request) -> Verdict:
    """Whether a call may be made at all; what it wants to create is looked at by `decide_container`.

    Raises:
        Denied: says what was wanted.
    """
    wanted = f"{request.method} {request.path}"
    match = next((m for rule in _ALLOWED if (m := rule.fullmatch(wanted))), None)
    if match is None or ".." in request.path or "//" in request.path:
        raise Denied(f"{wanted} is not for the gateway to ask of the engine")
    action = request.path.rpartition("/")[2]
    if action == "build" and request.query("networkmode") != "none":
        raise Denied("images are built without a network only")
    if request.wants_upgrade and action != "attach":
        raise Denied(f"{wanted} gives no byte stream")
    return Verdict(match.groupdict().get("id") or "", action)


def decide_container(body: Mapping[str, Any], roots: Sequence[Path], closed: Sequence[Path]) -> None:
    """Whether a container may be created.

    Args:
        body: the engine's create request.
        roots: folders that may be mounted, with what lies in them.
        closed: folders in there that may not.

    Raises:
        Denied: says which setting is the reason.
    """
    host = body.get("HostConfig") or {}
    user = str(body.get("User", "")).partition(":")[0]
    problems = [
        (LABEL not in (body.get("Labels") or {}), f"no label {LABEL}"),
        (not user.isdigit() or int(user) == 0, f"User {user!r}"),
        (bool(set(host) - _HOST_KEYS), f"HostConfig has {', '.join(sorted(set(host) - _HOST_KEYS))}"),
        (bool(host.get("Privileged")), "Privileged"),
        (host.get("NetworkMode") != "none", f"NetworkMode {host.get('NetworkMode')!r}"),
        (host.get("CapDrop") != ["ALL"], "CapDrop is not ALL"),
        (host.get("SecurityOpt") != ["no-new-privileges"], "SecurityOpt is not exactly no-new-privileges"),
        (host.get("IpcMode") != "private" or host.get("CgroupnsMode") != "private", "a namespace is not private"),
        (host.get("ReadonlyRootfs") is not True, "its root is writable"),
        (not host.get("Memory") or not host.get("PidsLimit"), "no limit of memory or processes"),
        (bool(body.get("NetworkingConfig")) or bool(body.get("Volumes")), "networks or volumes"),
    ]
    for is_wrong, what in problems:
        if is_wrong:
            raise Denied(f"this container may not be created: {what}")
    for mount in host.get("Mounts") or ():
        _decide_mount(mount, roots, closed)


def _decide_mount(mount: Mapping[str, Any], roots: Sequence[Path], closed: Sequence[Path]) -> None:
    source = Path(os.path.realpath(str(mount.get("Source", ""))))
    inside = any(source.is_relative_to(root) and source != root for root in roots)
    shut = any(source.is_relative_to(place) or place.is_relative_to(source) for place in closed)
    extra = set(mount) - {"Type", "Source", "Target", "ReadOnly"}
    if mount.get("Type") != "bind" or extra or not inside or shut:
        raise Denied(f"this container may not be created: the mount of {mount.get('Source')!r}")


class EngineProxy:
    """Serves the filtered socket.

    Args:
        engine: the engine's own socket.
        roots: folders that may be mounted into containers.
        closed: folders in there that may not.
    """

    def __init__(self, engine: Path, roots: Sequence[Path], closed: Sequence[Path]) -> None:
        self._engine = engine
        self._roots = roots
        self._closed = closed
        # Once the other side has closed its half, nothing else of asyncio's holds a connection, or the task that
        # serves it: it could be taken for garbage in the middle of an answer.
        self._open: set[asyncio.StreamWriter] = set()

    async def serve(self, path: Path) -> asyncio.Server:
        """Listen on a socket that only our user may open."""
        old_mask = os.umask(0o177)
        try:
            return await asyncio.start_unix_server(self._client, path, limit=_HEAD_LIMIT)
        finally:
            os.umask(old_mask)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            await self._exchange(reader, writer)
        except GatewayError as error:
            _log.warning("engine_proxy.refused", reason=error.detail)
            body = json.dumps({"message": error.detail}).encode()
            head = f"HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
        except asyncio.IncompleteReadError:
            return  # a kept connection that nobody used again
        except (OSError, asyncio.LimitOverrunError) as error:
            _log.warning("engine_proxy.broken", reason=str(error))
        finally:
            self._open.discard(writer)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = parse_head(await reader.readuntil(b"\r\n\r\n"))
        verdict = decide_request(request)
        body = b""
        if verdict.action == "create":
            body = await self._create_body(request, reader)
        elif verdict.container:
            await self._require_ours(verdict.container)
        engine_reader, engine_writer = await asyncio.open_unix_connection(self._engine, limit=_HEAD_LIMIT)
        try:
            engine_writer.write(_head(request) + body)
            await engine_writer.drain()
            if request.wants_upgrade:
                answer = await engine_reader.readuntil(b"\r\n\r\n")
                writer.write(answer)
                if not answer.startswith(b"HTTP/1.1 101 "):
                    await _first(_pump(engine_reader, writer), _until_closed(reader))
                    return
                # Either side may end first: a worker's output goes on after its input was closed, and the reverse.
                async with asyncio.TaskGroup() as group:
                    group.create_task(_pump(engine_reader, writer))
                    group.create_task(_pump(reader, engine_writer))
                return
            await _first(_pump(engine_reader, writer), _pump(reader, engine_writer), until=0)
        finally:
            engine_writer.close()

    async def _create_body(self, request: Request, reader: asyncio.StreamReader) -> bytes:
        length = request.headers.get("content-length", "")
        if not length.isdigit() or int(length) > _BODY_LIMIT:
            raise Denied("a create request must say its length, at most 1 MiB")
        body = await reader.readexactly(int(length))
        try:
            parsed = json.loads(body, object_pairs_hook=_no_doubles)
        except ValueError:
            raise Denied("the create request is not JSON without repeated keys") from None
        await asyncio.to_thread(decide_container, parsed, self._roots, self._closed)
        return body

    async def _require_ours(self, container: str) -> None:
        reader, writer = await asyncio.open_unix_connection(self._engine, limit=_HEAD_LIMIT)
        try:
            writer.write(f"GET /containers/{container}/json HTTP/1.0\r\nHost: engine\r\n\r\n".encode())
            answer = await reader.read()
        finally:
            writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        status = head.split(b" ", 2)[1:2]
        if status == [b"404"]:
            return  # let the engine say so itself
        labels = json.loads(body).get("Config", {}).get("Labels") or {} if status == [b"200"] else {}
        if LABEL not in labels:
            raise Denied(f"the container {container} is not one of ours")


def _head(request: Request) -> bytes:
    connection = "Connection: Upgrade\r\nUpgrade: tcp" if request.wants_upgrade else "Connection: close"
    lines = [f"{name}: {value}" for name, value in request.headers.items()]
    return "\r\n".join([f"{request.method} {request.target} HTTP/1.1", *lines, connection, "", ""]).encode("latin-1")


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = {key.lower() for key, _ in pairs}
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return dict(pairs)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def _until_closed(reader: asyncio.StreamReader) -> None:
    while await reader.read(_CHUNK):
        pass  # nothing that follows a refused upgrade is passed on


async def _first(*works: Coroutine[Any, Any, None], until: int | None = None) -> None:
    """Run some pumps until one ends, or until the one at an index does; the others are cancelled."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in works]
        if until is None:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        else:
            await tasks[until]
        for task in tasks:
            task.cancel()


async def _run(options: argparse.Namespace) -> int:
    configure_logging("engine-proxy")
    stopping = stop_on_signals()
    proxy = EngineProxy(options.engine, options.root, options.closed)
    server = await proxy.serve(options.listen)
    await stopping.wait()
    server.close()
    options.listen.unlink(missing_ok=True)
    return 0


def main(argv: list[str] | None = None) -> int:
    """Entry of ``python -m gateway.workers.engine_proxy``."""
    parser = argparse.ArgumentParser(prog="python -m gateway.workers.engine_proxy", description=__doc__)
    parser.add_argument("--engine", type=Path, default=Path("/var/run/docker.sock"))
    parser.add_argument("--listen", type=Path, required=True)
    parser.add_argument("--root", type=Path, action="append", default=[], help="a folder that may be mounted")
    parser.add_argument("--closed", type=Path, action="append", default=[], help="a folder in there that may not")
    return asyncio.run(_run(parser.parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
