"""A whole sandbox whose processes die at named places, and a person who counts what reaches Discord."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.sandbox.discord.models import Channel, User
from gateway.sandbox.discord.world import World
from gateway.sandbox.options import SandboxOptions
from gateway.sandbox.run import Sandbox, running_sandbox
from shared.config.paths import Paths
from shared.config.tomlwrite import overlay_file
from shared.errors import GatewayError
from shared.lifecycle.control import call
from shared.lifecycle.faultpoints import POINTS, VARIABLE
from tests.support.plenty import lift_budgets

COLD = frozenset({"worker.leased", "worker.started"})
"""Places that are only reached when a worker starts."""
AFTER_ANOTHER = frozenset({"recovery.counted", "recovery.claims_reset"})
"""Places of a start: another death comes first."""

_SCRIPT = """
[[rule]]
match = '^say (?P<word>\\w+)'
tool = "send_message"
args = { text = "told {word}" }
then = "done {word}"

[[rule]]
match = '^slow (?P<word>\\w+)'
reply = "done {word}, in many words that are written one after the other"
chunks = 8
chunk_delay_s = 0.06

[[rule]]
match = '^fail (?P<word>\\w+)'
fail = 529
times = 3

[[rule]]
match = '^(fail|ask) (?P<word>\\w+)'
reply = "done {word}"
"""
_POLICY: dict[str, Any] = {
    "runs": {"retry_delays_s": [0.3, 0.3, 0.3, 0.3, 0.3], "drain_s": 2},
    "streaming": {"after_s": 0},
}


def kind_for(point: str) -> str:
    """What has to be asked so that a place is reached."""
    return {"run.tool_done": "say", "run.answer_shown": "slow", "run.failed": "fail"}.get(point, "ask")


@dataclass
class KillBed:
    """The running sandbox, with one file that decides who dies next."""

    sandbox: Sandbox
    file: Path

    @property
    def world(self) -> World:
        """The emulated Discord."""
        assert self.sandbox.discord is not None
        return self.sandbox.discord.emulator.world

    @property
    def channel(self) -> Channel:
        """Where everybody talks."""
        return self.world.state.channels[int(self.sandbox.ready["discord"]["channel_id"])]

    @property
    def owner(self) -> User:
        """Who asks."""
        user = self.world.find_user("owner")
        assert user is not None
        return user

    def arm(self, point: str, number: int = 1) -> None:
        """Let a process die at a place."""
        assert point in POINTS
        fresh = self.file.with_suffix(".new")
        fresh.write_text(f"{point} {number}\n")
        fresh.rename(self.file)

    async def died(self, timeout_s: float = 20) -> None:
        """Wait until somebody has."""
        await until(lambda: not self.file.exists(), timeout_s, "nobody got to the place")

    async def ask(self, kind: str, *, channel: Channel | None = None) -> str:
        """Ask the bot something with a fresh word, which is returned."""
        word = f"w{secrets.token_hex(5)}"
        place = channel or self.channel
        await self.world.say(self.owner, place.id, f"<@{self.sandbox.ready['nanoclaw']['bot_id']}> {kind} {word}")
        return word

    def said(self, word: str) -> list[str]:
        """What the bot shows with a word, over all channels."""
        bot = int(self.sandbox.ready["nanoclaw"]["bot_id"])
        messages = [message for found in self.world.state.messages.values() for message in found.values()]
        return [m.content for m in messages if m.author_id == bot and word in m.content]

    async def answered(self, kind: str, word: str, timeout_s: float = 60) -> None:
        """Wait until a question has its answer."""

        def is_there() -> bool:
            return any(text.startswith(f"done {word}") for text in self.said(word))

        await until(is_there, timeout_s, f"no answer to {kind} {word}: {self.said(word)}")

    async def quiet(self, timeout_s: float = 60) -> None:
        """Wait until NanoClaw is up and has nothing left to do."""

        def is_quiet() -> bool:
            try:
                status = self.control("status")
            except GatewayError:
                return False
            open_ = [status["inbox"].get(state, 0) for state in ("new", "claimed")]
            is_idle = not (status["lanes"] or any(open_) or status["outbox"].get("pending", 0))
            return is_idle and bool(status["channels"][0]["state"] == "online")

        await until(is_quiet, timeout_s, "NanoClaw does not come to rest")

    def control(self, op: str, **params: Any) -> Any:
        """An operator's command to NanoClaw."""
        return call(self.sandbox.paths.control_socket("nanoclaw"), op, **params)

    def fault_of(self, kind: str, word: str) -> str:
        """What is wrong with what Discord shows of a question; empty when everything is there once."""
        wanted = [f"done {word}"] + ([f"told {word}"] if kind == "say" else [])
        shown = sorted(self.said(word))
        is_right = len(shown) == len(wanted) and all(any(text.startswith(start) for text in shown) for start in wanted)
        return "" if is_right else f"{kind}: wanted once each {wanted}, shown {shown}"


@asynccontextmanager
async def kill_bed(folder: Path) -> AsyncIterator[KillBed]:
    """A sandbox whose processes are armed; the environment must name `fault_file(folder)` as `VARIABLE`."""
    state = folder / "state"
    script = folder / "script.toml"
    script.write_text(_SCRIPT)
    paths = Paths.resolve(state)
    lift_budgets(paths)
    overlay_file(paths.policies / "nanoclaw.toml", _POLICY)
    options = SandboxOptions.parse(state=state, port_base=0, script=script, quiet=True)
    async with running_sandbox(options) as sandbox:
        yield KillBed(sandbox, fault_file(folder))


def fault_file(folder: Path) -> Path:
    """Where the name of the next place is written."""
    return folder / "die-at"


async def until(condition: Callable[[], bool], timeout_s: float, reason: str) -> None:
    """Poll until a condition holds.

    Raises:
        AssertionError: it did not in time.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(reason)
        await asyncio.sleep(0.02)


__all__ = ["AFTER_ANOTHER", "COLD", "VARIABLE", "KillBed", "fault_file", "kill_bed", "kind_for", "until"]
