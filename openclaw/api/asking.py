"""One run of the agent on behalf of an HTTP request: the prompt, the session, and the words as they come."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from openclaw.api.errors import API_ERROR, INVALID, ApiError
from openclaw.api.requests import Receive
from openclaw.runs import Outcome, Runs, clean_message
from openclaw.sessions import AGENT_ID, SessionOrigin, canonical_key
from shared.errors import GatewayError
from shared.lifecycle.tasks import TaskPool

MODEL: Final = "openclaw"
QUIET_S: Final = 20.0
"""Silence after which a stream says something: the edge cuts an answer that is quiet for two minutes."""
_ORIGIN: Final = SessionOrigin(channel="api")
_MODEL_NAMES: Final = re.compile(r"(?:openclaw|agent)(?:[:/](?P<agent>.+))?")


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a request, as text."""

    role: str
    text: str


def check_agent(model: str, headers: Mapping[str, str]) -> None:
    """The one agent must be meant: ``openclaw``, ``openclaw:main``, ``agent:main``; the header wins.

    Raises:
        ApiError: 400 for any other.
    """
    found = _MODEL_NAMES.fullmatch(model.strip())
    if found is None:
        raise ApiError(400, f"unknown model {model!r}: use {MODEL!r}, which answers with the agent's own models")
    agent = headers.get("x-openclaw-agent-id") or found["agent"] or AGENT_ID
    if agent.strip().lower() != AGENT_ID:
        raise ApiError(400, f"unknown agent id {agent!r}; there is {AGENT_ID!r}")


def session_key(headers: Mapping[str, str], user: str | None, kind: str) -> str:
    """The session of a request: the one its header names, the one of its `user`, or one of its own.

    Raises:
        Invalid: the header is no session key.
    """
    if named := headers.get("x-openclaw-session-key"):
        return canonical_key(named)
    if user:
        digest = hashlib.sha256(user.encode()).hexdigest()[:16]
        return canonical_key(f"{kind}-user:{digest}")
    return canonical_key(f"{kind}:{uuid4()}")


def prompt_of(turns: Sequence[Turn], instructions: str = "") -> str:
    """All turns as one message: what was said before is quoted, the last word is the question.

    Raises:
        ApiError: 400 when there is no question.
    """
    standing = [turn.text for turn in turns if turn.role in {"system", "developer"}]
    spoken = [turn for turn in turns if turn.role not in {"system", "developer"} and turn.text.strip()]
    if not spoken or spoken[-1].role == "assistant":
        raise ApiError(400, "the last message must be the user's, with some text")
    parts = ["\n\n".join(text for text in (instructions, *standing) if text.strip())]
    if len(spoken) > 1:
        before = "\n".join(f"{turn.role.capitalize()}: {turn.text}" for turn in spoken[:-1])
        parts.append(f"Conversation so far:\n{before}")
    parts.append(spoken[-1].text)
    return clean_message("\n\n".join(part for part in parts if part))


class Asked:
    """A run under way.

    Attributes:
        run_id: of the run; names the session's entry, too.
    """

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self._news = asyncio.Event()
        self._text = ""
        self._told = ""
        self._outcome: Outcome | GatewayError | None = None

    def hear(self, text: str) -> None:
        """Take the run's whole text so far."""
        self._text = text
        self._news.set()

    def end(self, outcome: Outcome | GatewayError) -> None:
        """Take its outcome; the first one counts."""
        self._outcome = self._outcome or outcome
        self._news.set()

    @property
    def is_over(self) -> bool:
        """The outcome is there."""
        return self._outcome is not None

    async def pieces(self) -> AsyncIterator[str]:
        """New words as they come, and an empty piece for every while without any; raises as `answer` does."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(QUIET_S):
                    await self._news.wait()
            if not self._news.is_set():
                yield ""
                continue
            self._news.clear()
            done = self.is_over
            if piece := self._piece(self._answer() if done else self._text):
                yield piece
            if done:
                return

    async def answer(self) -> str:
        """The whole answer.

        Raises:
            ApiError: the run failed or was stopped.
        """
        async for _ in self.pieces():
            continue
        return self._answer()

    def _piece(self, text: str) -> str:
        """What is new. When another model began the answer again, it follows on a new line: nothing can be unsaid."""
        same = text.startswith(self._told)
        piece = text[len(self._told) :] if same else f"\n{text}"
        self._told = text
        return piece

    def _answer(self) -> str:
        match self._outcome:
            case Outcome(state="ok", text=text):
                return text
            case Outcome(state="error", error=error, retryable=retryable):
                raise ApiError(503 if retryable else 502, error, API_ERROR)
            case GatewayError() as error:
                raise error
        raise ApiError(499, "the run was stopped", INVALID)


@asynccontextmanager
async def asking(runs: Runs, key: str, prompt: str, run_id: str, receive: Receive) -> AsyncIterator[Asked]:
    """Ask the agent; when the client leaves, or the block ends early, the run is stopped."""
    asked = Asked(run_id)
    pool = TaskPool("api")

    async def work() -> None:
        try:
            asked.end(await runs.ask(key, prompt, run_id, source="api", origin=_ORIGIN, on_text=asked.hear))
        except GatewayError as error:
            asked.end(error)
        finally:
            asked.end(Outcome("aborted"))  # when we are being stopped: whoever waits for words must not wait for ever

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            continue
        await runs.abort(key, run_id, "rpc")

    pool.start(work(), name="run")
    pool.start(watch(), name="watch")
    try:
        yield asked
    finally:
        if not asked.is_over:
            await runs.abort(key, run_id, "rpc")
        await pool.close()
