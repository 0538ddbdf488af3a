"""What is wrong with a configuration, and where: the same values for the boot path, the doctor and every client."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from shared.config.json5 import Path

ROOT = "<root>"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands; line 0 when no file mentions it."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Issue:
    """One problem.

    Attributes:
        path: dotted, as clients are told; for an unknown key, the object that holds it.
        message: what is wrong, as clients are told.
        key: dotted path of the value itself.
        advice: what a person may do about it.
    """

    path: str
    message: str
    place: Place
    key: str = ""
    advice: str = ""

    def told(self) -> str:
        """The line a person reads at a refused start."""
        return f"{self.place}: {self.key or self.path}: {self.message}{'; ' + self.advice if self.advice else ''}"

    def short(self) -> str:
        """Path, message and advice, for a value that stands in no file yet."""
        return f"{self.path}: {self.message}{' (' + self.advice + ')' if self.advice else ''}"

    def as_json(self) -> dict[str, Any]:
        """As the protocol's ``issues`` list has it, with the place added."""
        message = f"{self.message} ({self.advice})" if self.advice else self.message
        return {"path": self.path, "message": message, "file": self.place.file, "line": self.place.line}


def dotted(path: Path) -> str:
    """A path in the form commands take; names with a dot are put in brackets."""
    if not path:
        return ROOT
    text = ""
    for part in path:
        if isinstance(part, int) or "." in part or "[" in part:
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def told(issues: Iterable[Issue]) -> str:
    """All problems, one a line."""
    return "\n".join(issue.told() for issue in issues)
