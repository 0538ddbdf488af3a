"""A conversation with one live worker: connect once, ask many times."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nanoclaw.agent.errors import SessionMissing, WorkerLost
from nanoclaw.agent.host import AgentHost
from nanoclaw.agent.stdio import ByteLines
from nanoclaw.agent.stream import AgentEvent, Done, translate
from nanoclaw.agent.transport import WorkerTransport
from shared.errors import DeadlineExceeded, GatewayError
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger

if TYPE_CHECKING:
    from claude_agent_sdk import ClaudeSDKClient, Message

_log = get_logger(__name__)
_QUIET_S = 0.3
_SETTLE_LIMIT_S = 5.0
_NO_CONVERSATION = "No conversation found"
_REASONS = {
    "": "it ended by itself",
    "stopped": "it was stopped",
    "evicted": "its place was needed by another group",
    "idle": "it was idle for too long",
    "oom": "it ran out of memory",
    "crashed": "it crashed",
    "gateway": "the gateway no longer has it",
}


class AgentSession:
    """One worker's conversation.

    Concurrency: one `ask` at a time; a task of its own reads the worker all the while, so that its end is noticed
    between questions too.

    Args:
        worker_id: for the log.
        stream: the worker's stdio, attached from the first line that is ours.
        host: what is served to the agent.
        is_adopted: the worker already talked with an earlier process of ours.
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
        spent_usd: float | None = 0.0,
        on_lost: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.worker_id = worker_id
        self.spent_usd = spent_usd
        self._transport = WorkerTransport(stream, greet=host.server_name if is_adopted else "")
        self._host = host
        self._on_lost = on_lost
        self._client: ClaudeSDKClient | None = None
        self._tasks = TaskPool(f"agent.{worker_id}")
        self._events: asyncio.Queue[AgentEvent | None] = asyncio.Queue()
        self._asked = ""
        self._messages = 0
        self._lost: GatewayError | None = None
        self._closed = False

    @property
    def is_alive(self) -> bool:
        """Another `ask` makes sense."""
        return self._client is not None and self._lost is None and not self._closed

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

    async def settle(self) -> None:
        """Wait until the command line has met our tools and is quiet: one that is frozen before that is woken again."""
        await self._transport.settle(quiet_s=_QUIET_S, limit_s=_SETTLE_LIMIT_S)

    async def ask(self, prompt: str | list[dict[str, Any]], *, silence_s: float) -> AsyncIterator[AgentEvent]:
        """Put a question and hear what comes, up to and including `Done`.

        Args:
            prompt: text for the agent, or content blocks of the Messages API.
            silence_s: seconds without any sign of the agent after which it is given up.

        Raises:
            WorkerLost: the worker ended before the answer was complete.
            DeadlineExceeded: nothing was heard for too long; the worker should be ended.
        """
        if self._client is None or self._lost is not None:
            raise self._lost or WorkerLost("the agent is not connected", worker=self.worker_id)
        while not self._events.empty():
            self._events.get_nowait()
        self._asked = str(uuid.uuid4())
        try:
            await self._client.query(
                _once(
                    {
                        "type": "user",
                        "uuid": self._asked,
                        "parent_tool_use_id": None,
                        "message": {"role": "user", "content": prompt},
                    }
                )
            )
        except GatewayError as error:
            raise WorkerLost(f"the agent could not be reached: {error.detail}", worker=self.worker_id) from None
        while True:
            heard = self._messages
            try:
                async with asyncio.timeout(silence_s):
                    event = await self._events.get()
            except TimeoutError:
                if self._messages != heard:
                    continue  # a long job makes no events of ours, but it is not silent
                raise DeadlineExceeded(f"the agent said nothing for {silence_s:.0f} s", code="agent.silent") from None
            if event is None:
                raise self._lost or WorkerLost("the agent is gone", worker=self.worker_id)
            yield event
            if isinstance(event, Done):
                return

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
                _log.warning("agent.message_dropped", worker=self.worker_id, reason=str(error)[:200])
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

    def _heard(self, message: Message) -> None:
        self._messages += 1
        for event in translate(message):
            if isinstance(event, Done) and not self._is_ours(message):
                _log.info("agent.result_skipped", worker=self.worker_id, reason="it answers another prompt")
                continue
            self._events.put_nowait(self._priced(event) if isinstance(event, Done) else event)

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
        if _NO_CONVERSATION in heard:
            return SessionMissing("the agent's earlier conversation is gone", worker=self.worker_id)
        if (exit_event := self._transport.exit) is not None:
            why = _REASONS[exit_event.reason]
            return WorkerLost(f"the agent's worker is gone: {why} (code {exit_event.code})", worker=self.worker_id)
        return WorkerLost(f"the agent's worker cannot be used: {type(error).__name__}", worker=self.worker_id)


async def _once(message: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    yield message
