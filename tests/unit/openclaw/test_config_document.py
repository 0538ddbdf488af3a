"""openclaw.json is read with its includes and variables, checked strictly, and every problem knows its place."""

from __future__ import annotations

import os

import pytest

from openclaw.config import OpenClawPolicy
from openclaw.config.document import MAX_BYTES
from openclaw.config.snapshot import Source
from shared.config.paths import Paths
from shared.errors import ConfigError, ExitCode

WORKING = """{
  // the policy document's configuration, with placeholders for ids
  gateway: {
    mode: "local", port: 18789, bind: "lan",
    auth: { mode: "token", token: "${OPENCLAW_GATEWAY_TOKEN}", rateLimit: { maxAttempts: 10 } },
    controlUi: { allowedOrigins: ["https://claw.example.org"] },
    trustedProxies: ["172.20.0.5"],
  },
  agents: { defaults: { model: { primary: "openai-codex/gpt-5.1", fallbacks: ["github-copilot/gpt-5-mini"] } } },
  channels: { discord: {
    enabled: true, token: "${DISCORD_BOT_TOKEN}", groupPolicy: "allowlist", dmPolicy: "pairing",
    guilds: { "100000000000000001": { requireMention: true, users: ["100000000000000002"] } },
    execApprovals: { enabled: true, approvers: ["100000000000000002"], target: "dm" },
  } },
  tools: { exec: {
    host: "gateway", security: "allowlist", ask: "on-miss", safeBins: ["curl", "node"],
    safeBinTrustedDirs: ["/usr/bin", "/usr/local/bin"],
    safeBinProfiles: {
      curl: { deniedFlags: ["-o", "--output", "-O", "--remote-name", "-T", "--upload-file"] },
      node: { deniedFlags: ["--eval-file"] },
    },
  } },
}
"""


@pytest.fixture
def source(tmp_path):
    return Source.fixed(tmp_path, OpenClawPolicy())


def check(source, text):
    source.path.write_text(text)
    return source.check()


def test_the_policy_documents_configuration_loads_unchanged_and_is_in_force(tmp_path):
    paths = Paths(state=tmp_path, runtime=tmp_path)
    source = Source.of(paths, "openclaw")
    source.path.parent.mkdir()
    snapshot = check(source, WORKING).required()
    assert source.path.read_text() == WORKING
    assert snapshot.warnings() == []
    policy = snapshot.policy
    assert (policy.port, policy.bind) == (18789, "127.0.0.1")
    assert policy.control_ui.allowed_origins == ("https://claw.example.org",)
    assert policy.trusted_proxies == ("172.20.0.5",)
    assert policy.agent.model == "openai-codex/gpt-5.1"
    assert policy.discord.guilds["100000000000000001"].users == ("100000000000000002",)
    assert policy.approvals.approvers == ("operator", "100000000000000002")
    assert snapshot.exec_policy.safe_bins == ("curl", "node")
    assert "--eval-file" in snapshot.exec_policy.denied_flags("node")


def test_no_file_means_the_policy_alone(source):
    snapshot = source.check().required()
    assert snapshot.policy == OpenClawPolicy()
    assert not snapshot.document.exists


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{\n  bridge: {},\n}", ':2: bridge: Unrecognized key: "bridge"'),
        ("{gateway: {\n prot: 1}}", ":2: gateway.prot: Unrecognized key: \"prot\"; did you mean 'port'?"),
        ("{bind: 'lan'}", "did you mean 'gateway.bind'?"),
        ("{channels: {discord: {\n\n dmPolcy: 'open'}}}", ":3: channels.discord.dmPolcy: .*'dmPolicy'"),
        ("{gateway: {port: '18789'}}", "gateway.port: must be a valid integer"),
        ("{gateway: {port: 99999}}", "gateway.port: must be at most 65535"),
        ("{gateway: {bind: 'world'}}", "gateway.bind: must be one of 'auto', 'lan'"),
        ("{gateway: {controlUi: {allowedOrigins: ['https://*.example.org']}}}", "not an exact origin"),
        ("{gateway: {trustedProxies: ['everything']}}", "no address or network"),
        ("{channels: {discord: {allowFrom: [100000000000000001]}}}", "Discord IDs must be strings"),
        ("{channels: {discord: {dmPolicy: 'open'}}}", 'channels.discord: .*add "\\*" to allowFrom'),
        ("{tools: {exec: {security: 'full'}}}", 'tools.exec.security: "full" would run every command'),
        ("{agents: {defaults: {model: 'gpt-5'}}}", "agents.defaults.model: does not look right"),
        ("{agents: {list: [{id: 'main', nmae: 'x'}]}}", r"agents.list\[0\].nmae: .*'name'"),
        ("{agents: {list: [{}]}}", r"agents.list\[0\].id: is required"),
        ("{gateway: {auth: {token: '${NOT_THERE}'}}}", 'Missing env var "NOT_THERE" .*gateway.auth.token'),
        ("{meta: {lastTouchedVersion: '${OPENCLAW_GATEWAY_TOKEN}'}}", "is held by the gateway"),
        ("[]", "must be an object"),
        ("{a: 1", "not JSON5"),
    ],
)
def test_what_is_wrong_is_refused_with_file_line_path_and_advice(source, text, told):
    with pytest.raises(ConfigError, match=told) as caught:
        check(source, text).required()
    assert str(source.path) in caught.value.detail
    assert caught.value.exit_code is ExitCode.CONFIG


