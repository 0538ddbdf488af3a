"""The page with a process's figures: ``http://127.0.0.1:<port>/metrics`` and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import GatewayError
from shared.http.unixserver import AsgiListeners
from shared.lifecycle.tasks import TaskPool
from shared.metrics.figures import Catalogue, Durations, Figure, Sheet
from shared.obs.log import get_logger

_log = get_logger(__name__)
_HOSTS: Final = frozenset({"localhost", "127.0.0.1"})
_LAG_BOUNDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_SAMPLE_S: Final = 1.0
_TEXT: Final = b"text/plain; version=0.0.4; charset=utf-8"


class Source(Protocol):
    """A process that has figures."""

    @property
    def catalogue(self) -> Catalogue:
        """All that there may be."""

    async def fill(self, sheet: Sheet) -> None:
        """Fill in what there is now."""


def with_process_figures(prefix: str, catalogue: Catalogue) -> Catalogue:
    """A catalogue with the figures that `serving_metrics` adds to every process's."""
    return {
        **catalogue,
        f"{prefix}_uptime_seconds": Figure("gauge", "Seconds since this process began to serve."),
        f"{prefix}_event_loop_lag_seconds": Figure(
            "histogram", "How much later than asked the event loop came back, sampled once a second."
        ),
    }


@asynccontextmanager
async def serving_metrics(source: Source, prefix: str, port: int, clock: Clock = SYSTEM_CLOCK) -> AsyncIterator[int]:
    """Serve figures on 127.0.0.1 while the block runs; yields the port.

    Args:
        source: its catalogue is made by `with_process_figures`.
        prefix: what its names begin with.
        port: 0 takes any free one.
        clock: for lag and uptime.

    Raises:
        Occupied: another program holds the port.
    """
    page = _Page(source, prefix, clock)
    pool = TaskPool("metrics")
    async with AsgiListeners(page) as listeners:
        bound = await listeners.add_tcp("127.0.0.1", port, state={})
        pool.start(page.sample(), name="lag")
        try:
            yield bound
        finally:
            await pool.close()


class _Page:
    def __init__(self, source: Source, prefix: str, clock: Clock) -> None:
        from prometheus_client import ProcessCollector

        self._source, self._prefix, self._clock = source, prefix, clock
        self._began_s = clock.monotonic()
        self._lag = Durations(_LAG_BOUNDS)
        self._process = ProcessCollector(registry=None)

    async def sample(self) -> None:
        while True:
            before = self._clock.monotonic()
            await asyncio.sleep(_SAMPLE_S)
            self._lag.observe(max(0.0, self._clock.monotonic() - before - _SAMPLE_S))

    async def _text(self) -> bytes:
        from prometheus_client import generate_latest

        sheet = Sheet(self._source.catalogue)
        sheet.put(f"{self._prefix}_uptime_seconds", self._clock.monotonic() - self._began_s)
        sheet.put_durations(f"{self._prefix}_event_loop_lag_seconds", self._lag)
        await self._source.fill(sheet)
        return generate_latest(_Given([*sheet.families(), *self._process.collect()]))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401, ARG002 - ASGI's
        if scope["type"] != "http":
            return
        status, kind, body = 404, b"text/plain; charset=utf-8", b"Not Found: the figures are at /metrics\n"
        if scope["path"] == "/metrics" and scope["method"] in {"GET", "HEAD"} and _names_this_machine(scope):
            try:
                status, kind, body = 200, _TEXT, await self._text()
            except GatewayError as error:
                _log.warning("metrics.failed", reason=error.detail)
                status, body = 503, b"the figures cannot be read now; the process's log says why\n"
        headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


class _Given:
    """Families that were collected already, in a registry's place."""

    def __init__(self, families: list[Any]) -> None:
        self._families = families

    def collect(self) -> Iterator[Any]:
        yield from self._families


def _names_this_machine(scope: Any) -> bool:  # noqa: ANN401 - ASGI's
    """A page elsewhere that had its name resolved to 127.0.0.1 is not shown anything."""
    hosts = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
    return len(hosts) == 1 and hosts[0].rpartition(":")[0] in _HOSTS
