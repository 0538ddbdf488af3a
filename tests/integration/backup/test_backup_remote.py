"""Backups on real git remotes: pushed, unchanged, refused, contested, restored, verified and drilled."""

import asyncio
import io
import json
import shutil
import sqlite3
import subprocess
import tarfile
from contextlib import closing

import pytest
from click.testing import CliRunner

from gateway.backup.policy import load_backup
from gateway.backup.service import Backups, fetch, restore, verify
from gateway.backup.store import BackupStore
from gateway.cli.backup import cli
from gateway.credentials.vault import open_vault
from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.config.tomlwrite import overlay_file
from shared.errors import Conflict, Denied, Invalid, NotFound, Unavailable
from shared.storage import Database


def git(folder, *words):
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def paths(tmp_path, monkeypatch):
    paths = Paths(state=tmp_path / "s", runtime=tmp_path / "r")
    monkeypatch.setenv("CLAWGATE_RUNTIME", str(paths.runtime))
    remotes = {}
    for tenant in ("nanoclaw", "gateway"):
        git(tmp_path, "init", "--quiet", "--bare", f"{tenant}.git")
        remotes[tenant] = {"url": str(tmp_path / f"{tenant}.git")}
    overlay_file(operator_file("backup", paths), {"remotes": remotes})
    return paths


@pytest.fixture
async def backups(paths):
    database = Database(paths.gateway_db, migrations="gateway.migrations")
    await database.open()
    yield Backups(paths, BackupStore(database))
    await database.close()


