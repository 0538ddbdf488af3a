"""The original's settings tighten the policy, and a value that makes no sense says what to write instead."""

from __future__ import annotations

import pytest

from gateway.settings import Settings
from gateway.workers.development import checkout_of, development_mounts
from gateway.workers.policy import WorkerPolicy
from gateway.workers.settings import with_settings
from nanoclaw.config import NanoclawPolicy
from nanoclaw.config import with_settings as tenant_settings
from shared.config.parse import parse_duration_s
from shared.config.paths import Paths
from shared.errors import ConfigError


def test_the_stricter_of_policy_and_setting_wins() -> None:
    policy = WorkerPolicy(max_workers=5, idle_timeout_s=1800)
    low = with_settings(policy, {"MAX_CONCURRENT_CONTAINERS": "3", "IDLE_TIMEOUT": "600000"})
    assert (low.max_workers, low.idle_timeout_s) == (3, 600)
    high = with_settings(policy, {"MAX_CONCURRENT_CONTAINERS": "50", "IDLE_TIMEOUT": "24h"})
    assert (high.max_workers, high.idle_timeout_s) == (5, 1800)
    assert with_settings(policy, {}) == policy
    other = with_settings(policy, {"TZ": "Europe/Berlin", "CONTAINER_IMAGE": "mine:1"})
    assert (other.timezone, other.image) == ("Europe/Berlin", "mine:1")
    runs = tenant_settings(NanoclawPolicy(), {"MAX_CONCURRENT_CONTAINERS": "2", "CONTAINER_TIMEOUT": "20m"}).runs
    assert (runs.max_concurrent, runs.timeout_s) == (2, 1200)
    assert tenant_settings(NanoclawPolicy(), {"CONTAINER_TIMEOUT": "7200000"}).runs.timeout_s == 1800


@pytest.mark.parametrize(
    ("text", "seconds"), [("1800000", 1800), ("30m", 1800), ("90 s", 90), ("1.5h", 5400), ("500ms", 0.5), ("1d", 86400)]
)
def test_lengths_of_time(text, seconds) -> None:
    assert parse_duration_s("IDLE_TIMEOUT", text) == seconds


@pytest.mark.parametrize(
    ("name", "text", "fix"),
    [
        ("IDLE_TIMEOUT", "1800", "write 1800s"),
        ("IDLE_TIMEOUT", "soon", "30m"),
        ("IDLE_TIMEOUT", "0", "1800000"),
        ("IDLE_TIMEOUT", "-5m", "30m"),
        ("IDLE_TIMEOUT", "5 weeks", "30m"),
        ("IDLE_TIMEOUT", "10ms", "IDLE_TIMEOUT=10ms"),
        ("CONTAINER_TIMEOUT", "1800", "1800s"),
        ("MAX_CONCURRENT_CONTAINERS", "many", "such as 5"),
        ("MAX_CONCURRENT_CONTAINERS", "0", "at least 1"),
        ("MAX_CONCURRENT_CONTAINERS", "٣", "whole number"),
        ("TZ", "Korea/Seoul", "Asia/Seoul"),
        ("TZ", "../../etc/passwd", "Asia/Seoul"),
        ("CONTAINER_IMAGE", "Bad Image", "CONTAINER_IMAGE"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_with_the_fix(name, text, fix) -> None:
    with pytest.raises(ConfigError) as caught:
        with_settings(WorkerPolicy(), {name: text})
    assert name in caught.value.detail
    assert fix in caught.value.detail


def a_state(tmp_path, env: str) -> Paths:
    paths = Paths.resolve(tmp_path / "s", tmp_path / "r")
    paths.gateway.mkdir(parents=True)
    paths.env_file.write_text(env)
    paths.env_file.chmod(0o600)
    return paths


def test_the_environment_goes_before_the_file_and_containers_and_tenants_agree_on_the_zone(
    tmp_path, monkeypatch
) -> None:
    for name in ("TZ", "IDLE_TIMEOUT", "MAX_CONCURRENT_CONTAINERS", "DEV_MOUNT"):
        monkeypatch.delenv(name, raising=False)
    paths = a_state(tmp_path, "IDLE_TIMEOUT=600000\nMAX_CONCURRENT_CONTAINERS=4\n")
    settings = Settings.load(paths)
    assert (settings.policy.workers.idle_timeout_s, settings.policy.workers.max_workers) == (600, 4)
    assert settings.policy.workers.timezone == settings.tenant_settings("nanoclaw")["TZ"] == "Asia/Seoul"
    monkeypatch.setenv("IDLE_TIMEOUT", "5m")
    monkeypatch.setenv("TZ", ":Europe/Berlin")
    settings = Settings.load(paths)
    assert settings.policy.workers.idle_timeout_s == 300
    assert settings.policy.workers.timezone == "Europe/Berlin"
    assert settings.tenant_settings("nanoclaw")["MAX_CONCURRENT_CONTAINERS"] == "4"


def test_development_mode_needs_a_checkout_and_mounts_its_files_read_only(tmp_path) -> None:
    import gateway.settings

    here = __import__("pathlib").Path(gateway.settings.__file__)
    assert checkout_of("", here) is None
    assert checkout_of("false", here) is None
    assert development_mounts(None) == ()
    mounts = development_mounts(checkout_of("true", here))
    assert {mount.target for mount in mounts} == {
        "/etc/claude-code/managed-settings.json",
        "/etc/claude-code/.claude/skills",
    }
    assert all(mount.read_only and mount.source.exists() for mount in mounts)
    installed = tmp_path / "site-packages" / "gateway" / "settings.py"
    installed.parent.mkdir(parents=True)
    with pytest.raises(ConfigError, match="installed package"):
        checkout_of("true", installed)
    with pytest.raises(ConfigError, match="neither true nor false"):
        checkout_of("maybe", here)
