"""One structlog pipeline for every record of a process, its libraries' included.

Events are named ``area.verb_past`` with fields, not prose. A terminal gets columns, anything else JSON lines.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from datetime import tzinfo
from pathlib import Path
from typing import Any, TextIO, cast

import structlog

from shared.clock import SYSTEM_CLOCK
from shared.obs.logfile import LogFile
from shared.obs.redact import redact

_zone: tzinfo | None = None

Logger = structlog.typing.FilteringBoundLogger

_QUIET = (
    "discord",
    "httpx",
    "httpcore",
    "websockets",
    "docker",
    "urllib3",
    "asyncio",
    "uvicorn",
    "litestar",
    "mcp",
    "alembic",
)


def stamp_logs_in(zone: tzinfo | None) -> None:
    """Stamp what this process logs from now on in the owner's zone; None, and until then, is the machine's own.

    The offset is part of every stamp, so that lines of both kinds are told apart and sorted.
    """
    global _zone  # noqa: PLW0603 - one pipeline a process, set once
    _zone = zone


def _stamp(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["ts"] = SYSTEM_CLOCK.now().astimezone(_zone).isoformat(timespec="microseconds")
    return event


def _redact_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        event[key] = value if key == "event" and isinstance(value, str) and " " not in value else redact(value, key=key)
    return event


def configure_logging(
    process: str, *, level: str = "INFO", stream: TextIO | None = None, file: Path | None = None
) -> None:
    """Set up logging for a process; call once, before anything logs.

    Args:
        process: bound to every line as ``process`` (``gateway``, a tenant's name, …).
        level: least severe level that is written.
        stream: where lines go; standard error unless told otherwise.
        file: where they go as JSON too.

    Raises:
        ConfigError: the file cannot be written.
    """
    stream = stream or sys.stderr
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        _stamp,
        structlog.processors.format_exc_info,
        _redact_event,
    ]
    as_json = structlog.processors.JSONRenderer(ensure_ascii=False)
    shown = structlog.dev.ConsoleRenderer(colors=True) if stream.isatty() else as_json
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        cache_logger_on_first_use=True,
    )
    handlers: list[tuple[logging.Handler, structlog.typing.Processor]] = [(logging.StreamHandler(stream), shown)]
    if file is not None:
        handlers.append((LogFile(file), as_json))
    for handler, final in handlers:
        steps = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, final]
        handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=steps))
    root = logging.getLogger()
    for old in root.handlers:
        if isinstance(old, LogFile):
            old.close()
    root.handlers[:] = [handler for handler, _ in handlers]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(process=process)


def get_logger(name: str) -> Logger:
    """A logger whose lines carry ``logger=name``."""
    return cast(Logger, structlog.stdlib.get_logger(name))
