import sqlite3
from importlib.resources import files

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from shared.channels.outbox import Outbox
from shared.channels.schema import channel_tables
from shared.storage import Database

HOMES = ["nanoclaw.migrations", "openclaw.migrations", "shared.testing.channel_migrations"]


def columns(path):
    with sqlite3.connect(path) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: sorted(connection.execute(f"SELECT name, type FROM pragma_table_info('{table}')"))
            for table in tables
        }


def make_at_0001(path, home):
    config = Config()
    config.set_main_option("script_location", str(files(home)))
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    engine.dispose()
    with sqlite3.connect(path) as connection:
        connection.execute(
            "INSERT INTO outbox (key, ordinal, chat, text, nonce, buttons, state, created_at) "
            "VALUES ('run_1', 0, 'dc:7', 'old', 'n', '[]', 'pending', '2026-01-01 00:00:00')"
        )


@pytest.mark.parametrize("home", HOMES)
async def test_a_database_of_the_first_revision_is_brought_up_to_date_with_what_it_holds(tmp_path, home):
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    make_at_0001(old, home)
    for path in (old, new):
        database = Database(path, migrations=home)
        await database.open()
        if path is old:
            (row,) = await Outbox(database, channel_tables(), channel_for=None).rows("run_1")
            assert (row.text, row.files, row.state) == ("old", (), "pending")
        await database.close()
    assert columns(old) == columns(new)
