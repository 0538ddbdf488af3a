"""A database with one write thread and a small pool of readers.

A unit of work is a plain function ``fn(connection) -> T``: it cannot await, so no transaction ever spans
network traffic. Writes run one after the other inside ``BEGIN IMMEDIATE``; with the driver's default
transactions, concurrent read-modify-write loops lose updates without an error (measured: 44 of 60).
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from sqlite3 import DatabaseError
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError

from shared.errors import ConfigError, Internal, NotFound, Unavailable

T = TypeVar("T")

Also = Callable[[Connection], None]
"""More work for the same transaction, so that two facts become durable together."""

_READERS = 2
_SYNC_WITHIN_S = 1.0
_REVISION_FILE = re.compile(r"(\d{4})_\w+\.py")


@dataclass(frozen=True, slots=True)
class Standing:
    """How a database's schema stands: the revision it has, None before the first start, and the newest we know."""

    current: str | None
    known: str


class Database:
    """One process's durable state.

    Args:
        url: SQLAlchemy URL, or a path for SQLite.
        migrations: import name of the package whose ``versions`` folder holds the schema's history.
    """

    def __init__(self, url: str | Path, *, migrations: str) -> None:
        self.url = f"sqlite:///{url}" if isinstance(url, Path) else url
        self._migrations = migrations
        self._engine: Engine | None = None
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="db-write")
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="db-read")
        self._sync_timer: asyncio.TimerHandle | None = None

    @property
    def engine(self) -> Engine:
        """The open engine."""
        if self._engine is None:
            raise RuntimeError("the database is not open")
        return self._engine

    async def open(self) -> None:
        """Open the database and bring its schema up to date.

        Raises:
            ConfigError: the file cannot be opened, or was written by a newer version of the program.
        """
        await asyncio.get_running_loop().run_in_executor(self._writer, self._open)

    def _open(self) -> None:
        url = make_url(self.url)
        if url.drivername.startswith("sqlite") and url.database:
            place = Path(url.database)
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Before SQLite makes it: its journal takes the file's mode.
            place.touch(mode=0o600)
            if place.stat().st_uid == os.geteuid():
                place.chmod(0o600)
        engine = create_engine(url, pool_size=1 + _READERS, max_overflow=0, pool_timeout=30)
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _configure_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        try:
            self._migrate(engine)
        except DBAPIError as error:
            engine.dispose()
            raise ConfigError(
                f"the database {url.render_as_string()} cannot be opened: {error.orig}", code="config.database"
            ) from error
        self._engine = engine

    def _migrate(self, engine: Engine) -> None:
        """Run Alembic only when the schema is behind: importing it costs a third of a second."""
        with engine.connect() as connection:
            standing = self._standing(connection)
        if standing.current == standing.known:
            return
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(files(self._migrations)))
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def _standing(self, connection: Connection) -> Standing:
        known, current = self._revisions(), self._revision(connection)
        if current is not None and current not in known:
            raise ConfigError(
                f"{make_url(self.url).render_as_string()} was written by a newer version (schema {current}; "
                f"we know up to {known[-1]}): upgrade the program, or restore a backup from before the upgrade",
                code="config.database_newer",
            )
        return Standing(current, known[-1])

    def examine(self) -> Standing:
        """Whether `open` would succeed, and the file is undamaged; changes nothing, and its process may run meanwhile.

        Raises:
            ConfigError: as `open` does.
            Internal: it is damaged.
        """
        url = make_url(self.url)
        engine = create_engine(_read_only(url) if url.drivername.startswith("sqlite") else url, poolclass=NullPool)
        try:
            with engine.connect() as connection:
                standing = self._standing(connection)
                if engine.dialect.name == "sqlite":
                    problems = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA quick_check(5)")]
                    _require_whole(self.url, problems)
                return standing
        except DBAPIError as error:
            raise ConfigError(
                f"the database {url.render_as_string()} cannot be opened: {error.orig}", code="config.database"
            ) from error
        finally:
            engine.dispose()

    def read_at_rest(self, work: Callable[[Connection], T]) -> T:
        """Run a query while the process that owns the database is down: for commands, without an event loop.

        The file is opened read-only and stays as it is.

        Raises:
            NotFound: there is no database yet.
            ConfigError: its schema is not the one we know, so that our query would not fit.
        """
        url = make_url(self.url)
        if url.drivername.startswith("sqlite") and url.database:
            place = Path(url.database)
            if not place.exists():
                raise NotFound(f"{place} does not exist: it is made at the first start", code="storage.none")
            url = _read_only(url)
        engine = create_engine(url, poolclass=NullPool)
        try:
            with engine.connect() as connection:
                current = self._revision(connection)
                if current != (known := self._revisions()[-1]):
                    raise ConfigError(
                        f"{make_url(self.url).render_as_string()} has schema {current or 'none'}, we know {known}: "
                        "start the process once with this version of the program",
                        code="config.database_schema",
                    )
                return work(connection)
        except DBAPIError as error:
            raise Unavailable(f"{self.url} cannot be read: {error.orig}", code="storage.read") from error
        finally:
            engine.dispose()

    def _revisions(self) -> list[str]:
        names = (_REVISION_FILE.fullmatch(entry.name) for entry in (files(self._migrations) / "versions").iterdir())
        return sorted(match[1] for match in names if match)

    @staticmethod
    def _revision(connection: Connection) -> str | None:
        if not connection.dialect.has_table(connection, "alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()

    async def close(self) -> None:
        """Finish the writes under way and close."""
        if self._sync_timer is not None:
            self._sync_timer.cancel()
            await self.read(lambda _connection: self._sync_log())
        self._writer.shutdown(wait=False)
        self._readers.shutdown(wait=False)
        await asyncio.to_thread(self._writer.shutdown, wait=True)
        await asyncio.to_thread(self._readers.shutdown, wait=True)
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    async def write(self, work: Callable[[Connection], T], *, sync: bool = True) -> T:
        """Run a unit of work on the write thread; it is durable when this returns.

        Args:
            work: what to do.
            sync: False returns before the disk has it: it outlives this process at once, and the machine's power a
                second later. For what is counted often and not worth a disk's time each.
        """
        result = await asyncio.get_running_loop().run_in_executor(self._writer, self._in_transaction, work, sync)
        if not sync and self._sync_timer is None:
            self._sync_timer = asyncio.get_running_loop().call_later(_SYNC_WITHIN_S, self._start_sync)
        return result

    def _start_sync(self) -> None:
        self._sync_timer = None
        self._readers.submit(self._sync_log)

    def _sync_log(self) -> None:
        """Have the disk take what the write-ahead log holds; PostgreSQL does that by itself."""
        name = make_url(self.url).database
        if self.engine.dialect.name != "sqlite" or not name:
            return
        try:
            handle = os.open(f"{name}-wal", os.O_RDONLY)
        except FileNotFoundError:
            return  # already taken over into the database, which syncs it
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    async def breathe(self) -> None:
        """An empty write: returns while the database takes writes, for a watchdog."""
        await self.write(lambda _connection: None, sync=False)

    async def maintain(self) -> str:
        """Check the file for damage and take the write-ahead log over into it; says what was found.

        PostgreSQL does both by itself.

        Raises:
            Internal: the database is damaged; the message says where.
        """
        if self.engine.dialect.name != "sqlite":
            return "the database server does this by itself"
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._readers, self._check)
        moved = await loop.run_in_executor(self._writer, self._checkpoint)
        return f"no damage; {moved}"

    def _check(self) -> None:
        _require_whole(self.url, [str(row[0]) for row in self._pragma("quick_check(5)")])

    def _checkpoint(self) -> str:
        """On the write thread, so that no write of ours is under way."""
        busy = self._pragma("wal_checkpoint(TRUNCATE)")[0][0]
        return "the write-ahead log is in use and was kept" if busy else "write-ahead log emptied"

    def _pragma(self, text: str) -> list[tuple[Any, ...]]:
        """Run a pragma outside any transaction."""
        connection = self.engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA {text}")
            return [tuple(row) for row in cursor.fetchall()]
        except DatabaseError as error:
            raise Internal(f"the database {self.url} cannot be checked: {error}", code="storage.damaged") from error
        finally:
            connection.close()

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a query on a reader, in a snapshot of its own."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._in_snapshot, work)

    def _in_transaction(self, work: Callable[[Connection], T], sync: bool) -> T:  # noqa: FBT001 - from an executor
        try:
            with self.engine.connect().execution_options(clawgate_sync=sync) as connection, connection.begin():
                if not sync and connection.dialect.name == "postgresql":
                    connection.exec_driver_sql("SET LOCAL synchronous_commit TO off")
                return work(connection)
        except DBAPIError as error:
            if (
                error.connection_invalidated
                or "disk" in str(error.orig).lower()
                or "readonly" in str(error.orig).lower()
            ):
                raise Unavailable(f"the database refused a write: {error.orig}", code="storage.write") from error
            raise

    def _in_snapshot(self, work: Callable[[Connection], T]) -> T:
        with self.engine.connect().execution_options(clawgate_read=True) as connection:
            return work(connection)


