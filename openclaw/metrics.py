"""Figures for Prometheus: counted where things happen, read when somebody asks, on a loopback listener of their own.

Names are ``openclaw_<noun>_<unit>``; labels come from closed sets, never from what a visitor sends.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from openclaw.protocol.handshake import is_loopback_host
from shared.http.unixserver import AsgiListeners
from shared.lifecycle.tasks import TaskPool

if TYPE_CHECKING:
    from openclaw.services import Services

NAMES: Final[Mapping[str, str]] = {
    "openclaw_connections": "Open WebSocket connections after their handshake, by role.",
    "openclaw_connects_total": "Handshakes by outcome: ok, or the reason of the refusal.",
    "openclaw_http_requests_total": "HTTP requests by endpoint and status.",
    "openclaw_devices": "Devices, paired and waiting for approval.",
    "openclaw_runs_active": "Runs of the agent that were accepted and have not ended.",
    "openclaw_sessions": "Sessions in the index.",
    "openclaw_channel_up": "1 when a chat channel is connected.",
    "openclaw_uptime_seconds": "Seconds since this process began to serve.",
    "openclaw_event_loop_lag_seconds": "How much later than asked the event loop came back, sampled once a second.",
}
"""Every figure and what it says; beside them the standard ``process_*`` ones."""

_LAG_BUCKETS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_SAMPLE_S: Final = 1.0


@dataclass(slots=True)
class Counts:
    """What is counted as it happens.

    Attributes:
        connects: handshakes by outcome.
        http: HTTP requests by endpoint and status.
    """

    connects: Counter[str] = field(default_factory=Counter)
    http: Counter[tuple[str, int]] = field(default_factory=Counter)


class Metrics:
    """Reads the figures of one gateway."""

    def __init__(self, services: Services, counts: Counts) -> None:
        from prometheus_client import CollectorRegistry, Histogram, ProcessCollector

        self._services = services
        self._counts = counts
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        name = "openclaw_event_loop_lag_seconds"
        self._lag = Histogram(name, NAMES[name], buckets=_LAG_BUCKETS, registry=self._registry)

    def collect(self) -> Iterator[Any]:
        """The figures now, as prometheus-client asks for them."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        services = self._services

        def gauge(name: str, rows: Mapping[str, float], label: str = "") -> GaugeMetricFamily:
            family = GaugeMetricFamily(name, NAMES[name], labels=[label] if label else [])
            for value, number in rows.items():
                family.add_metric([value] if label else [], number)
            return family

        roles = Counter(connection.grant.role for connection in services.hub.connections if connection.grant)
        listing = services.devices.listing()
        report = services.discord()
        uptime_s = (services.clock.now() - services.started_at).total_seconds()
        yield gauge("openclaw_connections", {role: roles[role] for role in ("operator", "node")}, "role")
        yield gauge("openclaw_devices", {state: len(listing[state]) for state in ("paired", "pending")}, "state")
        yield gauge("openclaw_runs_active", {"": services.runs.active_count})
        yield gauge("openclaw_sessions", {"": len(services.sessions.listing())})
        yield gauge("openclaw_channel_up", {"discord": float(report.status.state == "online")}, "channel")
        yield gauge("openclaw_uptime_seconds", {"": max(0.0, uptime_s)})
        connects = CounterMetricFamily("openclaw_connects_total", NAMES["openclaw_connects_total"], labels=["outcome"])
        for outcome, count in sorted(self._counts.connects.items()):
            connects.add_metric([outcome], count)
        yield connects
        http = CounterMetricFamily(
            "openclaw_http_requests_total", NAMES["openclaw_http_requests_total"], labels=["endpoint", "status"]
        )
        for (endpoint, status), count in sorted(self._counts.http.items()):
            http.add_metric([endpoint, str(status)], count)
        yield http

    async def sample(self) -> None:
        """Measure the event loop's lag until cancelled."""
        clock = self._services.clock
        while True:
            before = clock.monotonic()
            await asyncio.sleep(_SAMPLE_S)
            self._lag.observe(max(0.0, clock.monotonic() - before - _SAMPLE_S))

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401, ARG002 - ASGI's
        """Answer ``GET /metrics``; nothing else is here."""
        if scope["type"] != "http":
            return
        host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
        found = scope["path"] == "/metrics" and scope["method"] in {"GET", "HEAD"} and is_loopback_host(host)
        body = self.text() if found else b"Not Found: the figures are at /metrics\n"
        kind = b"text/plain; version=0.0.4; charset=utf-8" if found else b"text/plain; charset=utf-8"
        headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200 if found else 404, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


@asynccontextmanager
async def serving_metrics(services: Services, counts: Counts, port: int) -> AsyncIterator[int]:
    """Serve the figures on 127.0.0.1 while the block runs; yields the port.

    Raises:
        Occupied: another program holds the port.
    """
    metrics = Metrics(services, counts)
    pool = TaskPool("metrics")
    async with AsgiListeners(metrics) as listeners:
        bound = await listeners.add_tcp("127.0.0.1", port, state={})
        pool.start(metrics.sample(), name="lag")
        try:
            yield bound
        finally:
            await pool.close()
