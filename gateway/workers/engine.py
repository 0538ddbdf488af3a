"""What the pool asks of a container engine. `DockerEngine` is the real one, `ProcessEngine` the sandbox's fallback."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from gateway.workers.spec import ContainerSpec


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What answers.

    Attributes:
        kind: ``process`` contains nothing and says so wherever an engine is shown.
        address: where it was reached.
    """

    kind: Literal["docker", "process"]
    version: str
    address: str
    cpus: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Container:
    """A container as the engine sees it.

    Attributes:
        exit_code: meaningful once `running` is false.
        started_at: the engine's own timestamp, empty before the start.
        pid: of its first process, known right after the start; 0 otherwise.
    """

    id: str
    name: str
    labels: Mapping[str, str]
    status: str
    exit_code: int = 0
    oom_killed: bool = False
    started_at: str = ""
    pid: int = 0

    @property
    def running(self) -> bool:
        """It has processes, frozen or not."""
        return self.status in {"running", "paused", "restarting"}

    @property
    def paused(self) -> bool:
        """Its processes are frozen."""
        return self.status == "paused"


class Attachment(Protocol):
    """The standard streams of one running container; one reader and one writer at a time."""

    async def read(self) -> list[tuple[int, bytes]]:
        """The next pieces of output as (1 stdout or 2 stderr, bytes); empty when the stream has ended."""
        ...

    async def write(self, data: bytes) -> None:
        """Send bytes to stdin.

        Raises:
            Unavailable: the stream is broken.
        """
        ...

    async def close(self) -> None:
        """Let go; the container does not notice."""
        ...


class Engine(Protocol):
    """Containers by id. Every call has a deadline and speaks our errors.

    All methods raise ``Unavailable`` (``engine.down``) when the engine does not answer, ``NotFound`` for an unknown
    container and ``DeadlineExceeded`` when it takes too long.
    """

    @property
    def kind(self) -> Literal["docker", "process"]:
        """Which implementation this is."""
        ...

    async def info(self) -> EngineInfo:
        """Ask the engine who it is."""
        ...

    async def image_id(self, image: str) -> str:
        """Content id of an image.

        Raises:
            Unavailable: ``engine.image_missing``, with the command that builds it.
        """
        ...

    async def cli_file(self, image: str) -> Path | None:
        """Where the image's command line lies on this machine, if we may read it; for warming the page cache."""
        ...

    async def start(self, spec: ContainerSpec, *, deadline_s: float) -> tuple[Container, Attachment]:
        """Create, attach, start, in this order, so that no output is lost. Nothing is left behind on failure."""
        ...

    async def attach(self, container_id: str) -> Attachment:
        """Join the streams of a running container; output before this moment is in `logs` only.

        Raises:
            Conflict: it is paused or not running.
        """
        ...

    async def logs(self, container_id: str) -> bytes:
        """All standard output the engine still keeps, from the oldest kept byte."""
        ...

    async def error_logs(self, container_id: str) -> str:
        """The last lines of its standard error."""
        ...

    async def find(self, labels: Mapping[str, str]) -> list[Container]:
        """Containers, running or not, that carry all these labels."""
        ...

    async def inspect(self, container_id: str) -> Container:
        """One container now."""
        ...

    async def stop(self, container_id: str, *, grace_s: int) -> None:
        """SIGTERM, then SIGKILL after `grace_s` seconds. A container that is gone or stopped is success."""
        ...

    async def kill(self, container_id: str) -> None:
        """SIGKILL. A container that is gone or stopped is success."""
        ...

    async def pause(self, container_id: str) -> None:
        """Freeze its processes; already frozen is success."""
        ...

    async def unpause(self, container_id: str) -> None:
        """Let its processes go on; not frozen is success."""
        ...

    async def memory_bytes(self, container_id: str) -> int:
        """Memory the container holds now, page cache that can be given back not counted; 0 when it cannot be told."""
        ...

    async def remove(self, container_id: str) -> None:
        """Remove it, killing it first if need be. Already gone is success."""
        ...

    async def close(self) -> None:
        """Let go of the engine; containers stay as they are."""
        ...
