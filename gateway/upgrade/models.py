"""Values of an upgrade."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was tried with the new version.

    Attributes:
        name: ``policies``, ``database.TENANT``, ``image`` or ``canary``.
        ok: the new version can go on from here.
        detail: how it went.
    """

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found.

    Attributes:
        version: of the program that checked, which is the new one.
    """

    version: str
    steps: tuple[Step, ...]

    @property
    def ok(self) -> bool:
        """The new version can take over."""
        return all(step.ok for step in self.steps)

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"ok": self.ok, "version": self.version, "steps": [asdict(step) for step in self.steps]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Report:
        """The report that `as_json` was made of.

        Raises:
            KeyError: it is none.
        """
        return cls(value["version"], tuple(Step(**step) for step in value["steps"]))
