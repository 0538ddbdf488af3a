"""What an examination finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from shared.errors import GatewayError

Level = Literal["ok", "note", "warn", "fail"]
"""``fail``: a start refuses, or what runs is not what is configured · ``warn``: works, not as meant · ``note``."""

MARKS: Final[Mapping[Level, str]] = {"ok": "ok  ", "note": "note", "warn": "warn", "fail": "FAIL"}
_SEE: Final = "do what the line says"

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Row:
    """One examination's result.

    Attributes:
        id: stable.
        fix: what a person may do; empty when there is nothing to do.
        code: the error code with which a start refuses; empty unless it does.
    """

    id: str
    level: Level
    detail: str
    fix: str = ""
    code: str = ""

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "id": self.id,
            "level": self.level,
            "detail": self.detail,
            "fix": self.fix or None,
            "code": self.code or None,
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Row:
        """The row that `as_json` was made of.

        Raises:
            KeyError: it is none.
        """
        return cls(row["id"], row["level"], row["detail"], row["fix"] or "", row["code"] or "")

    def told(self) -> str:
        """For people: one line, and the fix below it."""
        return f"{MARKS[self.level]}  {self.detail}" + (f"\n      fix: {self.fix}" if self.fix else "")


def refused(row_id: str, error: GatewayError, fix: str = "") -> Row:
    """The row of a start that refuses with an error; its text says what to do unless a command is given."""
    return Row(row_id, "fail", error.detail, fix or _SEE, error.code)


def examine(examinations: Sequence[Callable[[P], Iterable[Row]]], patient: P) -> Iterator[Row]:
    """Every examination's rows, in order; one that cannot be made is a failure, too."""
    for examination in examinations:
        name = getattr(examination, "__name__", "").lstrip("_")
        try:
            yield from examination(patient)
        except GatewayError as error:
            yield refused(name, error)
        except OSError as error:
            yield Row(
                name, "fail", f"could not be examined: {error}", "look at the disk and its rights", "doctor.failed"
            )