async def copy_of(**files):
    """A tar file as a tenant hands it over, in two pieces."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    whole = packed.getvalue()
    yield whole[:700]
    yield whole[700:]


def commits(paths, tenant="nanoclaw"):
    repository = paths.state.parent / f"{tenant}.git"
    return git(repository, "log", "--format=%H %an %ae %s", "main").splitlines()


async def test_pushed_once_unchanged_without_a_commit_changed_with_one(paths, backups):
    first = await backups.receive("nanoclaw", copy_of(memory=b"remember", notes=b"n"))
    assert "pushed as" in first.detail
    second = await backups.receive("nanoclaw", copy_of(memory=b"remember", notes=b"n"))
    assert (second.commit, second.detail) == ("", "2 files, 0.0 MB, nothing has changed")
    third = await backups.receive("nanoclaw", copy_of(memory=b"remember more"))
    assert [line.split()[0] for line in commits(paths)] == [third.commit, first.commit]
    assert "Clawgate backup backup@localhost" in commits(paths)[0]
    shown = subprocess.run(
        ["git", "grep", "-aq", "remember", "main"], cwd=paths.state.parent / "nanoclaw.git", check=False
    )
    assert shown.returncode == 1, "what was backed up can be read on the remote"
    record = {r.tenant: r for r in await BackupStore(backups._store._database).all()}["nanoclaw"]
    assert record.commit == third.commit
    assert not list(paths.backup_spool.iterdir())


async def test_a_secret_stops_it_and_the_remote_stays_as_it_was(paths, backups):
    await backups.receive("nanoclaw", copy_of(memory=b"fine"))
    await open_vault(paths).put("nanoclaw", "threads", json.dumps({"access_token": "live-threads-secret"}).encode())
    with pytest.raises(Denied, match=r"memory holds nanoclaw/threads access_token"):
        await backups.receive("nanoclaw", copy_of(memory=b"the token is live-threads-secret"))
    assert len(commits(paths)) == 1
    record = (await BackupStore(backups._store._database).all())[0]
    assert record.ok_at is not None
    assert record.ok_at < record.at
    assert "memory holds" in record.detail


async def test_a_remote_that_cannot_be_reached_or_takes_nothing(paths, backups):
    shutil.rmtree(paths.state.parent / "nanoclaw.git")
    with pytest.raises(Unavailable, match="ls-remote failed"):
        await backups.receive("nanoclaw", copy_of(memory=b"fine"))
    with pytest.raises(Unavailable, match="nanoclaw"):
        await backups.watch()
    git(paths.state.parent, "init", "--quiet", "--bare", "nanoclaw.git")
    hook = paths.state.parent / "nanoclaw.git/hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho no >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(Unavailable, match="push failed"):
        await backups.receive("nanoclaw", copy_of(memory=b"fine"))
    hook.unlink()
    assert (await backups.receive("nanoclaw", copy_of(memory=b"fine"))).commit
    assert len(commits(paths)) == 1


async def test_somebody_elses_commit_is_kept_and_never_overwritten(paths, backups, tmp_path):
    await backups.receive("nanoclaw", copy_of(memory=b"one"))
    git(tmp_path, "clone", "--quiet", "--branch", "main", str(tmp_path / "nanoclaw.git"), "other")
    (tmp_path / "other/NOTE").write_text("mine")
    git(tmp_path / "other", "add", ".")
    git(tmp_path / "other", "-c", "user.name=o", "-c", "user.email=o@o", "commit", "-qm", "mine")
    git(tmp_path / "other", "push", "--quiet", "origin", "main")
    await backups.receive("nanoclaw", copy_of(memory=b"two"))
    assert [line.split(" ", 1)[1].split()[-1] for line in commits(paths)] == ["bytes", "mine", "bytes"]
    git(tmp_path / "other", "pull", "--quiet", "origin", "main")
    assert (tmp_path / "other/NOTE").read_text() == "mine"


async def test_one_at_a_time_and_none_without_a_remote(paths, backups):
    results = await asyncio.gather(
        *(backups.receive("nanoclaw", copy_of(memory=b"x" * number)) for number in range(1, 4)), return_exceptions=True
    )
    assert sum(isinstance(result, Conflict) for result in results) == 2
    assert "no remote" in (await backups.receive("openclaw", copy_of(memory=b"x"))).detail


async def test_too_large_or_not_a_copy(paths, backups):
    overlay_file(operator_file("backup", paths), {"max_mb": 1})
    with pytest.raises(Invalid, match="larger than 1 MB"):
        await backups.receive("nanoclaw", copy_of(memory=b"x" * 1_300_000))

    async def junk():
        yield b"no tar file" * 100

    with pytest.raises(Invalid):
        await backups.receive("nanoclaw", junk())
    assert not list(paths.backup_spool.iterdir())


async def test_the_gateways_own_and_back_again(paths, backups, tmp_path):
    detail = await backups.own()
    assert "pushed" in detail
    reading = await fetch("gateway", load_backup(paths).remotes["gateway"], tmp_path / "work", paths)
    found = await asyncio.to_thread(verify, reading, tmp_path)
    assert found["databases"] == 1
    await asyncio.to_thread(restore, reading, tmp_path / "back")
    assert (tmp_path / "back/policies/backup.toml").read_bytes() == operator_file("backup", paths).read_bytes()
    assert not list((tmp_path / "back").rglob("*vault*"))
    with closing(sqlite3.connect(tmp_path / "back/gateway/gateway.db")) as db:
        assert db.execute("SELECT count(*) FROM backup").fetchone() == (0,)
    with pytest.raises(Conflict, match="not empty"):
        await asyncio.to_thread(restore, reading, tmp_path / "back")


async def test_on_another_machine_with_the_operators_key(paths, backups, tmp_path):
    made = CliRunner().invoke(cli, ["keygen", str(tmp_path / "key")], catch_exceptions=False)
    overlay_file(operator_file("backup", paths), {"recipients": [made.stdout.split()[0]]})
    await backups.receive("nanoclaw", copy_of(memory=b"remember"))
    elsewhere = ["--state", str(tmp_path / "elsewhere"), "--from", str(tmp_path / "nanoclaw.git"), "--json"]
    words = ["restore", "nanoclaw", *elsewhere, "--to", str(tmp_path / "new"), "--identity", str(tmp_path / "key")]
    done = await asyncio.to_thread(CliRunner().invoke, cli, words, catch_exceptions=False)
    assert json.loads(done.stdout)["files"] == 1
    assert (tmp_path / "new/nanoclaw/memory").read_bytes() == b"remember"
    without = ["restore", "nanoclaw", *elsewhere, "--to", str(tmp_path / "other")]
    refused = await asyncio.to_thread(CliRunner().invoke, cli, without, standalone_mode=False)
    assert isinstance(refused.exception, Invalid)
    assert "decrypted" in refused.exception.detail


def test_commands_without_backups_say_what_to_do(paths, tmp_path):
    def run(*words):
        return CliRunner().invoke(cli, [*words, "--state", str(paths.state)], standalone_mode=False)

    listed = run("list")
    assert listed.return_value == 1
    assert "never" in listed.output
    assert "has not run" in listed.output
    assert isinstance(run("verify", "openclaw").exception, NotFound)
    assert isinstance(run("verify", "nanoclaw").exception, NotFound)
    operator_file("backup", paths).unlink()
    assert "docs/backup.md" in run("list").output
    assert isinstance(run("run").exception, NotFound)
    assert isinstance(run("restore", "--drill").exception, NotFound)
