"""Writes that share a transaction: in order, each for itself, and durable within a second where nobody waits for it."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from shared.storage import Batches, Database

MIGRATIONS = "gateway.migrations"


@asynccontextmanager
async def opened(folder):
    database = Database(folder / "t.db", migrations=MIGRATIONS)
    await database.open()
    await database.write(lambda connection: connection.execute(text("CREATE TABLE number (n INTEGER PRIMARY KEY)")))
    try:
        yield database
    finally:
        await database.close()


def insert(connection, n):
    connection.execute(text("INSERT INTO number VALUES (:n)"), {"n": n})


async def numbers(database):
    return await database.read(lambda c: [row[0] for row in c.execute(text("SELECT n FROM number ORDER BY rowid"))])


class Writer:
    """The work of a batch, and how large the batches were."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, connection, items):
        self.sizes.append(len(items))
        for n in items:
            insert(connection, n)
        return [n * 2 for n in items]


async def test_whoever_comes_during_a_write_shares_the_next_one(tmp_path):
    async with opened(tmp_path) as database:
        writer = Writer()
        batches = Batches(database, writer)
        assert await asyncio.gather(*(batches.add(n) for n in range(1, 41))) == [n * 2 for n in range(1, 41)]
        assert await numbers(database) == list(range(1, 41))
        assert len(writer.sizes) < 10


async def test_one_after_the_other_never_waits_for_a_third(tmp_path):
    async with opened(tmp_path) as database:
        batches = Batches(database, Writer())
        async with asyncio.timeout(20):
            for n in range(1, 201):
                assert await batches.add(n) == n * 2


async def test_one_that_fails_does_not_fail_those_beside_it(tmp_path):
    async with opened(tmp_path) as database:
        batches = Batches(database, Writer())
        await batches.add(7)
        results = await asyncio.gather(*(batches.add(n) for n in (5, 6, 7, 8)), return_exceptions=True)
        assert [type(result).__name__ for result in results] == ["int", "int", "IntegrityError", "int"]
        assert sorted(await numbers(database)) == [5, 6, 7, 8]


async def test_one_that_left_before_its_turn_is_not_written(tmp_path):
    async with opened(tmp_path) as database:
        batches = Batches(database, Writer())
        first = asyncio.create_task(batches.add(1))
        await asyncio.sleep(0)
        leaving = asyncio.create_task(batches.add(2))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(first, leaving, return_exceptions=True)
        await batches.add(3)
        assert await numbers(database) == [1, 3]


async def test_who_has_patience_goes_along_with_who_has_none(tmp_path):
    async with opened(tmp_path) as database:
        writer = Writer()
        batches = Batches(database, writer)
        patient = asyncio.create_task(batches.add(1, patience_s=30.0))
        await asyncio.sleep(0.02)
        assert not patient.done()
        await batches.add(2)
        assert await patient == 2
        assert writer.sizes == [2]
        async with asyncio.timeout(5):
            await batches.add(3, patience_s=0.01)


async def test_a_write_nobody_waits_for_is_synced_soon_and_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr("shared.storage.database._SYNC_WITHIN_S", 0.05)
    synced: list[str] = []
    real = os.fsync

    def fsync(handle):
        synced.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    async with opened(tmp_path) as database:
        await database.write(lambda connection: insert(connection, 1), sync=False)
        assert synced == []
        async with asyncio.timeout(5):
            while not synced:
                await asyncio.sleep(0.01)
        await database.write(lambda connection: insert(connection, 2), sync=False)
    assert synced == ["t.db-wal", "t.db-wal"]


async def test_the_next_write_that_is_waited_for_is_synced_by_the_database_itself(tmp_path):
    def level(connection):
        return connection.execute(text("PRAGMA synchronous")).scalar()

    async with opened(tmp_path) as database:
        levels = [await database.write(level, sync=sync) for sync in (True, False, True, False, False, True)]
        assert levels == [2, 1, 2, 1, 1, 2], "FULL is 2, NORMAL 1"


def test_a_write_nobody_waits_for_outlives_the_process(tmp_path):
    code = """
import asyncio, os, signal, sys
from pathlib import Path
from sqlalchemy import text
from shared.storage import Database
async def main():
    database = Database(Path(sys.argv[1]), migrations="gateway.migrations")
    await database.open()
    await database.write(lambda c: c.execute(text("CREATE TABLE number (n INTEGER)")))
    await database.write(lambda c: c.execute(text("INSERT INTO number VALUES (7)")), sync=False)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    path = tmp_path / "k.db"
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False, timeout=50)
    assert done.returncode == -signal.SIGKILL
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT n FROM number").fetchall() == [(7,)]
    connection.close()


@pytest.mark.parametrize("count", [300])
async def test_more_than_one_batch_holds_is_written_all_the_same(tmp_path, count):
    async with opened(tmp_path) as database:
        batches = Batches(database, Writer())
        await asyncio.gather(*(batches.add(n) for n in range(1, count + 1)))
        assert len(await numbers(database)) == count
