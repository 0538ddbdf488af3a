"""Finding a Docker engine for the sandbox and the tests, and running a private one where none answers.

The private engine is the distribution's ``dockerd`` on a socket and data root of its own, without any network set-up.
Several of our processes share it: each holds a shared lock while it needs the engine, the first starts it, the last
stops it. A keeper process stands beside it, so that it ends too when its last user was killed without a chance to say
so. Locks are the kernel's (``flock``) and vanish with their holder; no count can be wrong.

``python -m gateway.sandbox.engine run -- COMMAND…`` runs a command with ``DOCKER_HOST`` set to an engine that answers.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, NoReturn
from urllib.parse import quote

from shared.config.process import child_environment, environment
from shared.errors import ConfigError, GatewayError, Unavailable

SYSTEM_SOCKET = "unix:///var/run/docker.sock"
_START_LIMIT_S = 30.0
_STOP_LIMIT_S = 45.0
_TICK_S = 0.1
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class EngineHandle:
    """An engine that answered a moment ago.

    Attributes:
        docker_host: its address in the form of ``DOCKER_HOST``.
        source: who named it; ``private`` is ours to stop.
    """

    docker_host: str
    source: Literal["flag", "environment", "system", "private"]


@dataclass(frozen=True, slots=True)
class PrivateEngineFolders:
    """Where a private engine lives.

    Attributes:
        data: images; kept from run to run, so that the worker image is built once.
        runtime: socket, locks and what dies with the machine; its path must be short.
    """

    data: Path = Path("/var/lib/clawgate-engine")
    runtime: Path = Path("/run/clawgate-engine")

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.runtime / "docker.sock"

    @property
    def docker_host(self) -> str:
        """Its address."""
        return f"unix://{self.socket}"

    @property
    def pid_file(self) -> Path:
        """The daemon's process id."""
        return self.runtime / "docker.pid"

    @property
    def log(self) -> Path:
        """The daemon's log of its last start."""
        return self.data / "dockerd.log"


def answers(docker_host: str, *, limit_s: float = 2.0) -> bool:
    """Whether an engine answers a ping at a ``unix://`` or ``tcp://`` address."""
    kind, _, place = docker_host.partition("://")
    connection: http.client.HTTPConnection
    try:
        if kind == "unix":
            link = socket.socket(socket.AF_UNIX)
            link.settimeout(limit_s)
            connection = http.client.HTTPConnection("localhost", timeout=limit_s)
            connection.sock = link
            link.connect(place)
        elif kind in {"tcp", "http"}:
            connection = http.client.HTTPConnection(place.rstrip("/"), timeout=limit_s)
        else:
            return False
        try:
            connection.request("GET", "/_ping")
            return connection.getresponse().status == http.client.OK
        finally:
            connection.close()
    except (OSError, http.client.HTTPException):
        with suppress(UnboundLocalError):
            link.close()
        return False


def _prune(place: Path) -> None:
    """Remove stopped workers a day old: their installation was thrown away, or it would have taken them by now."""
    filters = quote(json.dumps({"label": ["clawgate.instance"], "until": ["24h"]}))
    with suppress(OSError, http.client.HTTPException), closing(socket.socket(socket.AF_UNIX)) as link:
        link.settimeout(10)
        link.connect(str(place))
        connection = http.client.HTTPConnection("localhost")
        connection.sock = link
        connection.request("POST", f"/containers/prune?filters={filters}", headers={"Connection": "close"})
        connection.getresponse().read()


def find_engine(docker_host: str | None, docker_host_variable: str = "") -> EngineHandle | None:
    """The first engine that answers: the named one, ``DOCKER_HOST``, the system's socket.

    Args:
        docker_host: from the command line; when given, no other is tried.
        docker_host_variable: the value of ``DOCKER_HOST``.

    Raises:
        Unavailable: the engine named on the command line does not answer.
    """
    if docker_host:
        if not answers(docker_host):
            raise Unavailable(
                f"engine down: nothing answers at {docker_host} (--docker-host): start it or leave the option out",
                code="engine.down",
            )
        return EngineHandle(docker_host, "flag")
    if docker_host_variable and answers(docker_host_variable):
        return EngineHandle(docker_host_variable, "environment")
    if answers(SYSTEM_SOCKET):
        return EngineHandle(SYSTEM_SOCKET, "system")
    return None


