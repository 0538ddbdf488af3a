"""Freezing a worker that rests and letting it go on."""

from __future__ import annotations

from contextlib import suppress

from gateway.workers.engine import Engine
from gateway.workers.worker import Worker
from shared.errors import GatewayError, NotFound
from shared.obs.log import get_logger

_log = get_logger(__name__)


class Freezer:
    """Pauses and unpauses; `Worker.freezing` is held meanwhile, so that a run that begins waits for its end.

    Attributes:
        can_pause: the engine has not refused it.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.can_pause = True

    async def pause(self, worker: Worker) -> None:
        """Freeze a resting worker and see how much memory it holds. An engine that cannot is asked only once."""
        async with worker.freezing:
            if worker.state != "idle" or not self.can_pause:
                return
            try:
                await self._engine.pause(worker.container)
            except NotFound:
                return  # it is just ending
            except GatewayError as error:
                self.can_pause = error.code != "engine.refused"
                _log.warning("worker.pause_failed", worker=worker.worker_id, reason=error.detail)
                return
            if worker.state == "idle":  # it may have ended meanwhile
                worker.state, worker.is_ready = "paused", True
        with suppress(GatewayError):
            worker.memory_bytes = await self._engine.memory_bytes(worker.container)

    async def unpause(self, worker: Worker) -> None:
        """Let a worker go on; the caller holds `freezing`. One that is not paused is left as it is.

        Raises:
            NotFound: it has ended.
            Unavailable: the engine does not answer; it stays paused.
        """
        if worker.state != "paused":
            return
        try:
            await self._engine.unpause(worker.container)
        except NotFound:
            raise NotFound(f"worker {worker.worker_id!r} has ended", code="worker.not_found") from None
        if worker.state == "paused":
            worker.state = "idle"
