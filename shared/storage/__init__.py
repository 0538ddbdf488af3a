"""Durable state: one database per process, written by one thread."""

from shared.storage.batches import Batches
from shared.storage.database import Also, Database
from shared.storage.types import BigId, JsonValue, UtcTime, insert_new, upsert

__all__ = ["Also", "Batches", "BigId", "Database", "JsonValue", "UtcTime", "insert_new", "upsert"]