def can_start_private() -> bool:
    """Whether this process may and can run a private engine: root, with ``dockerd`` installed."""
    return os.geteuid() == 0 and shutil.which("dockerd", path=_SYSTEM_PATH) is not None


@asynccontextmanager
async def resolve_engine(
    docker_host: str | None = None,
    docker_host_variable: str | None = None,
    *,
    folders: PrivateEngineFolders | None = None,
) -> AsyncIterator[EngineHandle | None]:
    """An engine for the length of a block: one that answers, else a private one, else None.

    Args:
        docker_host: from the command line; when given, no other is tried.
        docker_host_variable: the value of ``DOCKER_HOST``; read from the environment unless given.
        folders: where the private engine lives.

    Raises:
        Unavailable: the engine named on the command line does not answer, or the private one does not come up.
    """
    if docker_host_variable is None:
        docker_host_variable = environment("DOCKER_HOST")
    found = await asyncio.to_thread(find_engine, docker_host, docker_host_variable)
    if found is not None or not can_start_private():
        yield found
        return
    async with private_engine(folders) as handle:
        yield handle


@asynccontextmanager
async def private_engine(folders: PrivateEngineFolders | None = None) -> AsyncIterator[EngineHandle]:
    """The shared private engine for the length of a block.

    Raises:
        Unavailable: it did not come up; the message ends with the last lines of its log.
        ConfigError: this process is not root, or ``dockerd`` is not installed.
    """
    user = PrivateEngineUser(folders or PrivateEngineFolders())
    handle = await asyncio.to_thread(user.acquire)
    try:
        yield handle
    finally:
        await asyncio.shield(asyncio.to_thread(user.release))


class PrivateEngineUser:
    """One user's claim on the private engine."""

    def __init__(self, folders: PrivateEngineFolders) -> None:
        self._folders = folders
        self._claim: IO[bytes] | None = None

    def acquire(self) -> EngineHandle:
        """Start the engine unless it runs, and claim it. Blocks for up to 30 seconds."""
        folders = self._folders
        if not can_start_private():
            raise ConfigError(
                "a private Docker engine needs root and dockerd: run `make setup`, "
                "or set DOCKER_HOST to an engine that answers",
                code="engine.cannot_start",
            )
        folders.runtime.mkdir(parents=True, exist_ok=True, mode=0o700)
        folders.data.mkdir(parents=True, exist_ok=True, mode=0o710)
        with _locked(folders.runtime / "start.lock"):
            if not _is_held(folders.runtime / "keeper.lock") or not answers(folders.docker_host):
                self._start_keeper()
            self._claim = (folders.runtime / "users.lock").open("ab")
            fcntl.flock(self._claim, fcntl.LOCK_SH)
        return EngineHandle(folders.docker_host, "private")

    def release(self) -> None:
        """Give the claim back; the last one stops the engine and waits until nothing of it is left."""
        if self._claim is None:
            return
        runtime = self._folders.runtime
        with _locked(runtime / "start.lock"):
            self._claim.close()
            self._claim = None
            if _is_held(runtime / "users.lock", tries=3):
                return
            if not _is_held(runtime / "keeper.lock") and answers(self._folders.docker_host):
                self._start_keeper()  # the one there was has been killed
            with suppress(OSError, ValueError):
                os.kill(int((runtime / "keeper.lock").read_text()), signal.SIGTERM)
            deadline = time.monotonic() + _STOP_LIMIT_S
            while _is_held(runtime / "keeper.lock") and time.monotonic() < deadline:
                time.sleep(_TICK_S / 2)

    def _start_keeper(self) -> None:
        folders = self._folders
        # It puts itself into the background, so this returns at once.
        subprocess.run(
            [sys.executable, "-m", "gateway.sandbox.engine", "keep", str(folders.data), str(folders.runtime)],
            check=True,
            stdin=subprocess.DEVNULL,
            env=child_environment(PATH=_SYSTEM_PATH),
            cwd="/",
        )
        deadline = time.monotonic() + _START_LIMIT_S
        while time.monotonic() < deadline:
            if answers(folders.docker_host):
                _prune(folders.socket)
                return
            if not _is_held(folders.runtime / "keeper.lock"):
                break
            time.sleep(_TICK_S / 2)
        with suppress(OSError, ValueError):
            os.kill(int((folders.runtime / "keeper.lock").read_text()), signal.SIGTERM)
        raise Unavailable(
            f"the private Docker engine did not come up; the end of {folders.log}:\n{_last_lines(folders.log)}",
            code="engine.start_failed",
            retryable=False,
        )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_held(path: Path, *, tries: int = 1) -> bool:
    """Whether any process holds this lock, shared or not.

    Looking is itself a lock for a moment, so two that look at once may each see the other: more `tries` make sure.
    """
    for attempt in range(tries):
        if attempt:
            time.sleep(_TICK_S / 5)
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            continue
        return False
    return True


