"""Taking over an original's folder: what maps, what changes, what is left, and that nothing of it is touched."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from nanoclaw.atrest import read_stored
from nanoclaw.cli import cli
from nanoclaw.config import NanoclawPolicy
from nanoclaw.importing.service import run_import
from nanoclaw.schema import MIGRATIONS, declare
from nanoclaw.store import Store
from nanoclaw.tasks.answers import READS
from nanoclaw.tasks.store import TaskRows
from shared.channels.inbox import Inbox
from shared.clock import SYSTEM_CLOCK, FakeClock
from shared.config.envfile import read_env
from shared.config.paths import Paths
from shared.errors import Invalid, NotFound, Occupied
from shared.lifecycle.singleton import SingleInstance
from shared.storage import Database

SESSION = "11111111-2222-4333-8444-555555555555"
SCHEMA = """
CREATE TABLE chats (jid TEXT PRIMARY KEY, name TEXT, last_message_time TEXT, channel TEXT, is_group INTEGER DEFAULT 0);
CREATE TABLE messages (id TEXT, chat_jid TEXT, sender TEXT, sender_name TEXT, content TEXT, timestamp TEXT,
  is_from_me INTEGER, is_bot_message INTEGER DEFAULT 0, PRIMARY KEY (id, chat_jid));
CREATE TABLE scheduled_tasks (id TEXT PRIMARY KEY, group_folder TEXT, chat_jid TEXT, prompt TEXT, schedule_type TEXT,
  schedule_value TEXT, next_run TEXT, last_run TEXT, last_result TEXT, status TEXT DEFAULT 'active', created_at TEXT,
  context_mode TEXT DEFAULT 'isolated');
