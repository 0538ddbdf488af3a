"""Alembic's entry point."""

from shared.storage.alembic_env import run

run()
