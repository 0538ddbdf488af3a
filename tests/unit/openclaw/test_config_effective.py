"""openclaw.json can only tighten the reviewed policy, and every setting says which file decided."""

from __future__ import annotations

import pytest

from openclaw.config.snapshot import Source
from shared.config.paths import Paths


def effective(tmp_path, config, *, openclaw="", exec_=""):
    paths = Paths(state=tmp_path, runtime=tmp_path)
    paths.policies.mkdir(exist_ok=True)
    (paths.policies / "openclaw.toml").write_text(openclaw)
    (paths.policies / "exec.toml").write_text(exec_)
    source = Source.of(paths, "openclaw")
    source.path.parent.mkdir(exist_ok=True)
    source.path.write_text(config)
    snapshot = source.check().required()
    return snapshot, {row.path: row for row in snapshot.decisions}


@pytest.mark.parametrize(
    ("config", "openclaw", "path", "value", "decided_by"),
    [
        ("{gateway: {port: 5}}", "", "gateway.port", 5, "openclaw.json"),
        ("{gateway: {bind: 'lan'}}", "", "gateway.bind", "127.0.0.1", "policies/openclaw.toml"),
        ("{}", "", "gateway.port", 18789, "policies/openclaw.toml"),
        (
            "{gateway: {http: {endpoints: {responses: {enabled: true}}}}}",
            "",
            "gateway.http.endpoints.responses.enabled",
            False,
            "policies/openclaw.toml",
        ),
        (
            "{gateway: {http: {endpoints: {chatCompletions: {enabled: false}}}}}",
            "[http]\nchat_completions = true",
            "gateway.http.endpoints.chatCompletions.enabled",
            False,
            "openclaw.json",
        ),
        (
            "{channels: {discord: {groupPolicy: 'open'}}}",
            "",
            "channels.discord.groupPolicy",
            "allowlist",
            "policies/openclaw.toml",
        ),
        (
            "{channels: {discord: {groupPolicy: 'disabled'}}}",
            "",
            "channels.discord.groupPolicy",
            "disabled",
            "openclaw.json",
        ),
        (
            "{channels: {discord: {dmPolicy: 'open', allowFrom: ['*', '1']}}}",
            "[discord]\nallow_from = ['1', '2']",
            "channels.discord.allowFrom",
            ("1",),
            "policies/openclaw.toml and openclaw.json",
        ),
        (
            "{agents: {defaults: {timeoutSeconds: 9000, maxConcurrent: 2}}}",
            "",
            "agents.defaults.timeoutSeconds",
            600,
            "policies/openclaw.toml",
        ),
        ("{agents: {defaults: {maxConcurrent: 2}}}", "", "agents.defaults.maxConcurrent", 2, "openclaw.json"),
        (
            "{gateway: {auth: {rateLimit: {maxAttempts: 99, lockoutMs: 1000}}}}",
            "",
            "gateway.auth.rateLimit.lockoutMs",
            300,
            "policies/openclaw.toml",
        ),
        (
            "{gateway: {controlUi: {allowedOrigins: ['https://a.example', 'https://b.example']}}}",
            "[control_ui]\nallowed_origins = ['https://b.example']",
            "gateway.controlUi.allowedOrigins",
            ("https://b.example",),
            "policies/openclaw.toml",
        ),
    ],
)
def test_the_stricter_holds(tmp_path, config, openclaw, path, value, decided_by):
    _, decisions = effective(tmp_path, config, openclaw=openclaw)
    assert (decisions[path].value, decisions[path].decided_by) == (value, decided_by)


def test_a_server_is_as_strict_as_either_file_has_it(tmp_path):
    policy = "[discord.guilds.1]\nrequire_mention = true\nusers = ['7', '8']\n"
    config = """{channels: {discord: {guilds: {
        '1': {requireMention: false, users: ['8', '9'], channels: {'5': {allow: true}, '6': {allow: false}}},
        '2': {}}}}}"""
    snapshot, _ = effective(tmp_path, config, openclaw=policy)
    guilds = snapshot.policy.discord.guilds
    assert set(guilds) == {"1"}, "a server that the policy does not list stays out"
    assert guilds["1"].require_mention is True
    assert guilds["1"].users == ("8",)
    assert guilds["1"].channels == ("5",)


