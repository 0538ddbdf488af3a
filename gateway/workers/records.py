"""What is written about workers, with nobody waiting for the disk: notes for the next gateway, and each life's log."""

from __future__ import annotations

from collections.abc import Collection

from gateway.workers.notes import WorkerNotes
from gateway.workers.reconcile import Checkpoint
from gateway.workers.worker import Worker
from shared.clock import Clock


class Records:
    """Composes texts at once and leaves the writing to `Worker.desk`, in order."""

    def __init__(self, notes: WorkerNotes, clock: Clock) -> None:
        self._notes = notes
        self._clock = clock

    def read(self, worker_id: str) -> Checkpoint:
        """What the gateway before us noted. Blocks."""
        return self._notes.read(worker_id)

    def tidy(self, known: Collection[str]) -> None:
        """Clear away what is left of workers that are no more. Blocks."""
        self._notes.tidy(known)

    def note(self, worker: Worker) -> None:
        """How far its output was read, and what it is at."""
        if worker.stream is None:
            return
        note = worker.stream.checkpoint(run_id=worker.run_id, standby=worker.is_standby)
        worker.desk.do(lambda: self._notes.write(worker.worker_id, note))

    def started(self, worker: Worker, facts: str) -> None:
        """A life begins."""
        self._append(worker, facts)
        self.note(worker)

    def run_began(self, worker: Worker) -> None:
        """It is busy now."""
        self._event(worker, f"run {worker.run_id} begins")
        self.note(worker)

    def run_ended(self, worker: Worker) -> None:
        """Said before the run is forgotten; without a run nothing is written."""
        if worker.state == "busy" and worker.run_id:
            took = self._clock.monotonic() - worker.run_began
            self._event(worker, f"run {worker.run_id} ended after {took:.1f} s")

    def ended(self, worker: Worker, code: int, stderr: str) -> None:
        """A life ends; no note is kept of it."""
        if (log := worker.log) is not None:
            lived = self._clock.monotonic() - worker.began
            text = f"ended: {worker.reason or 'by itself'}, code {code}, after {lived:.1f} s, {worker.runs} runs"
            self._append(worker, log.event(self._clock.now(), text) + log.stderr(stderr), final=True)

    def forget(self, worker: Worker) -> None:
        """Its note is of no use any more."""
        worker.desk.do(lambda: self._notes.forget(worker.worker_id))

    def _event(self, worker: Worker, text: str) -> None:
        if (log := worker.log) is not None:
            self._append(worker, log.event(self._clock.now(), text))

    def _append(self, worker: Worker, text: str, *, final: bool = False) -> None:
        if (log := worker.log) is not None:
            worker.desk.do(lambda: log.append(text, final=final))
