"""A log line as the original's clients read it."""

from __future__ import annotations

import json

_HEAD = frozenset({"event", "level", "ts", "logger"})
_LEVELS = {"warning": "WARN", "critical": "FATAL"}


def for_clients(line: str) -> str:
    """A log line with the fields the original's clients read beside our own; lines that are no record of ours stay.

    They take the message from ``0``, and level, time and the part of the program from ``_meta``.
    """
    try:
        record = json.loads(line)
        event = str(record["event"])
    except (ValueError, KeyError, TypeError):
        return line
    details = " ".join(f"{name}={value}" for name, value in record.items() if name not in _HEAD)
    level, moment = str(record.get("level", "info")), record.get("ts")
    part = json.dumps({"subsystem": str(record.get("logger") or "gateway")})
    meta = {"logLevelName": _LEVELS.get(level, level.upper()), "date": moment, "name": part}
    shown = {"0": f"{event} {details}".rstrip(), "_meta": meta, "time": moment}
    return json.dumps({**record, **shown}, ensure_ascii=False)
