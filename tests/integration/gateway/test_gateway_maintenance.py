"""The gateway's own jobs in a running gateway, and ``clawgate maintenance`` over running and stopped processes."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.app import Gateway, running_gateway
from gateway.maintenance import jobs
from gateway.maintenance.cli import cli
from gateway.maintenance.disk import DiskUse
from gateway.maintenance.jobs import GATEWAY_JOBS
from gateway.settings import Settings
from gateway.status import collect_status
from gateway.store import LedgerEntry
from shared.clock import SYSTEM_CLOCK
from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.config.tomlwrite import overlay_file
from shared.errors import ConfigError, GatewayError
from tests.support.offline_settings import sign_ins_in, write_offline_settings


@pytest.fixture
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("m")
    paths = Paths(state=folder / "s", runtime=folder / "r")
    write_offline_settings(paths, credentials=sign_ins_in(folder))
    return Settings.load(paths)


@pytest.fixture(autouse=True)
def _runtime(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAWGATE_RUNTIME", str(settings.paths.runtime))


def call(paths: Paths, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, [*words, "--state", str(paths.state)], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.stdout


async def clawgate(settings: Settings, *words: str) -> tuple[int, str]:
    return await asyncio.to_thread(call, settings.paths, *words)


async def test_every_job_runs_and_is_listed_also_when_the_gateway_is_down(settings: Settings) -> None:
    logs = settings.paths.gateway / "logs"
    async with running_gateway(settings):
        logs.mkdir()
        (logs / "old.log").write_text("old")
        os.utime(logs / "old.log", (1, 1))
        code, text = await clawgate(settings, "list", "--json")
        listed = {job["name"]: job for job in json.loads(text)}
        assert (code, {job["process"] for job in listed.values()}) == (0, {"gateway"})
        assert listed.keys() | {"docker.prune"} == GATEWAY_JOBS, "what a policy is checked against"
        assert {job["zone"] for job in listed.values()} == {"Asia/Seoul"}
        assert listed["docker.prune"]["times"] == "0 4 * * 0"
        assert listed["logs.delete"]["times"] == "0 3 * * *"
        for name in listed:
            code, text = await clawgate(settings, "run", name)
            assert (code, f"gateway/{name}: ok" in text) == (0, True), text
        assert not (logs / "old.log").exists()
    code, text = await clawgate(settings, "list")
    assert code == 0
    assert "gateway/logs.delete" in text
    assert "1 file deleted, 3 bytes" in text
    assert "no damage" in text
    assert " KST" in text
    code, text = await clawgate(settings, "run", "logs.delete")
    assert code == 1
    assert "nothing is running" in text


async def test_a_job_nobody_has_is_refused(settings: Settings) -> None:
    async with running_gateway(settings):
        with pytest.raises(GatewayError, match="there is no job 'logs'"):
            await clawgate(settings, "run", "logs")
        with pytest.raises(GatewayError, match=r"nanoclaw has no job 'disk\.watch'"):
            await clawgate(settings, "run", "nanoclaw/disk.watch")


async def test_a_full_disk_is_told_to_the_owner_and_taken_back_when_it_is_over(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_gateway(settings) as gateway:
        for left, told in ((10, ["waiting"]), (10, ["waiting"]), (90, ["withdrawn"])):
            monkeypatch.setattr(jobs, "look", lambda path, left=left: DiskUse(path, 100, left))
            assert (await clawgate(settings, "run", "disk.watch"))[0] == 0
            assert [notice.state for notice in await gateway.notices.recent(9)] == told


async def test_old_model_calls_go_and_those_of_a_bucket_without_a_window_stay(settings: Settings) -> None:
    async with running_gateway(settings) as gateway:
        for bucket, days in (("codex-plan", 500), ("claude-prepaid", 500), ("codex-plan", 1)):
            await gateway.store.record(entry(bucket, days))
        _, text = await clawgate(settings, "run", "ledger.forget")
        assert "1 model calls, 0 web requests, 0 notices forgotten" in text
        left = await gateway.store.usage()
        assert sum(row["requests"] for row in left) == 2


def entry(bucket: str, days: int) -> LedgerEntry:
    at = SYSTEM_CLOCK.now() - timedelta(days=days)
    return LedgerEntry(at, "openclaw", "", "responses", "codex", "gpt", 200, 1, 1, 1.0, 1.0, bucket=bucket)


async def test_a_failed_job_is_told_and_shown(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_path: Path) -> DiskUse:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(jobs, "look", broken)
    async with running_gateway(settings) as gateway:
        code, text = await clawgate(settings, "run", "disk.watch")
        assert (code, "failed, [Errno 5] Input/output error" in text) == (1, True)
        assert (await clawgate(settings, "list"))[0] == 1
        await told(gateway)


async def told(gateway: Gateway) -> None:
    async with asyncio.timeout(5):
        while not (notices := await gateway.notices.recent(1)):
            await asyncio.sleep(0.01)
    assert "**Maintenance: disk.watch failed**" in notices[0].text
    assert "clawgate maintenance run disk.watch --state" in notices[0].text


async def test_times_for_a_job_nobody_has_refuse_the_start(settings: Settings) -> None:
    overlay_file(operator_file("maintenance", settings.paths), {"times": {"log.rotate": "0 1 * * *"}})
    with pytest.raises(ConfigError, match=r"\[times\] names no job: log.rotate. There are: .*logs.rotate"):
        async with running_gateway(settings):
            pass


async def test_status_asks_each_process_where_nobody_supervises_them(settings: Settings) -> None:
    assert (await asyncio.to_thread(collect_status, settings.paths))["processes"] == []
    async with running_gateway(settings):
        report = await asyncio.to_thread(collect_status, settings.paths)
    assert {row["name"]: row["state"] for row in report["processes"]} == {
        "gateway": "ready",
        "nanoclaw": "stopped",
        "openclaw": "stopped",
    }
    assert not report["ok"]
