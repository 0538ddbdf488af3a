"""The audit chain: security-relevant events, each carrying the hash of the one before it.

One JSON line an event in a private folder that no agent, tenant or worker can enter. Changing, removing, inserting or
reordering a row breaks the hashes from there on, and cutting rows off the end contradicts the head, which is kept in a
file of its own and goes off the machine with every backup. What it cannot show: that somebody who is the gateway's user
wrote the whole chain anew together with its head; compare the head with an older backup's (docs/audit.md).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.paths import Paths
from shared.errors import Invalid, Unavailable
from shared.gatewayclient.events import AuditEvent, EventKind
from shared.ids import new_id
from shared.obs.redact import redact_text
from shared.secrets.files import write_private

GENESIS: Final = "0" * 64
_HASHED: Final = ("seq", "id", "at", "process", "kind", "actor", "subject", "detail", "previous")
_REMEMBERED: Final = 10_000
"""Newest ids looked through for one that was reported twice."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look through the chain found.

    Attributes:
        rows: how many there are.
        head: hash of the newest; compare it with an older backup's.
        problems: each names the row.
    """

    rows: int
    head: str
    problems: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"ok": not self.problems, "rows": self.rows, "head": self.head, "problems": list(self.problems)}


class Chain:
    """Appends and reads; a lock on the file lets several processes of the gateway's user do it. Blocks."""

    def __init__(self, paths: Paths, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._file = paths.audit_chain
        self._head = paths.audit_chain.with_name("head.json")
        self._clock = clock

    def note(self, kind: EventKind, *, actor: str = "", subject: str = "", detail: str = "") -> None:
        """Append an event of the gateway's own, that happens now."""
        event = AuditEvent(
            id=new_id("event"),
            kind=kind,
            at=self._clock.now(),
            actor=actor[:200],
            subject=subject[:400],
            detail=detail[:2000],
        )
        self.append("gateway", event)

    def append(self, process: str, event: AuditEvent) -> bool:
        """Append an event; durable when it returns. False when it was there already.

        Args:
            process: who reports it, as the socket proves; never what the report says.
            event: what happened.

        Raises:
            Unavailable: the disk is full, or the file is not ours to write.
        """
        try:
            with self._locked() as descriptor:
                rows = self._rows_of(descriptor)
                if any(row.get("id") == event.id and row.get("process") == process for row in rows[-_REMEMBERED:]):
                    return False
                last: dict[str, Any] = rows[-1] if rows else {"seq": 0, "hash": GENESIS}
                row: dict[str, Any] = {
                    "seq": int(last["seq"]) + 1,
                    "id": event.id,
                    "at": event.at.isoformat(),
                    "process": process,
                    "kind": event.kind,
                    "actor": redact_text(event.actor),
                    "subject": redact_text(event.subject),
                    "detail": redact_text(event.detail),
                    "previous": str(last["hash"]),
                }
                row["hash"] = hash_of(row)
                line = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
                end = os.lseek(descriptor, 0, os.SEEK_END)
                if os.write(descriptor, line) < len(line):
                    os.ftruncate(descriptor, end)
                    raise OSError(28, "No space left on device")
                os.fsync(descriptor)
                write_private(self._head, json.dumps({"seq": row["seq"], "hash": row["hash"]}) + "\n")
                return True
        except OSError as error:
            raise Unavailable(f"{self._file} cannot be written: {error.strerror}", code="audit.chain") from None

    def rows(self) -> list[dict[str, Any]]:
        """All rows, oldest first, unchecked; a line that is no row is left out (`verify` names it)."""
        return [row for _, row in self._lines() if row is not None]

    def verify(self) -> Verdict:
        """Check every row and the head."""
        problems: list[str] = []
        previous, seq, rows = GENESIS, 0, 0
        for number, row in self._lines():
            rows += 1
            if row is None:
                problems.append(f"line {number} is no row: it was damaged")
                seq += 1
                continue
            name = f"row {row.get('seq')} (line {number}, {row.get('kind')}, {row.get('at')})"
            if row.get("seq") != seq + 1:
                problems.append(f"{name} follows row {seq}: rows were removed, added or moved")
            if row.get("previous") != previous:
                problems.append(f"{name} does not carry the hash of the row before it")
            if row.get("hash") != hash_of(row):
                problems.append(f"{name} was changed after it was written")
            previous, seq = str(row.get("hash")), row["seq"] if isinstance(row.get("seq"), int) else seq + 1
        problems += self._against_head(seq, previous, rows)
        return Verdict(rows, previous, tuple(problems))

    def accepted(self) -> dict[str, str]:
        """Content that a person accepted, by path.

        Raises:
            Unavailable: nobody has accepted anything yet.
            Invalid: the chain does not hold, so that nothing in it counts.
        """
        if problems := self.verify().problems:
            raise Invalid(f"the audit chain does not hold: {problems[0]}", code="audit.chain_broken")
        newest = self.newest("content.accepted")
        if newest is None:
            raise Unavailable("nobody has accepted any content yet: clawgate audit accept", code="audit.no_baseline")
        found: dict[str, str] = json.loads(self._file.with_name("accepted.json").read_text(encoding="utf-8"))
        if digest_of(found) not in newest["detail"]:
            raise Invalid("accepted.json is not what the audit chain says was accepted", code="audit.chain_broken")
        return found

    def accept(self, found: Mapping[str, str], *, actor: str) -> None:
        """Make this the accepted content; the list lies beside the chain, and the chain holds its hash."""
        write_private(self._file.with_name("accepted.json"), json.dumps(dict(sorted(found.items())), indent=1) + "\n")
        self.note("content.accepted", actor=actor, subject=f"{len(found)} files", detail=f"list {digest_of(found)}")

    def newest(self, kind: EventKind) -> dict[str, Any] | None:
        """The newest row of a kind."""
        return next((row for row in reversed(self.rows()) if row.get("kind") == kind), None)

    def _against_head(self, seq: int, previous: str, rows: int) -> Iterator[str]:
        try:
            head = json.loads(self._head.read_text(encoding="utf-8"))
        except FileNotFoundError:
            if rows:
                yield "the head is missing: nobody can say whether rows were cut off the end"
            return
        except (OSError, ValueError):
            yield "the head cannot be read: nobody can say whether rows were cut off the end"
            return
        if head.get("seq", 0) > seq:
            yield f"rows {seq + 1} to {head['seq']} were cut off the end"
        elif head.get("seq") == seq and head.get("hash") != previous:
            yield f"row {seq} is not the one that was written"

    def _lines(self) -> Iterator[tuple[int, dict[str, Any] | None]]:
        if not self._file.exists():
            return
        for number, line in enumerate(self._file.read_bytes().splitlines(), start=1):
            yield number, _row(line)

    def _rows_of(self, descriptor: int) -> list[dict[str, Any]]:
        size = os.fstat(descriptor).st_size
        return [row for line in os.pread(descriptor, size, 0).splitlines() if (row := _row(line)) is not None]

    @contextmanager
    def _locked(self) -> Iterator[int]:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def hash_of(row: Mapping[str, Any]) -> str:
    """SHA-256 over everything of a row but its own hash."""
    facts = [row.get(name) for name in _HASHED]
    return hashlib.sha256(json.dumps(facts, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def digest_of(found: Mapping[str, str]) -> str:
    """SHA-256 over a list of contents."""
    return hashlib.sha256(json.dumps(sorted(found.items())).encode()).hexdigest()


def policy_digests(paths: Paths) -> dict[str, str]:
    """Contents of the operator's own policy files, by name."""
    folder: Path = paths.policies
    files = sorted(folder.glob("*.toml")) if folder.is_dir() else []
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest()[:16] for file in files}


def note_policies(paths: Paths, chain: Chain) -> bool:
    """Write down when the operator's policy files differ from what was written down last; True when they did."""
    now = policy_digests(paths)
    newest = chain.newest("policy.changed")
    before: dict[str, str] = json.loads(newest["detail"]) if newest else {}
    changed = sorted(name for name in {*now, *before} if now.get(name) != before.get(name))
    if changed:
        chain.note(
            "policy.changed",
            actor="somebody with access to the state directory",
            subject=", ".join(changed),
            detail=json.dumps(now),
        )
    return bool(changed)
