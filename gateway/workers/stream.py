"""The live output and input of one worker: attach, number, catch up after a restart, notice the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

from gateway.workers.engine import Attachment, Container, Engine
from gateway.workers.frames import STDOUT, LineSplitter
from gateway.workers.lines import Line, LineRing
from gateway.workers.reconcile import (
    TAIL_LINES,
    Checkpoint,
    fingerprint,
    join_index,
    number_of_oldest,
    tail_of,
    whole_lines,
)
from shared.errors import Conflict, GatewayError, NotFound, Unavailable
from shared.gatewayclient.models import WorkerEvent
from shared.lifecycle.backoff import Backoff
from shared.obs.log import get_logger

_log = get_logger(__name__)

_CATCH_UP_DELAYS_S = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 3.0)
"""When to look again after joining: a line may have passed just before us and reach the log just after."""

_TICK_S = 0.05
_SETTLED_TICKS = 10
_HOPELESS_TICKS = 200

_CHECKPOINT_BYTES = 1024 * 1024
_STDERR_LIMIT = 4096


class WorkerStream:
    """Reads a container until it ends; any number of readers follow by line number.

    Always drains: a worker whose output nobody takes stands still.

    Args:
        on_progress: called with a checkpoint now and then, so that a later gateway can number the log.
    """

    def __init__(
        self,
        engine: Engine,
        container_id: str,
        *,
        ring_bytes: int,
        on_progress: Callable[[Checkpoint], object] = lambda _: None,
    ) -> None:
        self._engine = engine
        self._id = container_id
        self._ring_bytes = ring_bytes
        self._on_progress = on_progress
        self._attachment: Attachment | None = None
        self._ring = LineRing(ring_bytes)
        self._splitter = LineSplitter()
        self._first = ""
        self._unsaved_bytes = 0
        self._known = 0
        """Lines still to come live that were published from the log, which may be ahead of us."""
        self._stderr = ""
        self._heal_input = False
        self._write_lock = asyncio.Lock()
        self._joined = asyncio.Event()
        """Lines have their numbers: readers may start."""
        self._ready = asyncio.Event()
        """Input can be sent, or never again."""
        self.readers = 0

    # --- for readers -----------------------------------------------------------
    @property
    def lines(self) -> int:
        """Lines of standard output so far."""
        return self._ring.lines

    @property
    def finished(self) -> bool:
        """The exit event is in the ring."""
        return self._ring.finished

    @property
    def stderr_tail(self) -> str:
        """The end of what the worker said on standard error."""
        return self._stderr

    async def follow(self, after: int) -> AsyncIterator[Line | WorkerEvent]:
        """Everything after line `after`, to the exit event."""
        await self._joined.wait()
        self.readers += 1
        try:
            async for item in self._ring.follow(after, self._older):
                yield item
        finally:
            self.readers -= 1

    async def write(self, data: bytes) -> None:
        """Send bytes to the worker's stdin, whole lines at a time.

        Raises:
            Unavailable: the worker is gone.
        """
        async with self._write_lock:
            await self._ready.wait()
            if self._attachment is None or self.finished:
                raise Unavailable("the worker has ended", code="worker.gone", retryable=False)
            if self._heal_input:
                # The gateway before us may have died within a line: an empty line is harmless, half a message is not.
                data = b"\n" + data
                self._heal_input = False
            await self._attachment.write(data)

    async def joined(self) -> None:
        """Wait until the worker can be written to, or has ended."""
        await self._ready.wait()

    def checkpoint(self, *, run_id: str = "", standby: bool = False) -> Checkpoint:
        """What the next gateway should know."""
        kept = self._ring.newest_lines(TAIL_LINES)
        return Checkpoint(line=self._ring.lines, first=self._first, tail=tail_of(kept), run_id=run_id, standby=standby)

    def finish(self, event: WorkerEvent) -> None:
        """Give the readers their exit event; a second one is ignored."""
        if not self._ring.finished:
            self._ring.add_event(event)
        self._joined.set()
        self._ready.set()

    async def close(self) -> None:
        """Let go of the container; it goes on."""
        attachment, self._attachment = self._attachment, None
        self._ready.clear()
        if attachment is not None:
            await attachment.close()

    # --- reading -----------------------------------------------------------
    async def run(self, attachment: Attachment | None, noted: Checkpoint | None = None) -> Container | None:
        """Read until the container ends.

        Args:
            attachment: streams joined before the container started; None to catch up with a running one.
            noted: what the gateway before us left about it.

        Returns:
            The ended container, or None when the engine no longer knows it.
        """
        if attachment is not None:
            self._use(attachment)
            self._joined.set()
            await self._drain(attachment)
        while True:
            ended, container = await self._has_ended()
            if ended:
                if attachment is None or not self._joined.is_set():
                    await self._catch_up_dead(noted)
                self._flush()
                await self.close()
                self._joined.set()
                return container
            noted = self.checkpoint() if self._joined.is_set() else noted
            self._heal_input = True
            try:
                attachment = await self._join(noted or Checkpoint())
            except (Conflict, NotFound, Unavailable) as error:
                _log.info("worker.join_failed", container=self._id[:12], reason=error.detail)
                attachment = None
                await asyncio.sleep(0.2)
                continue
            if attachment is not None:
                await self._drain(attachment)

    def _use(self, attachment: Attachment) -> None:
        self._attachment = attachment
        self._ready.set()

    async def _has_ended(self) -> tuple[bool, Container | None]:
        """Ask the engine, patiently: one that restarts answers again in a moment."""
        backoff = Backoff(base_s=0.05, ceiling_s=2.0)
        while True:
            try:
                container = await self._engine.inspect(self._id)
            except NotFound:
                return True, None
            except GatewayError as error:
                if backoff.attempts > 20:
                    _log.warning("worker.engine_lost", container=self._id[:12], reason=error.detail)
                    return True, None
                await asyncio.sleep(backoff.next_delay_s())
                continue
            if container.running and backoff.attempts == 0 and self._attachment is not None:
                # Output ends a moment before the engine calls the container dead.
                await self.close()
                for delay_s in (0.01, 0.03, 0.1, 0.3):
                    await asyncio.sleep(delay_s)
                    with suppress(GatewayError):
                        container = await self._engine.inspect(self._id)
                        if not container.running:
                            break
            return not container.running, container

    async def _drain(self, attachment: Attachment) -> None:
        while frames := await attachment.read():
            for line in self._take(frames):
                if self._known:
                    self._known -= 1
                else:
                    self._publish(line)

    def _take(self, frames: list[tuple[int, bytes]]) -> list[bytes]:
        """Lines of standard output that these pieces complete; standard error is passed on at once."""
        lines: list[bytes] = []
        for stream, data in frames:
            if stream == STDOUT:
                before = self._splitter.dropped
                lines += self._splitter.feed(data)
                if self._splitter.dropped > before:
                    _log.warning("worker.line_dropped", container=self._id[:12], reason="longer than a message may be")
            else:
                self._complain(data)
        return lines

    def _publish(self, line: bytes) -> None:
        if self._ring.append(line) == 1:
            self._first = fingerprint(line)
        self._unsaved_bytes += len(line) + 1
        if self._unsaved_bytes >= _CHECKPOINT_BYTES:
            self._unsaved_bytes = 0
            self._on_progress(self.checkpoint())

    def _complain(self, data: bytes) -> None:
        text = data.decode(errors="replace")
        self._stderr = (self._stderr + text)[-_STDERR_LIMIT:]
        self._ring.add_event(WorkerEvent(event="stderr", text=text[-_STDERR_LIMIT:]))

    def _flush(self) -> None:
        if tail := self._splitter.flush():
            self._publish(tail)

    # --- catching up -----------------------------------------------------------
    def _publish_log(self, log: list[bytes], noted: Checkpoint) -> int:
        """Publish what the log has beyond the ring; returns the number of the log's first line."""
        oldest = number_of_oldest(log, noted)
        if not self._joined.is_set():
            self._ring = LineRing(self._ring_bytes, first=oldest)
            self._first = noted.first or (fingerprint(log[0]) if log and oldest == 1 else "")
            self._joined.set()
        for line in log[max(0, self._ring.lines - oldest + 1) :]:
            self._publish(line)
        return oldest

    async def _catch_up_dead(self, noted: Checkpoint | None) -> None:
        with suppress(GatewayError):
            log = await self._engine.logs(self._id)
            self._splitter.flush()
            self._publish_log(whole_lines(log), noted or self.checkpoint())
            self._splitter.feed(log[log.rfind(b"\n") + 1 :])
            self._complain_late(await self._engine.error_logs(self._id))

    def _complain_late(self, text: str) -> None:
        self._stderr = text[-_STDERR_LIMIT:]

    async def _join(self, noted: Checkpoint) -> Attachment | None:
        """Attach to a running container and bring log and live output together without losing or doubling a line.

        Returns:
            The attachment to go on reading, or None when it ended meanwhile.
        """
        self._splitter.flush()
        self._known = 0
        before = len(whole_lines(await self._engine.logs(self._id)))
        attachment = await self._engine.attach(self._id)
        joined = False
        try:
            joined = await self._align(attachment, before, noted)
        finally:
            if not joined:
                self._attachment = None
                self._ready.clear()
                await attachment.close()
        return attachment if joined else None

    async def _align(self, attachment: Attachment, before: int, noted: Checkpoint) -> bool:
        live: list[bytes] = []
        quiet = iter(_CATCH_UP_DELAYS_S)
        ticks = 0
        oldest = self._publish_log(whole_lines(await self._engine.logs(self._id)), noted)
        self._use(attachment)  # input may flow at once; only the numbering of output has to wait
        while True:
            frames = await _read_within(attachment, _TICK_S if live else next(quiet, None))
            if frames is None:
                ticks += 1
            elif not frames:
                return False
            else:
                ticks = 0
                live += self._take(frames)
                if not live:
                    continue
            log = whole_lines(await self._engine.logs(self._id))
            self._publish_log(log, noted)
            index = join_index(log, live, not_before=before, settled=bool(live) and ticks >= _SETTLED_TICKS)
            if index is None and ticks < _HOPELESS_TICKS:
                continue
            if index is None and not live:
                continue
            if index is None:
                _log.warning("worker.numbering_guessed", container=self._id[:12], lines=len(live))
                index = len(log)
            known = self._ring.lines - oldest + 1 - index
            for line in live[max(0, known) :]:
                self._publish(line)
            self._known = max(0, known - len(live))
            return True

    async def _older(self, first: int, last: int) -> list[Line]:
        """Lines that memory has let go of, from the engine's log."""
        try:
            log = whole_lines(await self._engine.logs(self._id))
        except GatewayError:
            return []
        oldest = number_of_oldest(log, self.checkpoint())
        return [(oldest + i, line) for i, line in enumerate(log) if first <= oldest + i <= last]


async def _read_within(attachment: Attachment, limit_s: float | None) -> list[tuple[int, bytes]] | None:
    """The next output, or None when nothing came in time. Giving up a read loses nothing."""
    try:
        async with asyncio.timeout(limit_s):
            return await attachment.read()
    except TimeoutError:
        return None
