"""A conversation with one live worker: connect once, ask many times."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nanoclaw.agent.errors import SessionMissing, WorkerLost
from nanoclaw.agent.host import AgentHost
from nanoclaw.agent.replay import Calls
from nanoclaw.agent.stdio import ByteLines
from nanoclaw.agent.stream import AgentEvent, Done, translate
from nanoclaw.agent.transport import WorkerTransport, is_worth_a_line
from shared.errors import DeadlineExceeded, GatewayError
from shared.lifecycle.faultpoints import fault_point
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger

if TYPE_CHECKING:
    from claude_agent_sdk import ClaudeSDKClient, Message

_log = get_logger(__name__)
_QUIET_S = 0.3
_SETTLE_LIMIT_S = 5.0
_NO_CONVERSATION = ("No conversation found", "Failed to resume session")
"""What the command line says on standard error when a transcript is gone or cannot be read at all."""
_INTERRUPT_AGAIN_S = 0.5
_REASONS = {
    "": "it ended by itself",
    "stopped": "it was stopped",
    "evicted": "its place was needed by another group",
    "idle": "it was idle for too long",
    "oom": "it ran out of memory",
    "disk": "the files of its group took more than twice what they may",
    "crashed": "it crashed",
    "gateway": "the gateway no longer has it",
}


class AgentSession:
    """One worker's conversation.

    Concurrency: one `ask` at a time; `interrupt` while it runs. A task of its own reads the worker all the while, so
    that its end is noticed between questions too.

    Args:
        worker_id: for the log.
        stream: the worker's stdio, attached from the first line that is ours.
        host: what is served to the agent.
        is_adopted: the worker already talked with an earlier process of ours.
        is_fresh: it did, but was not asked anything yet; the stream begins with its first line.
        in_turn: uuid of the prompt that process had put, when its turn is to be heard from `line` on; empty otherwise.
        line: number of the last stdout line before the stream.
        spent_usd: what the conversation had cost before, None when that is not known.
        on_lost: told the reason when the worker ends while we hold it; empty when it is not known.
    """

    def __init__(
        self,
        worker_id: str,
        stream: ByteLines,
        host: AgentHost,
        *,
        is_adopted: bool = False,
        is_fresh: bool = False,
        in_turn: str = "",
        line: int = 0,
        spent_usd: float | None = 0.0,
        on_lost: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.worker_id = worker_id
        self.spent_usd = spent_usd
        greet = host.server_name if is_adopted else ""
        self._transport = WorkerTransport(stream, greet=greet, replay=is_fresh or bool(in_turn), line=line)
        if not in_turn:
            self._transport.listen()
        self._host = host
        self._on_lost = on_lost
        self._client: ClaudeSDKClient | None = None
        self._tasks = TaskPool(f"agent.{worker_id}")
        self._events: asyncio.Queue[AgentEvent | None] = asyncio.Queue()
        self._in_turn = in_turn
        self._asked = in_turn  # empty between two turns
        self._turn_over = asyncio.Event()
        self._messages = 0
        self._unreadable = 0
        self._lost: GatewayError | None = None
        self._closed = False

    @property
    def is_alive(self) -> bool:
        """Another `ask` makes sense."""
        return self._client is not None and self._lost is None and not self._closed

    @property
    def line(self) -> int:
        """Number of the last stdout line that was read."""
        return self._transport.line

    @property
    def is_in_turn(self) -> bool:
        """An earlier process asked something whose answer is still to be heard."""
        return bool(self._in_turn)

    @property
    def calls_before(self) -> Calls:
        """Calls of our tools that the earlier process dealt with in this turn: their numbers by tool."""
        return {} if self._transport.past is None else self._transport.past.dealt_with

    async def open(self) -> None:
        """Say hello to the command line and wait until it answers.

        Raises:
            SessionMissing: the worker was to resume a conversation that has no transcript.
            WorkerLost: it ended before it was ready.
        """
        from claude_agent_sdk import ClaudeSDKClient

        client = ClaudeSDKClient(self._host.options(), transport=self._transport)
        try:
            await client.connect()
        except GatewayError as error:
            raise WorkerLost(f"the agent could not be reached: {error.detail}", worker=self.worker_id) from None
        except Exception as error:  # noqa: BLE001 - the SDK raises bare Exception for its control requests
            raise self._why(error) from None
        self._client = client
        self._tasks.start(self._read(client), name="read")

    async def warm_up(self, *, limit_s: float = 10.0) -> None:
        """Have the command line load now what its first turn would load; one that does not is none the worse for it.

        Counting what its context holds needs the prompt, the memory files, the skills and our tools, as a turn does,
        but no model.
        """
        if self._client is None:
            return
        try:
            async with asyncio.timeout(limit_s):
                await self._client.get_context_usage()
        except Exception as error:  # noqa: BLE001 - the SDK raises bare Exception for its control requests
            _log.info("agent.not_warmed", worker=self.worker_id, reason=f"{type(error).__name__}: {error}"[:200])

    async def settle(self) -> None:
        """Wait until the command line has met our tools and is quiet: one that is frozen before that is woken again."""
        await self._transport.settle(quiet_s=_QUIET_S, limit_s=_SETTLE_LIMIT_S)

    async def ask(
        self, prompt: str | list[dict[str, Any]], *, silence_s: float, prompt_id: str = ""
    ) -> AsyncIterator[AgentEvent]:
        """Put a question and hear what comes, up to and including `Done`.

        Args:
            prompt: text for the agent, or content blocks of the Messages API.
            silence_s: seconds without any sign of the agent after which it is given up. While it waits for a tool
                of ours, it is not silent.
            prompt_id: uuid of the question. One that the worker has seen is not asked again (see `replay`), so the
                question of an earlier process is put with its own.

        Raises:
            WorkerLost: the worker ended before the answer was complete.
            DeadlineExceeded: nothing was heard for too long; the worker should be ended.
        """
        if self._client is None or self._lost is not None:
            raise self._lost or WorkerLost("the agent is not connected", worker=self.worker_id)
        prompt_id = prompt_id or str(uuid.uuid4())
        if prompt_id != self._in_turn:  # else its answer is being heard already
            self._begin_turn(prompt_id)
        self._in_turn = ""
        self._transport.listen()
        await self._write(self._client, prompt, prompt_id)
        while True:
            event = await self._next_event(silence_s)
            yield event
            if isinstance(event, Done):
                return

    def _begin_turn(self, prompt_id: str) -> None:
        while not self._events.empty():
            self._events.get_nowait()
        self._asked = prompt_id
        self._turn_over.clear()

    async def _write(self, client: ClaudeSDKClient, prompt: str | list[dict[str, Any]], prompt_id: str) -> None:
        message = {"role": "user", "content": prompt}
        question = {"type": "user", "uuid": prompt_id, "parent_tool_use_id": None, "message": message}
        try:
            await client.query(_once(question))
        except GatewayError as error:
            raise WorkerLost(f"the agent could not be reached: {error.detail}", worker=self.worker_id) from None
        fault_point("run.prompt_written")

    async def _next_event(self, silence_s: float) -> AgentEvent:
        while True:
            heard = self._messages
            try:
                async with asyncio.timeout(silence_s):
                    event = await self._events.get()
            except TimeoutError:
                if self._messages != heard or self._transport.is_serving:
                    continue  # a long job makes no events of ours, but it is not silent
                raise DeadlineExceeded(f"the agent said nothing for {silence_s:.0f} s", code="agent.silent") from None
            if event is None:
                raise self._lost or WorkerLost("the agent is gone", worker=self.worker_id)
            return event

    async def interrupt(self, *, within_s: float = 5.0) -> bool:
        """Have the agent give up its turn; whoever asked hears a `Done` that is aborted.

        It is asked repeatedly: a prompt that the command line has not begun yet is not given up at the first time
        (it answers ``still_queued``).

        Returns:
            Whether the turn was over within `within_s` seconds; if not, end the worker.
        """
        if self._client is None:
            return False
        try:
            async with asyncio.timeout(within_s):
                while self._asked and self._lost is None:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_INTERRUPT_AGAIN_S):
                            await self._client.interrupt()
                            await self._turn_over.wait()
        except TimeoutError:
            return False
        except Exception as error:  # noqa: BLE001 - the SDK raises bare Exception for its control requests
            _log.info("agent.interrupt_failed", worker=self.worker_id, reason=str(error)[:200])
            return False
        return self._lost is None

    async def close(self) -> None:
        """Detach; whether the worker lives on is the gateway's business."""
        self._closed = True
        if self._client is not None:
            await self._client.disconnect()
        else:
            await self._transport.close()
        await self._tasks.close()

    async def _read(self, client: ClaudeSDKClient) -> None:
        from claude_agent_sdk._errors import MessageParseError  # not exported

        while True:
            try:
                async for message in client.receive_messages():
                    self._heard(message)
            except MessageParseError as error:
                # One message the SDK cannot read is no reason to give up the worker; the next may be the result.
                self._unreadable += 1
                if is_worth_a_line(self._unreadable):
                    reason = str(error)[:200]
                    _log.warning("agent.message_dropped", worker=self.worker_id, reason=reason, so_far=self._unreadable)
                continue
            except GatewayError as error:
                self._lost = WorkerLost(f"the agent cannot be heard: {error.detail}", worker=self.worker_id)
            except Exception as error:  # noqa: BLE001 - whatever the SDK raises here means that the stream is over
                self._lost = self._why(error)
            break
        self._lost = self._lost or WorkerLost("the agent's stream ended", worker=self.worker_id)
        if not self._closed:
            _log.info("agent.lost", worker=self.worker_id, reason=self._lost.detail)
            self._on_lost(self._transport.exit.reason if self._transport.exit else "")
        self._events.put_nowait(None)
        self._turn_over.set()

    def _heard(self, message: Message) -> None:
        self._messages += 1
        if not self._asked:
            return  # nobody listens, and what is said between two turns must not pile up
        for event in translate(message):
            if isinstance(event, Done) and not self._is_ours(message):
                _log.info("agent.result_skipped", worker=self.worker_id, reason="it answers another prompt")
                continue
            if isinstance(event, Done):
                event = self._priced(event)
                self._asked = ""
                self._turn_over.set()
            self._events.put_nowait(event)

    def _priced(self, done: Done) -> Done:
        """The command line reports what the whole conversation cost so far; a turn's price is the difference."""
        total, before = done.usage.cost_usd, self.spent_usd
        self.spent_usd = total
        turn = 0.0 if before is None else total - before if total >= before else total
        return replace(done, usage=replace(done.usage, cost_usd=turn))

    def _is_ours(self, message: Message) -> bool:
        """A background task of the agent can end a turn of its own; only the result for our prompt ends ours."""
        answered: list[str] | None = getattr(message, "user_message_uuids", None)
        return not answered or self._asked in answered

    def _why(self, error: Exception) -> GatewayError:
        heard = f"{error}\n" + "\n".join(self._transport.stderr)
        if any(words in heard for words in _NO_CONVERSATION):
            return SessionMissing("the agent's earlier conversation is gone", worker=self.worker_id)
        if (exit_event := self._transport.exit) is not None:
            why = _REASONS[exit_event.reason]
            code = "worker.disk" if exit_event.reason == "disk" else None
            told = f"the agent's worker is gone: {why} (code {exit_event.code})"
            return WorkerLost(told, code=code, worker=self.worker_id)
        return WorkerLost(f"the agent's worker cannot be used: {type(error).__name__}", worker=self.worker_id)


async def _once(message: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    yield message
