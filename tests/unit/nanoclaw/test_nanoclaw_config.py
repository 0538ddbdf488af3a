"""The policy file: the shipped one loads, bad ones name the place and the fix, ``.env`` lies over it."""

from __future__ import annotations

import pytest

from nanoclaw.config import load, with_settings
from shared.config.paths import Paths
from shared.errors import ConfigError


@pytest.fixture
def paths(tmp_path):
    return Paths(tmp_path / "s", tmp_path / "r")


def write(paths: Paths, text: str) -> None:
    paths.policies.mkdir(parents=True)
    (paths.policies / "nanoclaw.toml").write_text(text)


def test_the_shipped_policy_is_deny_by_default(paths):
    policy = load(paths)
    assert policy.chats.register_mode == "explicit"
    assert not policy.light.enabled
    assert policy.runs.retry_delays_s == (5, 10, 20, 40, 80)
    assert policy.runs.max_concurrent == 5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("asistant_name = 'X'", ["nanoclaw.toml:1", "asistant_name", "assistant_name"]),
        ("[chats]\nregister = 'always'", ["nanoclaw.toml:2", "chats.register"]),
        ("[runs]\nmax_concurrent = 0", ["nanoclaw.toml:2", "max_concurrent"]),
        ("trigger_pattern = '('", ["nanoclaw.toml:1", "regular expression"]),
        ("[agent]\ntools = ['WebFetch']", ["no network"]),
        (
            "[groups.a]\nchat='dc:1'\n[groups.b]\nchat='dc:1'",
            ["nanoclaw.toml:4: groups.b.chat", "groups.a", "same chat"],
        ),
        ("[groups.a]\nchat='dc:1'\nmain=true", ["nanoclaw.toml:3: groups.a.main", "'main'"]),
        ("[groups.global]\nchat='dc:1'", ["nanoclaw.toml:1: groups.global", "memory of all groups"]),
        ("[groups.'../x']\nchat='dc:1'", ["groups"]),
    ],
)
def test_a_bad_policy_says_where_and_what(paths, text, words):
    write(paths, text)
    with pytest.raises(ConfigError) as caught:
        load(paths)
    assert all(word in caught.value.detail for word in words), caught.value.detail


@pytest.mark.parametrize(
    ("table", "settings", "on"),
    [
        ("", {}, False),
        ("", {"COPILOT_API_URL": "http://localhost:4141"}, True),
        ("", {"COPILOT_API_URL": "http://127.0.0.1:4141/v1/"}, True),
        ("", {"COPILOT_MODEL": "gpt-5-mini"}, True),
        ("[light]\nenabled = false\n", {"COPILOT_MODEL": "gpt-5-mini"}, False),
        ("[light]\nenabled = true\n", {}, True),
    ],
)
def test_the_light_route_is_on_when_the_env_file_of_the_original_names_it(paths, table, settings, on):
    if table:
        write(paths, table)
    assert with_settings(load(paths), settings).light.enabled is on


@pytest.mark.parametrize(
    "url",
    [
        *("https://copilot.example.org", "http://10.0.0.5:4141", "localhost:4141", "http://[::1"),
        *("http://localhost:5000", "http://localhost", "https://localhost:4141", "http://localhost:4141/other"),
        *("http://localhost:99999", "http://me@localhost:4141", "http://localhost:4141?x"),
    ],
)
def test_a_copilot_address_elsewhere_is_refused_with_what_to_do(paths, url):
    with pytest.raises(ConfigError, match=r"Take it out of \.env"):
        with_settings(load(paths), {"COPILOT_API_URL": url})


def test_settings_of_the_env_file_win_and_empty_ones_do_not(paths):
    policy = load(paths)
    changed = with_settings(policy, {"ASSISTANT_NAME": "나노봇", "TRIGGER_PATTERN": "", "COPILOT_MODEL": "gpt-5-mini"})
    assert changed.trigger.search("@나노봇 hi")
    assert changed.light.model == "gpt-5-mini"
    assert changed.chats == policy.chats
    with pytest.raises(ConfigError, match=r"\.env"):
        with_settings(policy, {"TRIGGER_PATTERN": "("})
