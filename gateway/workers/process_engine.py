"""A stand-in for machines without any container engine: the agent as a plain process. It contains nothing!

Only the sandbox may use it, it says so wherever an engine is named, and it is refused when ``CI`` is set. The agent
runs with our user, sees our files and our network; what stays true is the protocol: same command line, same
environment, same byte streams. Its workers end with the gateway, so there is never one to adopt.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Literal

from gateway.workers.engine import Attachment, Container, EngineInfo
from gateway.workers.frames import STDERR, STDOUT
from gateway.workers.spec import CLI, CONFIG_DIR, HOME_DIR, SOCKET_DIR, ContainerSpec
from shared.errors import Conflict, NotFound, Unavailable
from shared.lifecycle.tasks import TaskPool

_READ_BYTES = 64 * 1024
_STDERR_LIMIT = 4096


class ProcessEngine:
    """Runs the Claude command line as a child of this process.

    Args:
        folder: where each process gets a throw-away home.
        cli: the program to run; the Claude command line of the cache unless given.
    """

    def __init__(self, folder: Path, *, cli: Path | None = None) -> None:
        self._folder = folder
        self._cli = cli
        self._children: dict[str, _Child] = {}

    @property
    def kind(self) -> Literal["docker", "process"]:
        """Always ``process``."""
        return "process"

    async def info(self) -> EngineInfo:
        """Says what it is not."""
        return EngineInfo(
            kind="process",
            version="",
            address="this machine",
            cpus=os.cpu_count() or 1,
            detail="no container engine: agents run as plain processes and are not contained",
        )

    async def image_id(self, image: str) -> str:  # noqa: ARG002 - there is one program and no images
        """The command line stands for the image; it is fetched like the image's own when it is not here yet."""
        from gateway.workers.image.cli_file import local_cli

        return f"process:{self._cli or await asyncio.to_thread(local_cli)}"

    async def cli_file(self, image: str) -> Path | None:
        """The command line itself."""
        return Path((await self.image_id(image)).removeprefix("process:"))

    async def start(self, spec: ContainerSpec, *, deadline_s: float) -> tuple[Container, Attachment]:
        """Start the command in a process group of its own, with container paths turned into host paths."""
        cli = str(await self.cli_file(spec.image))
        home = await asyncio.to_thread(self._make_home)
        places = {mount.target: str(mount.source) for mount in spec.mounts} | {HOME_DIR: home, CLI: cli}
        environment = {name: _translate(value, places) for name, value in spec.environment.items()}
        environment["PATH"] = "/usr/local/bin:/usr/bin:/bin"
        if os.geteuid() == 0:
            environment["IS_SANDBOX"] = "1"  # without it the command line refuses to work unattended as root
        async with asyncio.timeout(deadline_s):
            process = await asyncio.create_subprocess_exec(
                cli,
                *spec.command[1:],
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd=_translate(spec.working_dir, places),
                env=environment,
                start_new_session=True,
                limit=1024 * 1024,
            )
        child = _Child(process, spec, Path(home))
        self._children[child.container.id] = child
        return child.container, child.attach()

    async def attach(self, container_id: str) -> Attachment:
        """A second reader is not offered; nothing needs one, since no worker outlives us."""
        raise Conflict(f"process {container_id} has its reader already", code="engine.conflict")

    async def logs(self, container_id: str) -> bytes:
        """All output so far, from a file."""
        return await asyncio.to_thread(self._child(container_id).output)

    async def error_logs(self, container_id: str) -> str:
        """The end of its standard error."""
        return self._child(container_id).complaints

    async def find(self, labels: Mapping[str, str]) -> list[Container]:
        """Our own children with these labels."""
        containers = [child.now() for child in self._children.values()]
        return [c for c in containers if all(c.labels.get(name) == value for name, value in labels.items())]

    async def inspect(self, container_id: str) -> Container:
        """One child now."""
        return self._child(container_id).now()

    async def stop(self, container_id: str, *, grace_s: int) -> None:
        """SIGTERM to the group, SIGKILL after the grace."""
        if (child := self._children.get(container_id)) is None:
            return
        child.signal(signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await child.process.wait()
        child.signal(signal.SIGKILL)
        await child.process.wait()

    async def kill(self, container_id: str) -> None:
        """SIGKILL to the group."""
        if child := self._children.get(container_id):
            child.signal(signal.SIGKILL)
            await child.process.wait()

    async def pause(self, container_id: str) -> None:
        """SIGSTOP to the group."""
        self._child(container_id).freeze(signal.SIGSTOP)

    async def unpause(self, container_id: str) -> None:
        """SIGCONT to the group."""
        self._child(container_id).freeze(signal.SIGCONT)

    async def memory_bytes(self, container_id: str) -> int:
        """What the command line itself holds, its children not counted."""
        return self._child(container_id).memory_bytes()

    async def remove(self, container_id: str) -> None:
        """End it and forget it."""
        await self.kill(container_id)
        if child := self._children.pop(container_id, None):
            await child.discard()

    async def close(self) -> None:
        """End every child: what does not contain must not be left running."""
        for container_id in list(self._children):
            await self.remove(container_id)

    def _make_home(self) -> str:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return tempfile.mkdtemp(dir=self._folder)

    def _child(self, container_id: str) -> _Child:
        try:
            return self._children[container_id]
        except KeyError:
            raise NotFound(f"there is no process {container_id}", code="engine.not_found") from None


def _translate(value: str, places: Mapping[str, str]) -> str:
    for target in (CLI, CONFIG_DIR, SOCKET_DIR, *sorted(places, key=len, reverse=True)):
        if target in places and (value == target or value.startswith(f"{target}/")):
            return places[target] + value[len(target) :]
    return value


class _Child:
    """One process, the file its output goes to, and the queue its reader takes from."""

    def __init__(self, process: asyncio.subprocess.Process, spec: ContainerSpec, home: Path) -> None:
        self.process = process
        self.complaints = ""
        self.frozen = False
        self.container = Container(
            id=f"process-{process.pid}-{spec.name}",
            name=spec.name,
            labels=dict(spec.labels),
            status="running",
        )
        self._home = home
        self._spool: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in discard
        self._queue: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue(maxsize=64)
        self._open = 2
        self._pumps = TaskPool("process-engine")

    def attach(self) -> Attachment:
        """The reader; made once, right after the start."""
        assert self.process.stdout is not None  # noqa: S101 - asked for in start
        assert self.process.stderr is not None  # noqa: S101
        self._pumps.start(self._pump(self.process.stdout, STDOUT))
        self._pumps.start(self._pump(self.process.stderr, STDERR))
        return self

    async def _pump(self, reader: asyncio.StreamReader, stream: int) -> None:
        try:
            while data := await reader.read(_READ_BYTES):
                if stream == STDOUT:
                    self._spool.write(data)
                else:
                    self.complaints = (self.complaints + data.decode(errors="replace"))[-_STDERR_LIMIT:]
                await self._queue.put((stream, data))
        finally:
            await self._queue.put((0, b""))

    async def read(self) -> list[tuple[int, bytes]]:
        while self._open:
            stream, data = await self._queue.get()
            if stream:
                return [(stream, data)]
            self._open -= 1
        await self.process.wait()
        return []

    async def write(self, data: bytes) -> None:
        assert self.process.stdin is not None  # noqa: S101
        try:
            self.process.stdin.write(data)
            await self.process.stdin.drain()
        except (ConnectionError, OSError):
            raise Unavailable("the worker's input is closed", code="worker.stream_closed") from None

    async def close(self) -> None:
        """Letting go of a process that cannot be joined again changes nothing."""

    def now(self) -> Container:
        code = self.process.returncode
        if code is None:
            return replace(self.container, status="paused" if self.frozen else "running")
        return replace(self.container, status="exited", exit_code=code if code >= 0 else 128 - code)

    def output(self) -> bytes:
        self._spool.flush()
        return os.pread(self._spool.fileno(), os.fstat(self._spool.fileno()).st_size, 0)

    def freeze(self, number: signal.Signals) -> None:
        self.signal(number)
        self.frozen = number == signal.SIGSTOP

    def memory_bytes(self) -> int:
        try:
            resident = Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1]
        except OSError:
            return 0
        return int(resident) * os.sysconf("SC_PAGE_SIZE")

    def signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    async def discard(self) -> None:
        await self._pumps.close()
        self._spool.close()
        transport = getattr(self.process, "_transport", None)
        if transport is not None:
            transport.close()  # else the loop complains about pipes that nobody closed
        await asyncio.to_thread(shutil.rmtree, self._home, ignore_errors=True)
