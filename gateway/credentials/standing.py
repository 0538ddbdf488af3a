"""What is known about a credential besides itself: survives restarts, is read by commands, and holds no secret."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.credentials.files import fingerprint
from shared.oauth.models import Token
from shared.obs.log import get_logger
from shared.secrets.files import write_private

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a credential has been doing.

    Attributes:
        mark: of the token that `last_refresh` bought.
        last_refresh: when it was bought, or signed in.
        refused_mark: the provider's final no to this token; empty when there was none.
        refused_why: for a person.
        noticed_mark: the owner has been told about this one.
        failure: why the last try did not work; empty after a success.
        failing_since: when the first of the tries that did not work was, aware UTC; None after a success.
    """

    mark: str = ""
    last_refresh: datetime | None = None
    refused_mark: str = ""
    refused_why: str = ""
    noticed_mark: str = ""
    failure: str = ""
    failing_since: datetime | None = None


_MOMENTS = ("last_refresh", "failing_since")


def mark_of(token: Token) -> str:
    """Tells sign-ins apart without being one."""
    return fingerprint((token.refresh or token.access).reveal())


class StandingFile:
    """One `Standing` on disk. It is advice: an unreadable one is an empty one, and a full disk loses it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Standing:
        """The last one written."""
        try:
            fields: dict[str, Any] = json.loads(self._path.read_text("utf-8"))
            last_refresh, failing_since = (fields.pop(name, None) for name in _MOMENTS)
            return Standing(
                **{name: str(value) for name, value in fields.items()},
                last_refresh=datetime.fromisoformat(last_refresh) if last_refresh else None,
                failing_since=datetime.fromisoformat(failing_since) if failing_since else None,
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return Standing()

    def write(self, standing: Standing) -> None:
        """Replace it."""
        fields = {name: getattr(standing, name) for name in Standing.__slots__}
        fields |= {name: fields[name].isoformat() if fields[name] else None for name in _MOMENTS}
        try:
            write_private(self._path, json.dumps(fields))
        except OSError as error:
            _log.warning("credentials.standing_lost", reason=type(error).__name__)