CREATE TABLE router_state (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE sessions (group_folder TEXT PRIMARY KEY, session_id TEXT);
CREATE TABLE registered_groups (jid TEXT PRIMARY KEY, name TEXT, folder TEXT UNIQUE, trigger_pattern TEXT,
  added_at TEXT, container_config TEXT, requires_trigger INTEGER DEFAULT 1);
"""


def ago(**span: float) -> str:
    return (datetime.now(UTC) - timedelta(**span)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """A folder as the original leaves it, with a running database's write-ahead log still open beside it."""
    root = tmp_path / "original"
    for folder in ("store", "groups/main/logs", "groups/Family_chat", "groups/global"):
        (root / folder).mkdir(parents=True)
    (root / "groups/main/CLAUDE.md").write_text("remember the milk\n")
    (root / "groups/main/logs/container-1.log").write_text("old\n")
    (root / "groups/main/secret-link").symlink_to("/etc/passwd")
    (root / "groups/global/CLAUDE.md").write_text("be kind\n")
    transcripts = root / "data/sessions/main/.claude/projects/-workspace-group"
    transcripts.mkdir(parents=True)
    (transcripts / f"{SESSION}.jsonl").write_text("{}\n")
    (root / ".env").write_text(
        "DISCORD_BOT_TOKEN=bot-token-of-the-original\nANTHROPIC_API_KEY=key-of-the-original\n"
        "CLAUDE_CODE_OAUTH_TOKEN=oauth-of-the-original\nASSISTANT_NAME=J\nWHATEVER=1\n"
    )
    (root / ".env").chmod(0o644)
    with closing(sqlite3.connect(root / "store/messages.db")) as db:
        db.executescript(SCHEMA)
        rows = [
            ("dc:100", "Home", "main", "@J", json.dumps({"additionalMounts": [{"hostPath": "/srv/photos"}]}), 0),
            ("dc:200", "Family", "Family_chat", "@J", None, 1),
            ("123@g.us", "WhatsApp", "wa", "@J", None, 1),
        ]
        db.executemany("INSERT INTO registered_groups VALUES (?, ?, ?, ?, '', ?, ?)", rows)
        db.executemany("INSERT INTO sessions VALUES (?, ?)", [("main", SESSION), ("Family_chat", "gone")])
        cursors = json.dumps({"dc:100": ago(minutes=30), "dc:200": ago(hours=48)})
        db.execute("INSERT INTO router_state VALUES ('last_agent_timestamp', ?)", (cursors,))
        db.execute("INSERT INTO chats VALUES ('dc:200', 'Lab #family', '', 'discord', 1)")
        messages = [
            ("1001", "dc:100", "answered", ago(hours=3), 0),
            ("1002", "dc:100", "please do", ago(hours=1), 0),
            ("1003", "dc:100", "I did", ago(hours=1), 1),
            ("2001", "dc:200", "@J too old to answer", ago(hours=30), 0),
            ("2002", "dc:200", "[Reply to Ann] @J what now?", ago(hours=1), 0),
            ("2003", "dc:200", "just talk", ago(minutes=50), 0),
        ]
        db.executemany("INSERT INTO messages VALUES (?, ?, 'u1', 'Ann', ?, ?, ?, 0)", messages)
        tasks = [
            ("t1", "main", "dc:100", "water the plants", "cron", "0 9 * * *", "active", "group"),
            ("t2", "Family_chat", "dc:200", "say hello", "interval", "3600000", "paused", "isolated"),
            ("t3", "main", "dc:100", "too late", "once", "2020-01-01 09:00", "active", "isolated"),
            ("t4", "main", "dc:100", "over", "once", "2020-01-01 09:00", "completed", "isolated"),
            ("t5", "wa", "123@g.us", "elsewhere", "cron", "0 9 * * *", "active", "isolated"),
        ]
        db.executemany("INSERT INTO scheduled_tasks VALUES (?, ?, ?, ?, ?, ?, NULL, NULL, NULL, ?, '', ?)", tasks)
        db.commit()
    return root


def prints_of(root: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


@asynccontextmanager
async def opened(paths: Paths):
    tables = declare()
    db = Database(paths.tenant_db("nanoclaw"), migrations=MIGRATIONS)
    await db.open()
    try:
        yield Store(db, tables), Inbox(db, tables.channels, SYSTEM_CLOCK)
    finally:
        await db.close()


def everything_in(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Bytes and times of all there is; a write-ahead log's index is SQLite's own and left out."""
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in (folder, *folder.rglob("*"))
        if not path.name.endswith("-shm")
    }


def stored_tasks(paths: Paths) -> list[dict[str, Any]]:
    return read_stored(paths, "nanoclaw", lambda c, tables: READS["tasks.list"](TaskRows(c, tables), {}))


def of(items, kind: str) -> dict[str, tuple[str, str]]:
    return {item.name: (item.outcome, item.note) for item in items if item.kind == kind}


async def test_groups_conversations_files_and_what_waits_come_along(original: Path, tmp_path: Path) -> None:
    paths, before = Paths.resolve(tmp_path / "state"), prints_of(original)
    report = await run_import(original, "nanoclaw", paths, NanoclawPolicy(), dry_run=False)
    assert prints_of(original) == before
    groups = of(report.items, "group")
    assert {name: outcome for name, (outcome, _) in groups.items()} == {
        "main": "maps",
        "Family_chat": "changes",
        "wa": "dropped",
    }
    async with opened(paths) as (store, inbox):
        main, family = sorted(await store.groups(), key=lambda group: group.chat)
        assert (main.folder, main.is_main, main.requires_trigger) == ("main", True, False)
        assert family.requires_trigger
        assert await store.session_of("main") == SESSION
        assert await store.session_of(family.folder) == ""
        states = {}
        for chat, ids in (("dc:100", ("1001", "1002", "1003")), ("dc:200", ("2001", "2002", "2003"))):
            for number in ids:
                item = await inbox.find(chat, number)
                states[number] = item.state if item else None
        assert states == {
            "1001": None,
            "1002": "done",
            "1003": None,
            "2001": "context",
            "2002": "new",
            "2003": "context",
        }
        reply = await inbox.find("dc:200", "2002")
        assert reply is not None
        assert (reply.message.text, reply.message.reply_to_sender) == ("@J what now?", "Ann")
        assert await inbox.cursors() == {"dc:100": "1002", "dc:200": "2003"}
    folder = paths.group("nanoclaw", "main")
    assert (folder / "CLAUDE.md").read_text() == "remember the milk\n"
    assert not (folder / "logs").exists()
    assert not (folder / "secret-link").exists()
    assert (paths.group("nanoclaw", "global") / "CLAUDE.md").read_text() == "be kind\n"
    assert list(paths.group_session("nanoclaw", "main").rglob(f"{SESSION}.jsonl"))
    assert "mounts.toml" in of(report.items, "mount")["main"][1]


async def test_tasks_come_along_once_with_their_next_time(original: Path, tmp_path: Path) -> None:
    paths = Paths.resolve(tmp_path / "state")
    report = await run_import(original, "nanoclaw", paths, NanoclawPolicy(), dry_run=False)
    told = of(report.items, "task")
    outcomes = {"t1": "maps", "t2": "maps", "t3": "refused", "t4": "dropped", "t5": "dropped"}
    assert {name: outcome for name, (outcome, _) in told.items()} == outcomes
    assert "in the past" in told["t3"][1]
    again = of((await run_import(original, "nanoclaw", paths, NanoclawPolicy(), dry_run=False)).items, "task")
    assert {name for name, (outcome, _) in again.items() if outcome == "kept"} == {"t1", "t2"}
    found = {task["prompt"]: task for task in stored_tasks(paths)}
    assert set(found) == {"water the plants", "say hello"}
    plants, hello = found["water the plants"], found["say hello"]
    assert (plants["group"], plants["status"], plants["context"]) == ("main", "active", "group")
    assert plants["next_local"].endswith("09:00 KST")
    assert (hello["status"], hello["next_at"], hello["schedule"]["text"]) == ("paused", None, "every 1h")


async def test_settings_are_taken_over_without_the_ones_that_spend_money(original: Path, tmp_path: Path) -> None:
    paths = Paths.resolve(tmp_path / "state")
    paths.gateway.mkdir(parents=True)
    paths.env_file.write_text("# ours\nASSISTANT_NAME=Jay\n")
    paths.env_file.chmod(0o600)
    report = await run_import(original, "nanoclaw", paths, NanoclawPolicy(), dry_run=False)
    assert read_env(paths.env_file) == {
        "ASSISTANT_NAME": "Jay",
        "DISCORD_BOT_TOKEN": "bot-token-of-the-original",
        "ANTHROPIC_API_KEY_FALLBACK": "key-of-the-original",
    }
    assert paths.env_file.read_text().startswith("# ours\n")
    assert paths.env_file.stat().st_mode & 0o777 == 0o600
    settings = of(report.items, "setting")
    assert settings["CLAUDE_CODE_OAUTH_TOKEN"] == ("dropped", "sign in with `clawgate auth login claude` instead")
    assert settings["ASSISTANT_NAME"][0] == "kept"
    assert any("can be read by others" in item.note for item in report.items if item.kind == "problem")
    assert "of-the-original" not in repr(report)


async def test_a_dry_run_says_the_same_and_writes_nothing(original: Path, tmp_path: Path) -> None:
    paths, clock = Paths.resolve(tmp_path / "state"), FakeClock(datetime.now(UTC))
    told = await run_import(original, "nanoclaw", paths, NanoclawPolicy(), dry_run=True, clock=clock)
    assert not paths.state.exists()
    done = await run_import(original, "nanoclaw", paths, NanoclawPolicy(), dry_run=False, clock=clock)
    assert set(told.items) <= set(done.items)


async def test_a_dry_run_over_what_is_here_changes_nothing_and_may_come_while_the_tenant_runs(
    original: Path, tmp_path: Path
) -> None:
    paths = Paths.resolve(tmp_path / "state")
    await run_import(original, "nanoclaw", paths, NanoclawPolicy(), dry_run=False)
    before = everything_in(paths.state)
    told = await run_import(original, "nanoclaw", paths, NanoclawPolicy(), dry_run=True)
    assert everything_in(paths.state) == before
    assert {outcome for outcome, _ in of(told.items, "group").values()} == {"kept", "dropped"}
    assert of(told.items, "task")["t1"][0] == "kept"
    lock = SingleInstance(paths.pid_file("nanoclaw"), what="the tenant nanoclaw")
    lock.acquire()
    async with opened(paths):
        before = everything_in(paths.state)
        again = await run_import(original, "nanoclaw", paths, NanoclawPolicy(), dry_run=True)
        assert everything_in(paths.state) == before
    lock.release()
    assert again == told


async def test_a_dry_run_over_an_older_database_says_what_it_cannot_tell(original: Path, tmp_path: Path) -> None:
    paths = Paths.resolve(tmp_path / "state")
    await run_import(original, "nanoclaw", paths, NanoclawPolicy(), dry_run=False)
    with closing(sqlite3.connect(paths.tenant_db("nanoclaw"))) as db:
        db.execute("UPDATE alembic_version SET version_num = '0001'")
        db.commit()
    before = everything_in(paths.state)
    told = await run_import(original, "nanoclaw", paths, NanoclawPolicy(), dry_run=True)
    assert everything_in(paths.state) == before
    outcome, note = of(told.items, "problem")["database"]
    assert outcome == "kept"
    assert "has schema 0001" in note
    assert "cannot be told which groups, conversations and tasks are here already" in note


async def test_importing_again_keeps_what_is_here(original: Path, tmp_path: Path) -> None:
    paths = Paths.resolve(tmp_path / "state")
    await run_import(original, "nanoclaw", paths, NanoclawPolicy(), dry_run=False)
    (paths.group("nanoclaw", "main") / "CLAUDE.md").write_text("changed here\n")
    report = await run_import(original, "nanoclaw", paths, NanoclawPolicy(), dry_run=False)
    assert {outcome for outcome, _ in of(report.items, "group").values()} == {"kept", "dropped"}
    assert (paths.group("nanoclaw", "main") / "CLAUDE.md").read_text() == "changed here\n"
    async with opened(paths) as (_, inbox):
        assert (await inbox.counts())["new"] == 1


async def test_a_running_tenant_a_newer_original_and_a_wrong_folder_are_refused(original: Path, tmp_path: Path) -> None:
    paths = Paths.resolve(tmp_path / "state")
    lock = SingleInstance(paths.pid_file("nanoclaw"), what="the tenant nanoclaw")
    lock.acquire()
    with pytest.raises(Occupied, match="stop it first"):
        await run_import(original, "nanoclaw", paths, NanoclawPolicy(), dry_run=False)
    lock.release()
    newer = tmp_path / "newer"
    (newer / "data").mkdir(parents=True)
    (newer / "data" / "v2.db").touch()
    with pytest.raises(Invalid, match="NanoClaw 2"):
        await run_import(newer, "nanoclaw", paths, NanoclawPolicy(), dry_run=False)
    with pytest.raises(NotFound, match=r"store/messages\.db"):
        await run_import(tmp_path / "state", "nanoclaw", paths, NanoclawPolicy(), dry_run=False)
    (original / "store/messages.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(Invalid, match="cannot be read"):
        await run_import(original, "nanoclaw", paths, NanoclawPolicy(), dry_run=False)


def test_the_command_prints_a_report_and_json(original: Path, tmp_path: Path) -> None:
    state = ["--state", str(tmp_path / "state")]
    shown = CliRunner().invoke(cli, ["import", str(original), *state, "--dry-run"], standalone_mode=False)
    assert "Nothing was written" in shown.output
    assert "bot-token-of-the-original" not in shown.output
    done = CliRunner().invoke(cli, ["import", str(original), *state, "--json"], standalone_mode=False)
    assert json.loads(done.output)["dry_run"] is False
