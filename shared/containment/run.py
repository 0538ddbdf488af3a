"""Running a contained command from asyncio: start the launcher, read what comes out, hear how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from shared.clock import SYSTEM_CLOCK, Clock
from shared.containment.models import CommandSpec, Outcome

OUTPUT_LIMIT_BYTES = 200_000
"""What is kept of each stream. Source: OpenClaw's own cap."""

_FLOOD_BYTES = 64 * 1024 * 1024
_CHUNK = 65_536
_LAUNCHER = Path(__file__).with_name("launcher.py")
_END_S = 10.0

SYSTEM_FOLDERS: Sequence[str] = (
    "/usr",
    "/lib",
    "/lib64",
    "/bin",
    "/etc/ssl",
    "/etc/ca-certificates",
    "/etc/pki",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/nsswitch.conf",
)
"""What programs need to run at all. Not among them: ``/etc/passwd``, ``/proc``, ``/sys``, anybody's home."""


async def run_contained(
    spec: CommandSpec, *, output_limit_bytes: int = OUTPUT_LIMIT_BYTES, clock: Clock = SYSTEM_CLOCK
) -> Outcome:
    """Run a command to its end. Cancelling the call ends the command and all that it started.

    Args:
        spec: what to run, and within which bounds.
        output_limit_bytes: kept of each stream; the rest is read and dropped, and a flood ends the command.
        clock: measures its duration.
    """
    return await (await start_contained(spec, output_limit_bytes=output_limit_bytes, clock=clock)).finish()


async def start_contained(
    spec: CommandSpec,
    *,
    output_limit_bytes: int = OUTPUT_LIMIT_BYTES,
    with_input: bool = False,
    line_limit_bytes: int = _CHUNK,
    clock: Clock = SYSTEM_CLOCK,
) -> Contained:
    """Start a command; whoever starts it has to call `Contained.finish`, which also ends it when cancelled.

    Args:
        spec: what to run, and within which bounds.
        output_limit_bytes: kept of each stream; the rest is read and dropped, and a flood ends the command.
        with_input: give it a standard input that can be written; without, it is empty.
        line_limit_bytes: longest line of `Contained.lines`.
        clock: measures its duration.
    """
    began = clock.monotonic()
    spec_read, spec_write = os.pipe()
    result_read, result_write = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(_LAUNCHER), str(spec_read), str(result_write)),
            stdin=asyncio.subprocess.PIPE if with_input else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=(spec_read, result_write),
            env={"LANG": "C.UTF-8"},
            limit=line_limit_bytes,
        )
    except BaseException:
        for descriptor in (spec_read, spec_write, result_read, result_write):
            os.close(descriptor)
        raise
    os.close(spec_read)
    os.close(result_write)
    contained = Contained(process, result_read, output_limit_bytes, began, clock)
    try:
        await asyncio.to_thread(_write, spec_write, json.dumps(asdict(spec)).encode())
    except BaseException:
        os.close(result_read)
        await _end(process)
        raise
    return contained


class Contained:
    """A contained command that runs."""

    def __init__(
        self, process: asyncio.subprocess.Process, results: int, limit_bytes: int, began: float, clock: Clock
    ) -> None:
        self._process = process
        self._results = results
        self._began = began
        self._clock = clock
        self._out = _Kept(limit_bytes, process)
        self._err = _Kept(limit_bytes, process)

    @property
    def stdout(self) -> bytes:
        """What is kept of its output so far."""
        return bytes(self._out.data)

    @property
    def stderr(self) -> bytes:
        """What is kept of its error output so far."""
        return bytes(self._err.data)

    @property
    def dropped_bytes(self) -> int:
        """Output that was not kept so far."""
        return self._out.dropped + self._err.dropped

    @property
    def duration_s(self) -> float:
        """Seconds since it was started."""
        return self._clock.monotonic() - self._began

    @property
    def lines(self) -> asyncio.StreamReader:
        """Its output, for a caller that reads it itself and says so to `finish`."""
        if self._process.stdout is None:
            raise RuntimeError("its output is a pipe always")
        return self._process.stdout

    async def write(self, data: bytes, *, ends: bool = False) -> bool:
        """Give it input; false when it takes none any more."""
        pipe = self._process.stdin
        if pipe is None or pipe.is_closing():
            return False
        try:
            pipe.write(data)
            await pipe.drain()
            if ends:
                pipe.write_eof()
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    async def finish(self, *, reads_lines: bool = False) -> Outcome:
        """Read what it writes until it has ended; call once. Cancelling ends the command and all that it started.

        Args:
            reads_lines: the caller reads `lines`; its output is not kept here.
        """
        streams = [(self._err, self._process.stderr)]
        if not reads_lines:
            streams.append((self._out, self._process.stdout))
        try:
            with os.fdopen(self._results, "rb") as results:
                async with asyncio.TaskGroup() as group:
                    for kept, stream in streams:
                        group.create_task(kept.read(stream))
                await self._process.wait()
                answer = results.read()
        finally:
            await _end(self._process)
        outcome = Outcome(**json.loads(answer)) if answer else Outcome(126, "its launcher was killed")
        flooded = next((kept.problem for kept in (self._out, self._err) if kept.problem), "")
        return replace(
            outcome,
            problem=flooded or outcome.problem,
            stdout=self.stdout,
            stderr=self.stderr,
            dropped_bytes=self.dropped_bytes,
            duration_s=self.duration_s,
        )


def _write(descriptor: int, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), os.fdopen(descriptor, "wb") as pipe:
        pipe.write(data)


class _Kept:
    """The beginning of a stream."""

    def __init__(self, limit: int, process: asyncio.subprocess.Process) -> None:
        self.data = bytearray()
        self.dropped = 0
        self.problem = ""
        self._limit = limit
        self._process = process

    async def read(self, stream: asyncio.StreamReader | None) -> None:
        while stream is not None and (chunk := await stream.read(_CHUNK)):
            kept = chunk[: self._limit - len(self.data)]
            self.data += kept
            self.dropped += len(chunk) - len(kept)
            if self.dropped > _FLOOD_BYTES and not self.problem:
                self.problem = "it was stopped because it wrote without end"
                with contextlib.suppress(ProcessLookupError):
                    self._process.terminate()


async def _end(process: asyncio.subprocess.Process) -> None:
    """See to it that the launcher is gone, which first ends the command and sweeps up behind it."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_END_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
