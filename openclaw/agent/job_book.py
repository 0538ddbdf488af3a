"""Which commands run in the background, written down so that the next start can tell their sessions how they ended.

A command never outlives the tenant (the launcher sees to that). What the book still holds at a start was cut.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from shared.obs.log import get_logger
from shared.secrets.files import write_private

_log = get_logger(__name__)

_COMMAND_CHARS: Final = 500
_MOST_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Cut:
    """A command in the background.

    Attributes:
        chat: where its session speaks, as the channel addresses it; empty for the Control UI.
    """

    job_id: str
    session_key: str
    chat: str
    command: str

    @property
    def text(self) -> str:
        """What the agent reads when the command ended with the tenant."""
        return (
            f"[System event, not written by a person] OpenClaw was restarted, and the background command {self.job_id} "
            f"ended with it; it is not known how far it came.\nCommand: {self.command}"
        )


class JobBook:
    """The file. Synchronous and small: at most a dozen commands run at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: dict[str, Cut] | None = None

    def load(self) -> list[Cut]:
        """What is written down; nothing when there is no file, or it cannot be read."""
        return list(self._entries().values())

    def add(self, job: Cut) -> None:
        """Write a command down when it goes to the background."""
        self._entries()[job.job_id] = Cut(job.job_id, job.session_key, job.chat, job.command[:_COMMAND_CHARS])
        self._save()

    def keep(self, wanted: Callable[[Cut], bool]) -> None:
        """Strike out the others."""
        kept = {job_id: job for job_id, job in self._entries().items() if wanted(job)}
        if len(kept) != len(self._entries()):
            self._open = kept
            self._save()

    def _entries(self) -> dict[str, Cut]:
        if self._open is None:
            self._open = {job.job_id: job for job in self._read()}
        return self._open

    def _read(self) -> list[Cut]:
        try:
            with self._path.open("rb") as handle:
                found = json.loads(handle.read(_MOST_BYTES))
            return [Cut(**{name: str(value) for name, value in entry.items()}) for entry in found]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            _log.warning("jobs.book_unreadable", path=str(self._path), reason=type(error).__name__)
            return []

    def _save(self) -> None:
        """A full disk costs the news after a restart, never the command."""
        try:
            write_private(self._path, json.dumps([asdict(job) for job in self._entries().values()]) + "\n")
        except OSError as error:
            _log.warning("jobs.book_not_kept", path=str(self._path), reason=str(error))
