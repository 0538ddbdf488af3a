"""What every application's ``migrations/env.py`` does: run the scripts on the connection it is given."""

from __future__ import annotations

from alembic import context


def run() -> None:
    """Upgrade on the connection that `shared.storage.Database` put into the configuration."""
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, render_as_batch=True, transaction_per_migration=False)
    with context.begin_transaction():
        context.run_migrations()
