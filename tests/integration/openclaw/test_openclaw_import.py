"""An original's state directory is taken over: what maps, what changes, what is dropped; secrets go to the gateway."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest
from click.testing import CliRunner
from openclaw_house import house

from openclaw import store
from openclaw.cli import cli
from openclaw.config.service import ConfigService
from openclaw.config.snapshot import Source
from openclaw.cron.store import CronRows
from openclaw.gateway import MIGRATIONS
from openclaw.importing.conversation import convert
from openclaw.importing.service import run_import
from shared.clock import SYSTEM_CLOCK
from shared.errors import Invalid, NotFound, Occupied
from shared.lifecycle.singleton import SingleInstance
from shared.storage import Database

GATEWAY_TOKEN = "original-gateway-token-0123456789abcdef"
BOT_TOKEN = "original-bot-token-of-the-test"
GITHUB_TOKEN = "gho_" + "a1B2c3D4" * 5
SESSION = "11111111-2222-4333-8444-555555555555"

CONFIG = """{
  gateway: { port: 18800, bind: "lan", auth: { mode: "token", token: "@token@" } },
  channels: { discord: {
    token: "${DISCORD_BOT_TOKEN}", guilds: { "100000000000000001": { users: ["100000000000000002"] } },
    textChunkLimit: 5,
  } },
  agents: { list: [{ id: "main", identity: { name: "${BOT_NAME}" } }] },
  tools: { exec: { security: "full" } },
  bridge: { enabled: true },
}
""".replace("@token@", GATEWAY_TOKEN)

TRANSCRIPT = [
    {"type": "session", "id": SESSION, "cwd": "/x", "timestamp": "2026-02-20T10:00:00Z"},
    {
        "type": "message",
        "id": "a",
        "timestamp": "2026-02-20T10:00:01Z",
        "message": {"role": "user", "content": "hello"},
    },
    {"type": "message", "id": "b", "message": {"role": "assistant", "content": [{"type": "toolCall", "id": "t"}]}},
    {"type": "message", "id": "c", "message": {"role": "toolResult", "content": [{"type": "text", "text": "out"}]}},
    {"type": "message", "id": "d", "message": {"role": "assistant", "content": [{"type": "text", "text": "hi there"}]}},
]


def write(place, content):
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.fixture
def original(tmp_path):
    root = tmp_path / "original"
    write(root / "openclaw.json", CONFIG)
    write(root / ".env", f"DISCORD_BOT_TOKEN={BOT_TOKEN}\nBOT_NAME=Claw\nOTHER=1\n")
    device = {"deviceId": "d1", "publicKey": "pk", "platform": "linux", "clientId": "cli", "clientMode": "cli"}
    device |= {"role": "operator", "roles": ["operator"], "scopes": ["operator.read"], "createdAtMs": 1771000000000}
    write(root / "devices/paired.json", {"d1": device, "d2": {"deviceId": "other"}})
    write(root / "credentials/discord-allowFrom.json", {"version": 1, "allowFrom": ["300", "somebody"]})
    profiles = {
        "github-copilot:github": {"type": "token", "provider": "github-copilot", "token": GITHUB_TOKEN},
        "anthropic:default": {"type": "api_key", "provider": "anthropic", "key": "sk-ant-never-shown"},
    }
    write(root / "agents/main/agent/auth-profiles.json", {"version": 1, "profiles": profiles})
    write(root / "agents/other/agent/auth-profiles.json", {})
    write(
        root / "exec-approvals.json", {"version": 1, "agents": {"main": {"allowlist": [{"pattern": "/usr/bin/git"}]}}}
    )
    entry = {"sessionId": SESSION, "updatedAt": 1771000000000, "displayName": "notes", "inputTokens": 7}
    write(
        root / "agents/main/sessions/sessions.json", {"agent:main:notes": entry, "agent:main:gone": {"sessionId": "no"}}
    )
    write(
        root / f"agents/main/sessions/{SESSION}.jsonl", "".join(json.dumps(row) + "\n" for row in TRANSCRIPT) + '{"half'
    )
    job = {"jobId": "j1", "name": "daily", "enabled": True, "sessionTarget": "isolated", "wakeMode": "now"}
    job |= {"schedule": {"kind": "cron", "expr": "0 9 * * *", "tz": "UTC"}, "state": {"nextRunAtMs": 1}}
    job |= {"payload": {"kind": "agentTurn", "message": "say hello"}}
    write(root / "cron/jobs.json", {"version": 1, "jobs": [job, {"jobId": "j2", "name": "broken"}]})
    write(root / "workspace/MEMORY.md", "remember")
    write(root / "workspace/SOUL.md", "theirs")
    (root / "workspace/link.md").symlink_to("/etc/passwd")
    return root


def snapshot_of(root):
    return {str(p): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


async def test_everything_is_taken_over_and_said(paths, original):
    before = snapshot_of(original)
    write(paths.tenant("openclaw") / "workspace/SOUL.md", "ours")
    report = await run_import(original, "openclaw", paths, dry_run=False)
    assert snapshot_of(original) == before
    found = {(item.kind, item.name): item.outcome for item in report.items}
    assert found["secret", "gateway.auth.token"] == "changes"
    assert found["secret", "channels.discord.token"] == "changes"
    assert found["setting", "bridge"] == "dropped"
    assert found["setting", "tools.exec.security"] in ("changes", "maps")
    assert found["setting", "gateway.port"] == "maps"
    assert found["setting", "gateway.bind"] == "changes"
    assert found["setting", "channels.discord.textChunkLimit"] == "dropped"
    assert found["variable", "BOT_NAME"] == "maps"
    assert found["variable", "OTHER"] == "dropped"
    assert found["sign-in", "github-copilot:github"] == "changes"
    assert found["sign-in", "anthropic:default"] == "dropped"
    assert found["session", "agent:main:notes"] == "changes"
    assert found["session", "agent:main:gone"] == "dropped"
    assert found["device", "d1"] == "changes"
    assert found["device", "d2"] == "dropped"
    assert found["sender", "300"] == "maps"
    assert found["sender", "somebody"] == "dropped"
    assert found["job", "j1"] == "maps"
    assert found["job", "j2"] == "refused"
    assert found["files", "workspace/SOUL.md"] == "kept"
    assert found["approval", "/usr/bin/git"] == "dropped"
    assert found["agent", "other"] == "dropped"
    assert [item for item in report.items if item.outcome == "refused"] == [i for i in report.items if i.name == "j2"]
    told = json.dumps([str(item) for item in report.items])
    for secret in (GATEWAY_TOKEN, BOT_TOKEN, GITHUB_TOKEN, "sk-ant-never-shown"):
        assert secret not in told
        assert not any(secret.encode() in data for data in snapshot_of(paths.tenant("openclaw")).values())

    snapshot = Source.of(paths, "openclaw").check().required()
    assert snapshot.policy.port == 18800
    assert snapshot.policy.agent.name == "Claw"
    assert snapshot.exec_policy.security == "allowlist"
    assert snapshot.document.parsed["gateway"]["auth"]["token"] == "${OPENCLAW_GATEWAY_TOKEN}"
    workspace = paths.tenant("openclaw") / "workspace"
    assert (workspace / "MEMORY.md").read_text() == "remember"
    assert (workspace / "SOUL.md").read_text() == "ours"
    assert not (workspace / "link.md").exists()
    await the_rows_are_there(paths)
    stored = await asyncio.to_thread(secrets_list, paths)
    assert {"OPENCLAW_GATEWAY_TOKEN", "OPENCLAW_DISCORD_BOT_TOKEN"} <= stored


async def the_rows_are_there(paths):
    db = Database(paths.tenant_db("openclaw"), migrations=MIGRATIONS)
    await db.open()
    devices, tokens, _ = await db.read(store.all_devices)
    assert [row.device_id for row in devices] == ["d1"]
    assert tokens == [], "the original's token is not taken over"
    assert await db.read(lambda c: store.allowed_senders(c, "discord")) == {"300"}
    (job,) = await db.read(lambda c: CronRows(c).jobs())
    assert (job.spec.name, job.spec.text) == ("daily", "say hello")
    await db.close()


def secrets_list(paths):
    from gateway.credentials.inventory import inventory

    return {row.name for row in inventory(paths, None)}


async def test_the_conversation_goes_on_in_a_running_gateway(paths, original):
    await run_import(original, "openclaw", paths, dry_run=False)
    config = ConfigService(Source.of(paths, "openclaw"))
    policy = config.load().policy.model_copy(update={"port": 0})
    async with house(paths, policy) as home:
        services = home.gateway.services
        row = services.sessions.get("agent:main:notes")
        entries = await services.transcripts.last(row.session_id, 10)
        assert [(entry.role, entry.text) for entry in entries] == [("user", "hello"), ("assistant", "hi there")]


async def test_asking_first_writes_nothing_and_repeating_keeps_what_is_here(paths, original):
    report = await run_import(original, "openclaw", paths, dry_run=True)
    assert report.dry_run
    assert not paths.tenant("openclaw").exists()
    done = await run_import(original, "openclaw", paths, dry_run=False)
    assert {(i.kind, i.name, i.outcome) for i in report.items} <= {(i.kind, i.name, i.outcome) for i in done.items}
    config = paths.openclaw_config("openclaw").read_bytes()
    again = await run_import(original, "openclaw", paths, dry_run=False)
    outcomes = Counter((item.kind, item.outcome) for item in again.items)
    assert outcomes["setting", "kept"] == 1
    assert outcomes["session", "kept"] == outcomes["device", "kept"] == outcomes["sender", "kept"] == 1
    assert paths.openclaw_config("openclaw").read_bytes() == config
    await the_rows_are_there(paths)


async def test_a_running_tenant_is_not_written_under(paths, original):
    lock = SingleInstance(paths.pid_file("openclaw"), what="the tenant openclaw")
    lock.acquire()
    try:
        with pytest.raises(Occupied):
            await run_import(original, "openclaw", paths, dry_run=False)
    finally:
        lock.release()


@pytest.mark.parametrize(
    ("content", "error"), [({}, NotFound), ({"other.txt": "x"}, NotFound), ({"openclaw.db": "x"}, Invalid)]
)
async def test_what_is_no_state_directory_is_refused(paths, tmp_path, content, error):
    root = tmp_path / "else"
    root.mkdir()
    for name, text in content.items():
        (root / name).write_text(text)
    with pytest.raises(error):
        await run_import(root, "openclaw", paths, dry_run=True)


async def test_broken_files_are_named_and_the_rest_goes_on(paths, original):
    (original / "devices/paired.json").write_text("{half")
    (original / "cron/jobs.json").write_text("[]")
    (original / "openclaw.json").write_text("{gateway: ")
    report = await run_import(original, "openclaw", paths, dry_run=True)
    told = " ".join(item.note for item in report.items if item.kind == "problem")
    assert "devices/paired.json" in told
    assert "cron/jobs.json" in told
    assert "openclaw.json is not JSON5" in told
    assert any(item.kind == "session" and item.outcome == "changes" for item in report.items)


def test_the_command_says_it_as_json(paths, original):
    arguments = ["import", str(original), "--dry-run", "--json", "--state", str(paths.state)]
    result = CliRunner().invoke(cli, arguments, standalone_mode=False)
    report = json.loads(result.output)
    assert report["dry_run"] is True
    assert {"kind", "name", "outcome", "note"} == set(report["items"][0])
    assert result.return_value == 1, "a job was refused"


def test_a_transcript_keeps_words_and_order():
    lines = [json.dumps(row) for row in TRANSCRIPT]
    found = convert([*lines, "garbage", "[]"], SESSION, SYSTEM_CLOCK.now())
    records = [json.loads(line) for line in found.lines]
    assert (found.said, found.left_out) == (2, 2)
    assert [record.get("parentId") for record in records[1:]] == [None, records[1]["id"]]
    assert records[1]["timestamp"].startswith("2026-02-20T10:00:01")
