"""One supervised process: started, heard saying it is ready, restarted with jittered back-off."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.process import KEY_DESCRIPTOR, child_environment
from shared.errors import ExitCode
from shared.lifecycle.backoff import Backoff
from shared.obs.log import get_logger
from shared.secrets.files import Secret

_log = get_logger(__name__)

ChildState = Literal["starting", "ready", "waiting", "stopped", "failed"]

STABLE_AFTER_S = 30.0
"""A process that lived this long starts again at once when it dies."""

FAILURE_LIMIT = 20
"""So many quick deaths in a row, and it is given up; about ten minutes with the back-off below."""

_FINAL_EXITS = {ExitCode.AUTH, ExitCode.CONFIG}


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How to start a process.

    Attributes:
        before_start: awaited before each start; may hand the child a key that nothing else can read.
        stop_grace_s: seconds between SIGTERM and SIGKILL.
        user: user and group id to run as; None keeps ours.
        first_delay_s: wait before the start after the first quick death; doubles with each further one.
        stable_after_s: a process that lived this long did not die quickly.
    """

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    before_start: Callable[[], Awaitable[Secret | None]] | None = None
    stop_grace_s: float = 25.0
    user: tuple[int, int] | None = None
    log_file: Path | None = None
    first_delay_s: float = 0.5
    stable_after_s: float = STABLE_AFTER_S


@dataclass(slots=True)
class ChildStatus:
    """What is known of a supervised process."""

    name: str
    state: ChildState = "stopped"
    pid: int | None = None
    restarts: int = 0
    last_exit: int | None = None
    since: datetime | None = None
    reason: str = ""

    def as_json(self) -> dict[str, str | int | None]:
        """For ``status --json``."""
        return {
            "name": self.name,
            "state": self.state,
            "pid": self.pid,
            "restarts": self.restarts,
            "last_exit": self.last_exit,
            "since": self.since.isoformat() if self.since else None,
            "reason": self.reason,
        }


class Child:
    """Runs one process for as long as it is wanted.

    Exit codes decide: 0 ends it, 77 and 78 need a person, 26 asks to be started again at once, anything else is
    a crash that waits before the next try.
    """

    def __init__(self, spec: ChildSpec, runtime: Path, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.spec = spec
        self.status = ChildStatus(spec.name)
        self._clock = clock
        self._notify_path = runtime / f"{spec.name}.ntf"
        self._process: asyncio.subprocess.Process | None = None
        self._wanted = True
        self._restart_wanted = False
        self._changed = asyncio.Condition()
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Keep the process running until `stop` is called or it fails for good."""
        backoff = Backoff(base_s=self.spec.first_delay_s, ceiling_s=30.0)
        while self._wanted:
            started = self._clock.monotonic()
            code = await self._run_once()
            self.status.last_exit, self.status.pid = code, None
            asked, self._restart_wanted = self._restart_wanted, False
            if not self._wanted or (code == ExitCode.STOP and not asked):
                await self._set("stopped", "")
                return
            if code in _FINAL_EXITS and not asked:
                await self._set("failed", f"exit {code}: {ExitCode(code).name.lower()}; see its log for what to fix")
                return
            if self._clock.monotonic() - started >= self.spec.stable_after_s:
                backoff.reset()
            if backoff.attempts >= FAILURE_LIMIT:
                await self._set("failed", f"died {backoff.attempts} times in a row, last with exit {code}")
                return
            delay = 0.0 if asked or code == ExitCode.RESTART else backoff.next_delay_s()
            self.status.restarts += 1
            _log.warning("child.exited", child=self.spec.name, exit=code, retry_in_s=round(delay, 1))
            await self._set("waiting", f"exit {code}; next start in {delay:.1f} s")
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._wake.wait()

    async def wait_ready(self, timeout_s: float) -> bool:
        """Wait until the process says it is ready; false when it failed, ended or took too long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(
                    lambda: self.status.state in {"ready", "failed"} or (self.status.last_exit is not None)
                )
        return self.status.state == "ready"

    @property
    def ended(self) -> bool:
        """Nobody starts it again unless asked to."""
        return self.status.state in {"failed", "stopped"}

    async def restart(self) -> None:
        """End the process; it is started again, also when it was waiting for its next try."""
        self._restart_wanted = True
        self._wake.set()
        await self._terminate(self.spec.stop_grace_s)

    async def stop(self) -> None:
        """End the process for good."""
        self._wanted = False
        self._wake.set()
        await self._terminate(self.spec.stop_grace_s)

    async def _terminate(self, grace_s: float) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_s):
                await process.wait()
        except TimeoutError:
            _log.warning("child.killed", child=self.spec.name, after_s=grace_s)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _set(self, state: ChildState, reason: str) -> None:
        async with self._changed:
            self.status.state, self.status.reason, self.status.since = state, reason, self._clock.now()
            self._changed.notify_all()

    async def _run_once(self) -> int:
        self._notify_path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as listener:
            listener.bind(str(self._notify_path))
            if self.spec.user:
                os.chown(self._notify_path, *self.spec.user)
            self.status.last_exit = None
            await self._set("starting", "")
            key = await self.spec.before_start() if self.spec.before_start else None
            self._process = await self._spawn(key)
            self.status.pid = self._process.pid
            async with asyncio.TaskGroup() as group:
                hearing = group.create_task(self._hear(listener))
                code = await self._process.wait()
                hearing.cancel()
        self._notify_path.unlink(missing_ok=True)
        return code

    async def _spawn(self, key: Secret | None) -> asyncio.subprocess.Process:
        environment = child_environment(**self.spec.environment, NOTIFY_SOCKET=str(self._notify_path))
        inherited: tuple[int, ...] = ()
        if key is not None:
            reading, writing = os.pipe()
            os.write(writing, key.reveal().encode())
            os.close(writing)
            inherited = (reading,)
            environment[KEY_DESCRIPTOR] = str(reading)
        user, group = self.spec.user or (None, None)
        log = self.spec.log_file.open("ab") if self.spec.log_file else None
        try:
            return await asyncio.create_subprocess_exec(
                *self.spec.argv,
                env=environment,
                pass_fds=inherited,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=user,
                group=group,
                extra_groups=[] if user is not None else None,
                process_group=0,  # Ctrl-C on the terminal reaches us; we decide the order in which children end
            )
        finally:
            if log is not None:
                log.close()
            for descriptor in inherited:
                os.close(descriptor)

    async def _hear(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            message = await loop.sock_recv(listener, 4096)
            if b"READY=1" in message:
                await self._set("ready", "")
