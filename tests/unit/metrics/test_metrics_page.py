"""The page with figures: declared, filled in, served, and read by Prometheus' own parser."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared.errors import Unavailable
from shared.http.client import http_client
from shared.metrics.figures import Durations, Figure, Sheet
from shared.metrics.serving import serving_metrics, with_process_figures

CATALOGUE = with_process_figures(
    "demo",
    {
        "demo_things": Figure("gauge", "Things there are.", ("state",)),
        "demo_seen_total": Figure("counter", "Things that were seen."),
        "demo_wait_seconds": Figure("histogram", "How long.", ("kind",)),
        "demo_silent": Figure("gauge", "Nobody fills it in."),
    },
)


class Demo:
    catalogue = CATALOGUE

    def __init__(self) -> None:
        self.waits = Durations((0.1, 1.0))
        self.broken = False

    async def fill(self, sheet: Sheet) -> None:
        if self.broken:
            raise Unavailable("the database is gone")
        sheet.put_all("demo_things", {"odd": 2}, known=("odd", "even"))
        sheet.put("demo_seen_total", 7)
        sheet.put_durations("demo_wait_seconds", self.waits)


def read(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_figures_arrive_as_prometheus_reads_them() -> None:
    demo = Demo()
    for seconds in (0.05, 0.1, 0.5, 3.0):
        demo.waits.observe(seconds, "slow")
    async with serving_metrics(demo, "demo", 0) as port, http_client(base_url=f"http://127.0.0.1:{port}") as http:
        answer = await http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = read(answer.text)
    assert found["demo_things", (("state", "odd"),)] == 2
    assert found["demo_things", (("state", "even"),)] == 0
    assert found["demo_seen_total", ()] == 7
    buckets = [found["demo_wait_seconds_bucket", (("kind", "slow"), ("le", end))] for end in ("0.1", "1.0", "+Inf")]
    assert buckets == [2, 3, 4]
    assert found["demo_wait_seconds_sum", (("kind", "slow"),)] == pytest.approx(3.65)
    assert found["demo_wait_seconds_count", (("kind", "slow"),)] == 4
    assert found["demo_uptime_seconds", ()] >= 0
    assert found["process_resident_memory_bytes", ()] > 0
    declared = {family.name: family.type for family in text_string_to_metric_families(answer.text)}
    assert declared["demo_silent"] == "gauge"
    assert declared["demo_seen"] == "counter"


async def test_only_this_machine_is_answered_at_one_address_only() -> None:
    async with serving_metrics(Demo(), "demo", 0) as port, http_client(base_url=f"http://127.0.0.1:{port}") as http:
        assert (await http.get("/")).status_code == 404
        assert (await http.post("/metrics")).status_code == 404
        assert (await http.get("/metrics", headers={"host": "evil.example"})).status_code == 404
        assert (await http.get("/metrics", headers={"host": f"localhost:{port}"})).status_code == 200
        assert (await http.head("/metrics")).content == b""


async def test_a_source_that_cannot_be_read_is_an_error_of_the_page_and_shows_nothing() -> None:
    demo = Demo()
    demo.broken = True
    async with serving_metrics(demo, "demo", 0) as port, http_client(base_url=f"http://127.0.0.1:{port}") as http:
        answer = await http.get("/metrics")
        assert (answer.status_code, "database" in answer.text) == (503, False)
        demo.broken = False
        assert (await http.get("/metrics")).status_code == 200


def test_a_figure_that_is_not_declared_is_a_defect() -> None:
    with pytest.raises(KeyError):
        Sheet(CATALOGUE).put("demo_unheard_of", 1)
