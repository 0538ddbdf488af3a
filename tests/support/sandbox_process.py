"""The sandbox as a person starts it: a child process, a ready file, and the REST API as that person's Discord."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from shared.http.client import http_client
from shared.lifecycle.control import call


@dataclass
class SandboxProcess:
    """A running `clawgate sandbox`."""

    process: asyncio.subprocess.Process
    state: Path
    ready: dict[str, Any]
    output: Path

    def ask(self, name: str, op: str, **params: Any) -> Any:
        """An operator command to one of the processes."""
        from shared.config.paths import Paths

        return call(Paths.resolve(self.state).control_socket(name), op, **params)

    def pid_of(self, name: str) -> int:
        """Process id of the gateway or a tenant."""
        return next(int(p["pid"]) for p in self.ask("up", "status") if p["name"] == name)

    async def say(self, text: str, *, bot: str = "", channel: str = "") -> dict[str, Any]:
        """Write as the owner; `bot` is mentioned first."""
        mention = f"<@{self.ready[bot]['bot_id']}> " if bot else ""
        async with self._discord() as http:
            url = f"/channels/{channel or self.ready['discord']['channel_id']}/messages"
            answer = await http.post(url, json={"content": mention + text})
            answer.raise_for_status()
            return dict(answer.json())

    async def open_dm(self, bot: str) -> str:
        """The owner's direct-message channel with a bot."""
        async with self._discord() as http:
            answer = await http.post("/users/@me/channels", json={"recipient_id": self.ready[bot]["bot_id"]})
            answer.raise_for_status()
            return str(answer.json()["id"])

    async def messages(self, *, after: str = "0", channel: str = "") -> list[dict[str, Any]]:
        """Messages after an id, oldest first."""
        async with self._discord() as http:
            url = f"/channels/{channel or self.ready['discord']['channel_id']}/messages"
            answer = await http.get(url, params={"after": after, "limit": 100})
            answer.raise_for_status()
            return sorted(answer.json(), key=lambda message: int(message["id"]))

    async def reply_to(self, sent: dict[str, Any], bot: str, word: str, *, timeout_s: float = 60) -> dict[str, Any]:
        """The bot's message after `sent` that contains a word."""
        bot_id = self.ready[bot]["bot_id"]
        async with asyncio.timeout(timeout_s):
            while True:
                for message in await self.messages(after=sent["id"], channel=sent["channel_id"]):
                    if message["author"]["id"] == bot_id and word in message["content"]:
                        return message
                await asyncio.sleep(0.05)

    async def press(self, message: dict[str, Any], label: str) -> None:
        """Press a button as the owner."""
        button = next(b for row in message["components"] for b in row["components"] if b["label"] == label)
        async with http_client(base_url=self.ready["discord"]["page_url"], timeout_s=10) as http:
            people = (await http.get("api/state")).json()["people"]
            owner = next(person["id"] for person in people if "owner" in json.dumps(person))
            pressed = {"as": owner, "custom_id": button["custom_id"]}
            (await http.post(f"api/messages/{message['id']}/click", json=pressed)).raise_for_status()

    async def ask_bot(self, bot: str, text: str = "", *, channel: str = "", timeout_s: float = 60) -> str:
        """Mention a bot with a fresh word and wait for the answer that repeats it."""
        word = f"word{secrets.token_hex(4)}"
        sent = await self.say(f"{text}{word}", bot=bot, channel=channel)
        return str((await self.reply_to(sent, bot, word, timeout_s=timeout_s))["content"])

    def _discord(self) -> Any:
        discord = self.ready["discord"]
        return http_client(base_url=discord["api_base"], headers={"authorization": discord["user_token"]}, timeout_s=10)

    def descendants(self) -> list[psutil.Process]:
        """Every process the sandbox started, at any depth."""
        return psutil.Process(self.process.pid).children(recursive=True)

    async def stop(self, number: int = signal.SIGINT, *, timeout_s: float = 60) -> int:
        """End it as a person would."""
        self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), timeout_s)


@asynccontextmanager
async def sandbox_process(
    folder: Path,
    *arguments: str,
    state: Path | None = None,
    timeout_s: float = 90,
    checkout: Path | None = None,
    **environment: str,
) -> AsyncIterator[SandboxProcess]:
    """Start `clawgate sandbox` on free ports and wait for its ready file; it is ended in any case.

    Args:
        folder: for the ready file and the output.
        arguments: further options.
        state: state directory, in `folder` unless given.
        timeout_s: for coming up.
        checkout: source to run instead of this one.
        environment: added to ours.
    """
    state = state or folder / "state"
    ready_file, output = folder / f"ready-{secrets.token_hex(3)}.json", folder / f"out-{secrets.token_hex(3)}.txt"
    with output.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gateway.cli.main",
            "sandbox",
            *("--state", str(state), "--port-base", "0", "--ready-file", str(ready_file)),
            *arguments,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=checkout,
            env={**os.environ, **environment},
        )
    try:
        deadline = time.monotonic() + timeout_s
        while not ready_file.exists():
            if process.returncode is not None or time.monotonic() > deadline:
                logs = "\n".join(
                    f"--- {path.name}\n{path.read_text()[-3000:]}" for path in sorted((state / "logs").glob("*.log"))
                )
                raise AssertionError(
                    f"the sandbox did not come up ({process.returncode}):\n{output.read_text()[-3000:]}\n{logs}"
                )
            await asyncio.sleep(0.05)
        yield SandboxProcess(process, state, json.loads(ready_file.read_text()), output)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), 60)
            except TimeoutError:
                process.kill()
                await process.wait()


async def clawgate(state: Path, *words: str, given: bytes = b"") -> tuple[int, str, str]:
    """A ``clawgate`` command over an installation, as a child process: exit code, output, error output.

    Args:
        state: state directory.
        words: the command.
        given: typed into it.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli.main", *words, "--state", str(state)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    said, told = await process.communicate(given)
    return process.returncode or 0, said.decode(), told.decode()


def processes_mentioning(text: str) -> Iterator[psutil.Process]:
    """Processes whose command line or environment holds a text, ourselves excluded."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            environment = " ".join(process.environ().values())
            if process.pid != os.getpid() and text in " ".join(process.cmdline()) + environment:
                yield process