def test_all_problems_are_told_at_once(source):
    found = check(source, "{gateway: {port: 'x', bogus: 1}, foo: 1}").issues
    assert sorted(issue.key for issue in found) == ["foo", "gateway.bogus", "gateway.port"]
    assert {issue.path for issue in found} == {"<root>", "gateway", "gateway.port"}


# --- variables ------------------------------------------------------------------------------


def test_variables_come_from_the_env_file_then_from_the_env_block(source):
    source.env_file.write_text("ORIGIN=https://a.example\n")
    source.env_file.chmod(0o600)
    text = """{env: {ORIGIN: 'https://b.example', vars: {NAME: 'Claw'}},
      gateway: {controlUi: {allowedOrigins: ['${ORIGIN}']}},
      agents: {list: [{id: 'main', identity: {name: '${NAME} $${NAME} ${lower}'}}]}}"""
    snapshot = check(source, text).required()
    assert snapshot.policy.control_ui.allowed_origins == ("https://a.example",)
    assert snapshot.policy.agent.name == "Claw ${NAME} ${lower}"


def test_the_environment_of_whoever_asks_does_not_count(source, monkeypatch):
    monkeypatch.setenv("SOMETHING", "set")
    assert check(source, "{meta: {lastTouchedVersion: '${SOMETHING}'}}").snapshot is None


def test_an_env_file_that_others_can_read_is_refused(source):
    source.env_file.write_text("A=b\n")
    source.env_file.chmod(0o644)
    with pytest.raises(ConfigError, match="must be 600"):
        check(source, "{}").required()


# --- includes -------------------------------------------------------------------------------


def test_includes_are_merged_in_order_and_siblings_win(source, tmp_path):
    (tmp_path / "a.json5").write_text("{port: 1, trustedProxies: ['10.0.0.1']}")
    (tmp_path / "b.json5").write_text("{port: 2, trustedProxies: ['10.0.0.2'], bind: 'lan'}")
    snapshot = check(source, "{gateway: {$include: ['./a.json5', 'b.json5'], port: 3}}").required()
    gateway = snapshot.config.gateway
    assert (gateway.port, gateway.bind, gateway.trusted_proxies) == (3, "lan", ["10.0.0.1", "10.0.0.2"])


def test_a_problem_in_an_included_file_is_told_there(source, tmp_path):
    (tmp_path / "discord.json5").write_text("{\n\n  tokn: 'x'}")
    with pytest.raises(ConfigError, match=r"discord\.json5:3: channels\.discord\.tokn"):
        check(source, "{channels: {discord: {$include: 'discord.json5'}}}").required()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../outside.json5", "lies outside"),
        ("missing.json5", "No such file"),
        ("linked.json5", "lies outside"),
        ("hard.json5", "second name"),
        ("openclaw.json", "includes itself: openclaw.json → openclaw.json"),
        ("big.json5", "larger than"),
        ("broken.json5", "not JSON5"),
        ("deep0.json5", "nested more than"),
    ],
)
def test_an_include_that_may_not_be_is_refused(source, tmp_path, name, reason):
    outside = tmp_path.parent / "outside.json5"
    outside.write_text("{}")
    (tmp_path / "linked.json5").symlink_to(outside)
    (tmp_path / "one.json5").write_text("{}")
    os.link(tmp_path / "one.json5", tmp_path / "hard.json5")
    (tmp_path / "big.json5").write_text("{}" + " " * MAX_BYTES)
    (tmp_path / "broken.json5").write_text("{")
    for number in range(12):
        (tmp_path / f"deep{number}.json5").write_text(f"{{$include: 'deep{number + 1}.json5'}}")
    with pytest.raises(ConfigError, match=reason):
        check(source, f"{{gateway: {{$include: '{name}'}}}}").required()
    outside.unlink()
