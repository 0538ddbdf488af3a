"""openclaw.json can only tighten the reviewed policy, and every setting says which file decided."""

from __future__ import annotations

import pytest

from openclaw.config.snapshot import Source
from shared.config.paths import Paths
from shared.errors import ConfigError


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


@pytest.mark.parametrize(
    ("config", "policy", "expected"),
    [
        ("{tools: {profile: 'minimal', alsoAllow: ['exec']}}", "", ("minimal", (), ("exec",))),
        ("{tools: {alsoAllow: ['exec']}}", "[tools]\nprofile = 'minimal'", ("minimal", (), ())),
        ("{tools: {profile: 'full'}}", "[tools]\nprofile = 'coding'", ("coding", (), ())),
        ("{tools: {profile: 'messaging'}}", "[tools]\nprofile = 'coding'", ("minimal", (), ())),
        ("{tools: {allow: ['read', 'exec']}}", "[tools]\nallow = ['read']", ("full", ("read",), ())),
        ("{tools: {allow: ['exec']}}", "[tools]\nallow = ['read']", ("full", ("-",), ())),
        ("{tools: {allow: ['exec']}}", "", ("full", ("exec",), ())),
    ],
)
def test_tools_can_only_become_fewer(tmp_path, config, policy, expected):
    tools = effective(tmp_path, config, openclaw=policy)[0].policy.tools
    assert (tools.profile, tools.allow, tools.also_allow) == expected


def test_what_the_agent_is_told_reaches_its_policy(tmp_path):
    config = """{
      session: {reset: {mode: 'idle', idleMinutes: 5}},
      messages: {queue: {mode: 'steer', debounceMs: 250, cap: 999}},
      cron: {enabled: false},
      tools: {deny: ['web_fetch'], exec: {backgroundMs: 5000}},
      agents: {defaults: {userTimezone: 'Asia/Seoul', skipBootstrap: true, bootstrapMaxChars: 500,
        heartbeat: {every: '2h', activeHours: {start: '08:00'}}, compaction: {keepRecentTokens: 9000}}},
    }"""
    with pytest.raises(ConfigError, match=r"messages\.queue\.cap: must be at most 200"):
        effective(tmp_path, config)
    snapshot, _ = effective(tmp_path, config.replace("999", "3"), openclaw="[tools]\ndeny = ['exec']\n")
    policy = snapshot.policy
    assert (policy.session.reset, policy.session.idle_minutes, policy.session.timezone) == ("idle", 5, "Asia/Seoul")
    assert (policy.queue.mode, policy.queue.debounce_s, policy.queue.cap) == ("steer", 0.25, 3)
    assert policy.cron.enabled is False
    assert (policy.tools.deny, policy.tools.background_s) == (("exec", "web_fetch"), 5.0)
    assert (policy.workspace.bootstrap, policy.workspace.file_chars) == (False, 500)
    assert (policy.heartbeat.every_minutes, policy.heartbeat.active_from) == (120, "08:00")
    assert policy.compaction.keep_tokens == 9000
    assert snapshot.warnings() == []


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


def test_a_channel_is_as_strict_as_either_file_has_it(tmp_path):
    policy = """
[discord.guilds.1]
require_mention = true
users = ['7', '8']
[discord.guilds.1.rules.5]
roles = ['50']
[discord.guilds.1.rules.6]
enabled = false
"""
    config = """{channels: {discord: {guilds: {'1': {channels: {
        '4': {requireMention: false, users: ['8', '9']},
        '5': {roles: ['50', '51']}, '6': {requireMention: true}}}}}}}"""
    snapshot, _ = effective(tmp_path, config, openclaw=policy)
    guild = snapshot.policy.discord.guilds["1"]
    assert (guild.rules["4"].users, guild.rules["4"].require_mention) == (("8",), True)
    assert (guild.rules["5"].roles, guild.rules["5"].users) == (("50",), ())
    assert guild.rules["6"].enabled is False


def test_how_messages_are_taken_reaches_the_policy(tmp_path):
    config = """{channels: {discord: {replyToMode: 'off', historyLimit: 900}}, commands: {native: false},
      messages: {ackReaction: 'x', ackReactionScope: 'all', groupChat: {mentionPatterns: ['claw']}}}"""
    policy = effective(tmp_path, config)[0].policy.discord
    assert (policy.reply_to_mode, policy.history_limit, policy.native_commands) == ("off", 20, False)
    assert (policy.ack_reaction, policy.ack_scope, policy.mention_patterns) == ("x", "all", ("claw",))
    with pytest.raises(ConfigError, match="not a regular expression"):
        effective(tmp_path, "{messages: {groupChat: {mentionPatterns: ['(']}}}")


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
      channels: {telegram: {botToken: 'x'}, discord: {textChunkLimit: 5, guilds: {'1': {slug: 'x'}}}},
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
        "channels.discord.textChunkLimit",
        "channels.discord.guilds.1.slug",
        "tools.exec.host",
        "tools.exec.safeBinProfiles.curl.maxPositional",
        "agents.list[0].identity.emoji",
    }
    assert all(issue.place.line for issue in snapshot.warnings())
