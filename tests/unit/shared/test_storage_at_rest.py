"""Reading a database while the process that owns it is down, also after it was killed."""

from __future__ import annotations

import shutil

import pytest
from sqlalchemy import text

from shared.errors import ConfigError, NotFound
from shared.storage import Database

MIGRATIONS = "shared.testing.channel_migrations"
PUT = text("INSERT INTO mark (name, value) VALUES ('a', 'b')")
COUNT = text("SELECT count(*) FROM mark")


def count(connection):
    return connection.execute(COUNT).scalar_one()


async def test_it_reads_what_was_committed_before_a_kill_and_changes_nothing(tmp_path):
    db = Database(tmp_path / "a.db", migrations=MIGRATIONS)
    await db.open()
    await db.write(lambda c: c.execute(PUT))
    killed = tmp_path / "killed with space"
    killed.mkdir()
    for name in ("a.db", "a.db-wal"):  # as a killed process leaves them: not merged
        shutil.copy(tmp_path / name, killed / name)
    before = (killed / "a.db").read_bytes()
    left = Database(killed / "a.db", migrations=MIGRATIONS)
    assert left.read_at_rest(count) == 1
    assert (killed / "a.db").read_bytes() == before
    assert db.read_at_rest(count) == 1
    await db.close()
    files = sorted(path.name for path in tmp_path.glob("a.db*"))
    assert db.read_at_rest(count) == 1
    assert db.examine().current == db.examine().known
    assert sorted(path.name for path in tmp_path.glob("a.db*")) == files == ["a.db"]


async def test_a_database_that_is_not_there_or_not_ours_is_refused_with_the_fix(tmp_path):
    db = Database(tmp_path / "a.db", migrations=MIGRATIONS)
    with pytest.raises(NotFound, match="first start"):
        db.read_at_rest(count)
    await db.open()
    await db.write(lambda c: c.execute(text("UPDATE alembic_version SET version_num = '0000'")))
    await db.close()
    with pytest.raises(ConfigError, match="has schema 0000, we know"):
        db.read_at_rest(count)
