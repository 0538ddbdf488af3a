"""The Docker engine: control through the SDK's low-level client on a few threads, data through the raw attach socket.

The SDK's client is not safe to share between threads, so each thread has its own; the API version is negotiated once.
Third-party exceptions end here, `requests` ones included: an engine that is down raises those.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

import docker
import requests
from docker import errors as docker_errors

from gateway.workers.engine import Attachment, Container, EngineInfo
from gateway.workers.frames import FrameDecoder
from gateway.workers.spec import CLI, ContainerSpec, docker_config
from shared.errors import Conflict, DeadlineExceeded, GatewayError, Invalid, NotFound, Unavailable, UpstreamError

T = TypeVar("T")

_THREADS = 4
_DEADLINE_S = 20.0
_READ_BYTES = 256 * 1024
_FINISHED = {304, 404, 409}  # already so, already gone, already on its way


class DockerEngine:
    """One engine by address.

    Args:
        address: ``unix:///path`` of an engine on this machine (workers need bind mounts, so another machine's engine
            is of no use); ``tcp://`` is accepted for an engine behind a local port.
    """

    def __init__(self, address: str) -> None:
        if not address.startswith(("unix://", "tcp://", "http://")):
            raise Invalid(
                f"engine address {address!r} is not supported: use unix:///path/to/docker.sock", code="engine.address"
            )
        self.address = address
        self._version = ""
        self._cpus = 0
        self._negotiation = threading.Lock()
        self._clients: list[docker.APIClient] = []
        self._local = threading.local()
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="engine")

    @property
    def kind(self) -> Literal["docker", "process"]:
        """Always ``docker``."""
        return "docker"

    # --- threads -------------------------------------------------------------
    def _client(self) -> docker.APIClient:
        client: docker.APIClient | None = getattr(self._local, "client", None)
        if client is None:
            with self._negotiation:
                client = open_client(self.address, version=self._version or "auto", limit_s=_DEADLINE_S)
                self._version = client.api_version
                self._clients.append(client)
            self._local.client = client
        return client

    async def _call(self, work: Callable[[docker.APIClient], T], *, deadline_s: float = _DEADLINE_S) -> T:
        def run() -> T:
            try:
                client = self._client()
                client.timeout = max(1, int(deadline_s))
                return work(client)
            except (docker_errors.DockerException, requests.exceptions.RequestException, OSError) as error:
                raise self._translate(error) from None

        try:
            async with asyncio.timeout(deadline_s + 1):
                return await asyncio.get_running_loop().run_in_executor(self._executor, run)
        except TimeoutError:
            raise DeadlineExceeded(
                f"the Docker engine at {self.address} did not finish within {deadline_s:.0f} s: look at its log",
                code="engine.deadline",
            ) from None

    def _translate(self, error: Exception) -> GatewayError:
        if isinstance(error, docker_errors.APIError):
            if error.response is not None:
                error.response.close()  # a refused stream would keep its connection
            reason = str(error.explanation or error)
            status = error.status_code or 0
            if isinstance(error, docker_errors.ImageNotFound) or (status == 404 and "such image" in reason.lower()):
                return image_missing(reason)
            if status == 404:
                return NotFound(f"the Docker engine has no such container: {reason}", code="engine.not_found")
            if status == 409:
                return Conflict(f"the Docker engine refused: {reason}", code="engine.conflict")
            return UpstreamError(f"the Docker engine refused: {reason}", status=status, code="engine.refused")
        if isinstance(error, requests.exceptions.Timeout):
            return DeadlineExceeded(f"the Docker engine at {self.address} is too slow", code="engine.deadline")
        return engine_down(self.address, error)

    # --- questions -----------------------------------------------------------
    async def info(self) -> EngineInfo:
        """Version and size of the engine."""
        facts = await self._call(lambda client: client.info())
        self._cpus = int(facts.get("NCPU") or 0)
        return EngineInfo(
            kind="docker",
            version=str(facts.get("ServerVersion", "")),
            address=self.address,
            cpus=self._cpus,
            detail=f"{facts.get('Driver', '?')}, cgroup v{facts.get('CgroupVersion', '1')}",
        )

    async def image_id(self, image: str) -> str:
        """Content id of an image."""
        try:
            facts = await self._call(lambda client: client.inspect_image(image))  # type: ignore[no-untyped-call]
        except Unavailable as error:
            if error.code == "engine.image_missing":
                raise image_missing(image) from None
            raise
        return str(facts["Id"])

    async def cli_file(self, image: str) -> Path | None:
        """The command line's file in the layers of an overlay engine; other storage is left alone."""

        def work(client: docker.APIClient) -> Path | None:
            data = (client.inspect_image(image).get("GraphDriver") or {}).get("Data") or {}  # type: ignore[no-untyped-call]
            layers = [data.get("UpperDir", ""), *str(data.get("LowerDir", "")).split(":")]
            files = (Path(layer + CLI) for layer in layers if layer)
            return next((file for file in files if os.access(file, os.R_OK)), None)

        return await self._call(work)

    async def find(self, labels: Mapping[str, str]) -> list[Container]:
        """Containers that carry all these labels, inspected one by one (the listing lacks exit codes)."""
        wanted = [f"{name}={value}" for name, value in labels.items()]
        rows = await self._call(lambda client: client.containers(all=True, filters={"label": wanted}))
        found = []
        for row in rows:
            try:
                found.append(await self.inspect(row["Id"]))
            except NotFound:
                continue
        return found

    async def inspect(self, container_id: str) -> Container:
        """One container now."""
        facts = await self._call(lambda client: client.inspect_container(container_id))
        state = facts["State"]
        return Container(
            id=facts["Id"],
            name=facts["Name"].lstrip("/"),
            labels=facts["Config"].get("Labels") or {},
            status=state["Status"],
            exit_code=int(state.get("ExitCode") or 0),
            oom_killed=bool(state.get("OOMKilled")),
            started_at=str(state.get("StartedAt", "")),
        )

    async def logs(self, container_id: str) -> bytes:
        """All standard output the engine still keeps."""
        return await self._call(lambda client: client.logs(container_id, stdout=True, stderr=False), deadline_s=60)

    async def error_logs(self, container_id: str) -> str:
        """The last 20 lines of standard error."""
        data = await self._call(lambda client: client.logs(container_id, stdout=False, stderr=True, tail=20))
        return data.decode(errors="replace")

    # --- deeds ---------------------------------------------------------------
    async def start(self, spec: ContainerSpec, *, deadline_s: float) -> tuple[Container, Attachment]:
        """Create, attach, start: one trip to a thread, because every hop costs the person who waits."""
        if not self._cpus:
            await self.info()
        config = docker_config(spec)
        host = config["HostConfig"]
        host["NanoCpus"] = min(host["NanoCpus"], self._cpus * 1_000_000_000)  # the engine refuses more than there are

        def work(client: docker.APIClient) -> tuple[str, int, socket.SocketIO]:
            created = client.create_container_from_config(config, name=spec.name)  # type: ignore[no-untyped-call]
            identity = str(created["Id"])
            try:
                stream = _attach(client, identity)
                try:
                    client.start(identity)
                    pid = int(client.inspect_container(identity)["State"].get("Pid") or 0)
                except BaseException:
                    stream.close()
                    raise
            except BaseException:
                client.remove_container(identity, force=True, v=True)
                raise
            return identity, pid, stream

        identity, pid, stream = await self._call(work, deadline_s=deadline_s)
        attachment = await _DockerAttachment.open(stream)
        return Container(id=identity, name=spec.name, labels=spec.labels, status="running", pid=pid), attachment

    async def attach(self, container_id: str) -> Attachment:
        """Join a running container."""
        return await _DockerAttachment.open(await self._call(lambda client: _attach(client, container_id)))

    async def stop(self, container_id: str, *, grace_s: int) -> None:
        """SIGTERM, then SIGKILL after `grace_s` seconds."""
        await self._forgiving(
            lambda client: client.stop(container_id, timeout=grace_s), deadline_s=grace_s + _DEADLINE_S
        )

    async def kill(self, container_id: str) -> None:
        """SIGKILL."""
        await self._forgiving(lambda client: client.kill(container_id))

    async def pause(self, container_id: str) -> None:
        """Freeze its processes."""
        await self._forgiving(lambda client: client.pause(container_id))

    async def unpause(self, container_id: str) -> None:
        """Let its processes go on."""
        await self._forgiving(lambda client: client.unpause(container_id))

    async def memory_bytes(self, container_id: str) -> int:
        """One reading of its control group, without the second's wait for a processor share."""
        facts = await self._call(lambda client: client.stats(container_id, stream=False, one_shot=True))
        memory = facts.get("memory_stats") or {}
        details = memory.get("stats") or {}
        cache = details.get("total_inactive_file") or details.get("inactive_file") or 0
        return max(0, int(memory.get("usage") or 0) - int(cache))

    async def remove(self, container_id: str) -> None:
        """Remove it with its anonymous volumes."""
        await self._forgiving(lambda client: client.remove_container(container_id, force=True, v=True))

    async def _forgiving(self, work: Callable[[docker.APIClient], object], *, deadline_s: float = _DEADLINE_S) -> None:
        def run(client: docker.APIClient) -> None:
            try:
                work(client)
            except docker_errors.APIError as error:
                # an engine of 20.10 answers 500 for "not paused" and "already paused"
                if error.status_code not in _FINISHED and "paused" not in str(error.explanation):
                    raise

        await self._call(run, deadline_s=deadline_s)

    async def close(self) -> None:
        """Close idle connections; a call that still runs on a thread ends by its own deadline."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        for client in self._clients:
            client.close()
        self._clients.clear()


def open_client(address: str, *, version: str = "auto", limit_s: float) -> docker.APIClient:
    """The SDK's low-level client.

    Args:
        address: the engine's address.
        version: API version; asking the engine for it costs one more call.
        limit_s: seconds any one read may take.

    Raises:
        OSError: nothing answers at a unix address. The SDK's own failure would leak its socket.
    """
    if address.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(limit_s)
            probe.connect(address.removeprefix("unix://"))
    return docker.APIClient(base_url=address, version=version, timeout=max(1, int(limit_s)))


def _attach(client: docker.APIClient, container_id: str) -> socket.SocketIO:
    stream: Any = client.attach_socket(container_id, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
    return stream  # type: ignore[no-any-return]


def engine_down(address: str, error: Exception) -> Unavailable:
    """The error for an engine that does not answer."""
    reason = "permission denied" if "Permission" in str(error) else "nothing answers"
    fix = (
        "add this user to the group that owns the socket (usually docker)"
        if reason == "permission denied"
        else "start it (systemctl start docker), or name another with DOCKER_HOST"
    )
    return Unavailable(
        f"engine down: the Docker engine at {address} cannot be reached, {reason}: {fix}", code="engine.down"
    )


def image_missing(what: str) -> Unavailable:
    """The error for a worker image that was never built here."""
    return Unavailable(
        f"the worker image is not in the engine ({what}): build it with `make setup` or `nanoclaw workers rebuild`",
        code="engine.image_missing",
        retryable=False,
    )


class _DockerAttachment:
    """The hijacked connection of an attach call, read and written by asyncio."""

    def __init__(
        self, raw: socket.SocketIO, ahead: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._raw = raw  # keeps the SDK's response, and with it the connection, alive
        self._reader = reader
        self._writer = writer
        self._frames = FrameDecoder()
        self._ahead = self._frames.feed(ahead)

    @classmethod
    async def open(cls, raw: Any) -> _DockerAttachment:  # noqa: ANN401 - the SDK's private shapes
        sock: socket.socket = raw._sock  # noqa: SLF001 - the SDK's known way to the socket
        sock.setblocking(False)  # noqa: FBT003
        # Joining a talking container, the HTTP reader may have taken output together with the answer's head.
        ahead = bytes(raw._response.raw._fp.fp.peek(1) or b"")  # noqa: SLF001
        # A descriptor of our own: the event loop closes what it is given, and the SDK closes its own.
        mine = sock.dup()
        mine.setblocking(False)  # noqa: FBT003
        if mine.family == socket.AF_UNIX:
            reader, writer = await asyncio.open_unix_connection(sock=mine, limit=_READ_BYTES)
        else:
            reader, writer = await asyncio.open_connection(sock=mine, limit=_READ_BYTES)
        return cls(raw, ahead, reader, writer)

    async def read(self) -> list[tuple[int, bytes]]:
        if self._ahead:
            frames, self._ahead = self._ahead, []
            return frames
        while True:
            try:
                data = await self._reader.read(_READ_BYTES)
            except (ConnectionError, OSError):
                return []
            if not data:
                return []
            if frames := self._frames.feed(data):
                return frames

    async def write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except (ConnectionError, OSError, RuntimeError):
            raise Unavailable("the worker's input is closed", code="worker.stream_closed") from None

    async def close(self) -> None:
        self._writer.close()
        with suppress(ConnectionError, OSError):
            await self._writer.wait_closed()
        with suppress(OSError, ValueError):
            self._raw._response.close()  # type: ignore[attr-defined]  # noqa: SLF001 - closes the socket below it too
