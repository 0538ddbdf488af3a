"""Alembic's entry: runs the scripts on the connection it is given."""

from shared.storage.alembic_env import run

run()
