"""Values of a backup."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from shared.config.strict import Strict

FORMAT = 1


class StoredFile(Strict):
    """One file of a backup.

    Attributes:
        object: name of the sealed file that holds it.
        sha256: of its content, in hex.
    """

    object: str
    sha256: str
    size: int
    mode: int


class Manifest(Strict):
    """What a backup consists of; sealed itself, since names tell a lot.

    Attributes:
        tenant: whose backup it is.
        files: by name below the tenant's folder.
    """

    format: int = FORMAT
    tenant: str
    files: dict[str, StoredFile]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run.

    Attributes:
        commit: empty when nothing had changed, or there is no remote.
        files: in the backup.
        bytes: of their content.
        detail: one line for people.
    """

    commit: str
    files: int
    bytes: int
    detail: str

    def as_json(self) -> dict[str, Any]:
        """For the tenant that asked, and ``--json``."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Record:
    """The newest run of one tenant.

    Attributes:
        at: when it ended.
        ok_at: when the newest good one ended; None when there was none.
        commit: of the newest push.
    """

    tenant: str
    at: datetime
    ok_at: datetime | None
    commit: str
    files: int
    bytes: int
    detail: str

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        moments = {"at": self.at.isoformat(), "ok_at": self.ok_at.isoformat() if self.ok_at else None}
        return asdict(self) | moments