def _last_lines(path: Path, count: int = 8) -> str:
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-count:]) or "(it is empty)"
    except OSError:
        return "(there is none)"


# --- the keeper ------------------------------------------------------------------


class Keeper:
    """Runs the daemon, and ends it when told to or when nobody claims it any more."""

    def __init__(self, folders: PrivateEngineFolders) -> None:
        self._folders = folders
        self._stopping = False
        self._daemon: subprocess.Popen[bytes] | None = None
        self._adopted = 0

    def run(self) -> NoReturn:
        """Go into the background, and stay there until the engine is gone."""
        # Locked before the fork, so that whoever started us sees the lock as soon as its child is back. Never unlocked:
        # when the lock is free, this process is gone.
        lock = os.open(self._folders.runtime / "keeper.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(lock, fcntl.LOCK_EX)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if child := os.fork():
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(child).encode(), 0)
            os._exit(0)  # now it can be told to stop
        os.setsid()
        with Path(os.devnull).open("r+b") as nothing:
            for descriptor in (0, 1, 2):
                os.dup2(nothing.fileno(), descriptor)
        try:
            if answers(self._folders.docker_host):
                self._adopted = _read_pid(self._folders.pid_file)
            else:
                self._clean()
                self._launch()
            self._watch()
        finally:
            self._end()
            self._clean()
            os._exit(0)

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _launch(self, *extra: str) -> None:
        folders = self._folders
        with folders.log.open("wb") as log:
            self._daemon = subprocess.Popen(
                [
                    shutil.which("dockerd", path=_SYSTEM_PATH) or "dockerd",
                    "--bridge=none",
                    "--iptables=false",
                    "--ip6tables=false",
                    "--ip-forward=false",
                    "--userland-proxy=false",
                    f"--host={folders.docker_host}",
                    f"--data-root={folders.data}",
                    f"--exec-root={folders.runtime / 'exec'}",
                    f"--pidfile={folders.pid_file}",
                    # Were the system's containerd running, ours would share it: then at least not its names.
                    "--containerd-namespace=clawgate",
                    "--containerd-plugins-namespace=clawgate-plugins",
                    *extra,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _watch(self) -> None:
        came_up = plain = False
        while not self._stopping:
            time.sleep(_TICK_S)
            came_up = came_up or answers(self._folders.docker_host)
            if not self._alive():
                if came_up or plain or self._was_killed() or "driver" not in _last_lines(self._folders.log):
                    return
                plain = True  # a data root on a file system that overlays cannot use, as in a nested container
                self._launch("--storage-driver=vfs")
            elif not _is_held(self._folders.runtime / "users.lock") and self._nobody_is_coming():
                return

    def _nobody_is_coming(self) -> bool:
        """True when no process is starting up either; a newcomer then finds our lock and waits for us to end."""
        with (self._folders.runtime / "start.lock").open("ab") as start:
            try:
                fcntl.flock(start, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            if _is_held(self._folders.runtime / "users.lock"):
                return False
            self._end()  # while the start lock is ours
            self._clean()
        return True

    def _was_killed(self) -> bool:
        """It did not give up by itself; it may be so young that we never saw it answer."""
        return self._daemon is not None and (self._daemon.returncode or 0) < 0

    def _alive(self) -> bool:
        if self._daemon is not None:
            return self._daemon.poll() is None
        return self._adopted > 0 and Path(f"/proc/{self._adopted}").exists()

    def _end(self) -> None:
        pid = self._daemon.pid if self._daemon is not None else self._adopted
        for number, patience_s in ((signal.SIGTERM, 25.0), (signal.SIGKILL, 5.0)):
            if not self._alive():
                return
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            deadline = time.monotonic() + patience_s
            while self._alive() and time.monotonic() < deadline:
                time.sleep(_TICK_S / 2)

    def _clean(self) -> None:
        """Take away what a daemon that was killed leaves: its containerd, shims, mounts and sockets."""
        folders = self._folders
        leftovers = _processes_naming(str(folders.runtime / "exec"))
        for pid in leftovers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if leftovers:
            time.sleep(_TICK_S)
        for mount in _mounts_under(folders.runtime, folders.data):
            subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
        for path in (folders.socket, folders.pid_file):
            path.unlink(missing_ok=True)
        shutil.rmtree(folders.runtime / "exec", ignore_errors=True)


def _read_pid(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def _processes_naming(text: str) -> list[int]:
    """Processes of containerd whose command line names our own folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if Path(words[0]).name.startswith("containerd") and any(text in word for word in words[1:]):
            found.append(int(entry.name))
    return found


def _mounts_under(*roots: Path) -> list[str]:
    """Mount points below some folders, deepest first."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split()[4].encode().decode("unicode_escape")
        if any(Path(point).is_relative_to(root) for root in roots):
            found.append(point)
    return sorted(found, key=len, reverse=True)


# --- commands ------------------------------------------------------------------


async def _run(command: list[str], *, optional: bool) -> int:
    async with resolve_engine() as handle:
        if handle is None and not optional:
            raise ConfigError(
                "no Docker engine answers, and a private one needs root and dockerd: "
                "start an engine, or run this as root",
                code="engine.none",
            )
        prefix = ("env", f"DOCKER_HOST={handle.docker_host}") if handle else ()
        process = await asyncio.create_subprocess_exec(*prefix, *command)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _pass_on, process, number)
        code = await process.wait()
        return code if code >= 0 else 128 - code


def _pass_on(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(number)


def main(argv: list[str] | None = None) -> int:
    """Entry of ``python -m gateway.sandbox.engine``."""
    parser = argparse.ArgumentParser(prog="python -m gateway.sandbox.engine", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run a command with DOCKER_HOST set to an engine that answers")
    run.add_argument("--if-any", action="store_true", help="run it also when no engine can be had")
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    keep = commands.add_parser("keep", help="(internal) stand beside the private engine")
    keep.add_argument("data", type=Path)
    keep.add_argument("runtime", type=Path)
    options = parser.parse_args(argv)
    try:
        if options.command == "keep":
            Keeper(PrivateEngineFolders(options.data, options.runtime)).run()
        words = options.words[1:] if options.words[:1] == ["--"] else options.words
        if not words:
            parser.error("run needs a command")
        return asyncio.run(_run(words, optional=options.if_any))
    except GatewayError as error:
        sys.stderr.write(f"{error.detail}\n")
        return int(error.exit_code)


if __name__ == "__main__":
    sys.exit(main())
