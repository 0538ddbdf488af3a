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
    began = clock.monotonic()
    spec_read, spec_write = os.pipe()
    result_read, result_write = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(_LAUNCHER), str(spec_read), str(result_write)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=(spec_read, result_write),
            env={"LANG": "C.UTF-8"},
        )
    except BaseException:
        for descriptor in (spec_read, spec_write, result_read, result_write):
            os.close(descriptor)
        raise
    os.close(spec_read)
    os.close(result_write)
    await asyncio.to_thread(_write, spec_write, json.dumps(asdict(spec)).encode())
    streams = [_Kept(output_limit_bytes, process), _Kept(output_limit_bytes, process)]
    try:
        with os.fdopen(result_read, "rb") as results:
            async with asyncio.TaskGroup() as group:
                for kept, stream in zip(streams, (process.stdout, process.stderr), strict=True):
                    group.create_task(kept.read(stream))
            await process.wait()
            answer = results.read()
    finally:
        await _end(process)
    outcome = Outcome(**json.loads(answer)) if answer else Outcome(126, "its launcher was killed")
    flooded = next((kept.problem for kept in streams if kept.problem), "")
    return replace(
        outcome,
        problem=flooded or outcome.problem,
        stdout=bytes(streams[0].data),
        stderr=bytes(streams[1].data),
        dropped_bytes=sum(kept.dropped for kept in streams),
        duration_s=clock.monotonic() - began,
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