def _read_only(url: URL) -> URL:
    """Where to read a file so that nothing in its folder changes.

    Without a write-ahead log nobody has it open, and a plain read-only connection would leave an empty log and its
    index behind, as files of whoever ran the command. Beside a log SQLite only refreshes the index (``-shm``).
    """
    place = str(url.database)
    alone = "" if Path(f"{place}-wal").exists() else "&immutable=1"
    return make_url(f"sqlite:///file:{quote(place)}?mode=ro{alone}&uri=true")


def _require_whole(url: str, problems: list[str]) -> None:
    if problems != ["ok"]:
        raise Internal(
            f"the database {url} is damaged: {'; '.join(problems)}. Stop the process and restore a backup",
            code="storage.damaged",
        )


def _configure_sqlite(dbapi_connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own type
    dbapi_connection.isolation_level = None  # transactions are begun by `_begin_sqlite`
    cursor = dbapi_connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "busy_timeout=5000",
        "cache_size=-4096",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("clawgate_read"):
        connection.exec_driver_sql("BEGIN")
        return
    wanted = "FULL" if options.get("clawgate_sync", True) else "NORMAL"
    if connection.info.get("synchronous", "FULL") != wanted:
        # Only between transactions, and for this connection alone.
        connection.exec_driver_sql(f"PRAGMA synchronous={wanted}")
        connection.info["synchronous"] = wanted
    connection.exec_driver_sql("BEGIN IMMEDIATE")
