"""A running product's figures, read with Prometheus' own parser: they say what happened, and nothing about people."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

import gateway.metrics
import nanoclaw.figures
import openclaw.metrics
from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.config.tomlwrite import overlay_file
from shared.http.client import http_client
from tests.support.sandbox_process import SandboxProcess, sandbox_process

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(240)]

CATALOGUES = {
    "gateway": gateway.metrics.CATALOGUE,
    "nanoclaw": nanoclaw.figures.CATALOGUE,
    "openclaw": openclaw.metrics.CATALOGUE,
}
Samples = dict[tuple[str, str], float]


async def scrape(sandbox: SandboxProcess, process: str) -> tuple[str, Samples]:
    """The page's text, and its samples by name and labels."""
    port = sandbox.ask(process, "status")["metrics_port"]
    async with http_client(timeout_s=10) as http:
        answer = await http.get(f"http://127.0.0.1:{port}/metrics")
    answer.raise_for_status()
    families = list(text_string_to_metric_families(answer.text))
    own = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    assert {name for name in own if not name.startswith("process_")} == set(CATALOGUES[process])
    return answer.text, {
        (sample.name, ",".join(value for name, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


async def test_figures_of_a_running_product(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("sb")
    state: Path = folder / "state"
    for name in CATALOGUES:
        overlay_file(operator_file(name, Paths.resolve(state)), {"metrics": {"port": 0}})
    async with sandbox_process(folder, state=state) as sandbox:
        await sandbox.ask_bot("nanoclaw", "one ")
        await sandbox.ask_bot("openclaw", "two ")
        text_g, of_gateway = await scrape(sandbox, "gateway")
        text_n, of_nanoclaw = await scrape(sandbox, "nanoclaw")
        text_o, of_openclaw = await scrape(sandbox, "openclaw")
        people = json.dumps(sandbox.ready)
        channel, guild = sandbox.ready["discord"]["channel_id"], sandbox.ready["discord"]["guild_id"]

    assert of_gateway["clawgate_model_requests_total", "answered,claude,200,nanoclaw"] >= 1
    assert any(name == "clawgate_model_requests_total" and "openclaw" in labels for name, labels in of_gateway)
    assert of_gateway["clawgate_model_request_seconds_count", "claude"] >= 1
    assert of_gateway["clawgate_model_tokens_total", "input,claude"] > 0
    assert of_gateway["clawgate_model_cost_usd_total", "claude"] > 0
    assert of_gateway["clawgate_worker_lease_seconds_count", "started"] == 1
    assert sum(count for (name, _), count in of_gateway.items() if name == "clawgate_workers") >= 1
    assert of_gateway["clawgate_credential_expires_in_seconds", "claude,gateway"] > 3600
    assert of_gateway["clawgate_credential_needs_person", "claude,gateway"] == 0
    assert of_gateway["clawgate_posts", "needs_attention"] == 0
    assert of_gateway["clawgate_job_failures", "disk.watch"] == 0
    assert of_gateway["clawgate_disk_free_bytes", ""] > 0

    assert of_nanoclaw["nanoclaw_channel_up", "discord"] == 1
    assert of_nanoclaw["nanoclaw_runs_total", "ok,STANDARD"] == 1
    assert of_nanoclaw["nanoclaw_run_seconds_count", "STANDARD"] == 1
    assert of_nanoclaw["nanoclaw_messages_in_total", ""] >= 1
    assert of_nanoclaw["nanoclaw_messages_out_total", ""] >= 1
    assert of_nanoclaw["nanoclaw_inbox", "done"] >= 1
    assert of_nanoclaw["nanoclaw_inbox_oldest_seconds", ""] == 0
    assert of_nanoclaw["nanoclaw_groups", ""] == 1

    assert of_openclaw["openclaw_channel_up", "discord"] == 1
    assert of_openclaw["openclaw_runs_total", "ok"] >= 1
    assert of_openclaw["openclaw_run_seconds_count", "ok"] >= 1
    assert of_openclaw["openclaw_approvals_waiting", ""] == 0
    assert of_openclaw["openclaw_messages_in_total", ""] >= 1

    for text in (text_g, text_n, text_o):
        assert channel not in text
        assert guild not in text
        assert "word" not in text
        assert "owner@" not in text
    assert channel in people
