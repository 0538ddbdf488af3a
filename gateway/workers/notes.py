"""What a gateway writes down about its workers for the gateway that comes after it."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from contextlib import suppress

from gateway.workers.reconcile import Checkpoint
from shared.config.paths import Paths


class WorkerNotes:
    """One small file beside each worker's socket folder; a lost one costs exact numbering after log turnover only."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    def read(self, worker_id: str) -> Checkpoint:
        """The last note about a worker; an empty one when there is none."""
        try:
            return Checkpoint.model_validate_json(self._paths.worker_note(worker_id).read_text())
        except (OSError, ValueError):
            return Checkpoint()

    def write(self, worker_id: str, note: Checkpoint) -> None:
        """Replace the note in one step.

        Raises:
            OSError: the disk is full, or worse.
        """
        path = self._paths.worker_note(worker_id)
        fresh = path.with_suffix(".new")
        fresh.write_text(note.model_dump_json())
        fresh.replace(path)

    def forget(self, worker_id: str) -> None:
        """The worker is no more."""
        self._paths.worker_note(worker_id).unlink(missing_ok=True)
        with suppress(OSError):
            self._paths.worker_dir(worker_id).rmdir()

    def tidy(self, known: Collection[str]) -> None:
        """Clear away socket folders and notes of workers that are no more."""
        folder = self._paths.worker_dir("x").parent
        for entry in folder.iterdir() if folder.is_dir() else ():
            if entry.stem in known:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