def test_two_lists_with_nobody_in_common_let_nobody_in(tmp_path):
    config = "{channels: {discord: {guilds: {'1': {users: ['9'], channels: {'6': {allow: false}}}}}}}"
    snapshot, _ = effective(tmp_path, config, openclaw="[discord.guilds.1]\nusers = ['7']\n")
    guild = snapshot.policy.discord.guilds["1"]
    assert guild.users, "an empty list would mean everybody"
    assert not {"7", "9"} & set(guild.users)
    assert guild.channels
    assert "6" not in guild.channels


@pytest.mark.parametrize(
    ("policy", "wanted", "met"),
    [
        ("on-miss", "always", "always"),
        ("on-miss", "off", "off"),
        ("always", "on-miss", "always"),
        ("off", "on-miss", "off"),
        ("off", "always", "off"),
        ("always", "off", "always"),
    ],
)
def test_how_asking_meets(tmp_path, policy, wanted, met):
    snapshot, _ = effective(tmp_path, f"{{tools: {{exec: {{ask: '{wanted}'}}}}}}", exec_=f'ask = "{policy}"')
    assert snapshot.exec_policy.ask == met


def test_commands_can_only_become_fewer(tmp_path):
    config = """{tools: {exec: {security: 'deny', safeBins: ['python3', 'curl'], safeBinTrustedDirs: ['/opt/bin'],
        safeBinProfiles: {curl: {deniedFlags: ['--data']}}}}}"""
    snapshot, decisions = effective(tmp_path, config)
    policy = snapshot.exec_policy
    assert policy.security == "deny"
    assert policy.safe_bins == ("curl",)
    assert policy.trusted_dirs == ("/usr/bin",), "/bin and /usr/bin always count as named, what the policy lacks never"
    assert {"-o", "--data"} <= set(policy.denied_flags("curl"))
    assert decisions["tools.exec.safeBinProfiles"].decided_by == "policies/exec.toml and openclaw.json"


def test_no_approver_on_discord_without_being_switched_on(tmp_path):
    snapshot, _ = effective(tmp_path, "{channels: {discord: {execApprovals: {approvers: ['5']}}}}")
    assert snapshot.policy.approvals.approvers == ("operator",)
    named = "[approvals]\napprovers = ['operator', '6']"
    config = "{channels: {discord: {execApprovals: {enabled: true, approvers: ['5', '6']}}}}"
    snapshot, _ = effective(tmp_path, config, openclaw=named)
    assert snapshot.policy.approvals.approvers == ("operator", "6")


def test_what_nothing_acts_on_is_named(tmp_path):
    config = """{
      gateway: {auth: {mode: 'none'}, tls: {enabled: true}, reload: {mode: 'hot'}},
      hooks: {enabled: true},
      channels: {telegram: {botToken: 'x'}, discord: {historyLimit: 5, guilds: {'1': {roles: ['2']}}}},
      tools: {exec: {host: 'sandbox', safeBinProfiles: {curl: {maxPositional: 1}}}},
      agents: {defaults: {model: 'openai-codex/gpt-5.1'}, list: [{id: 'other', identity: {emoji: 'x'}}]},
    }"""
    snapshot, _ = effective(tmp_path, config)
    named = {issue.path for issue in snapshot.warnings()}
    assert named == {
        "gateway.auth.mode",
        "gateway.tls",
        "hooks",
        "channels.telegram",
        "channels.discord.historyLimit",
        "channels.discord.guilds.1.roles",
        "tools.exec.host",
        "tools.exec.safeBinProfiles.curl.maxPositional",
        "agents.list[0].identity.emoji",
    }
    assert all(issue.place.line for issue in snapshot.warnings())
