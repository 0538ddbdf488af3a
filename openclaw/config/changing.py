"""A change of ``openclaw.json`` from asking to written: built, checked by the boot path's validator, then stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from openclaw.config.document import Document
from openclaw.config.editing import get_value, included_from, set_value, unset_value
from openclaw.config.files import Writer, has_comments, render, stamped, write_config
from openclaw.config.issues import Issue
from openclaw.config.snapshot import Checked, Source
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.json5 import Path
from shared.errors import Invalid, NotFound

Edit = Callable[[Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Written:
    """A change that was stored.

    Attributes:
        changed: false when the file said so already.
        before: hash of the file before, None when there was none.
        left: problems the file had before and still has.
        comments_lost: the file had some; the backup still has them.
    """

    changed: bool
    before: str | None
    after: str
    left: tuple[Issue, ...] = ()
    comments_lost: bool = False


def edit_config(source: Source, edit: Edit, writer: Writer, clock: Clock = SYSTEM_CLOCK) -> Written:
    """Change the file's values. A broken file may be mended step by step: a change must leave no new problem.

    Raises:
        Invalid: the file is no JSON5 at all, or the result is worse than what is there.
        NotFound: the value to take away is not there.
        Conflict: somebody else wrote meanwhile.
        Unavailable: the disk is full.
    """
    old = source.check()
    _require_readable(old.document)
    before = old.document.hash if old.document.exists else None
    values = edit(old.document.parsed)
    if before is not None and values == old.document.parsed:
        return Written(changed=False, before=before, after=before)
    text = render(stamped(values, clock))
    new = source.check_text(text)
    left = _worse(old, new)
    changed = write_config(source.path, text, base_hash=before, writer=writer, clock=clock)
    return Written(changed, before, new.document.hash, left, has_comments(old.document.text))


def _worse(old: Checked, new: Checked) -> tuple[Issue, ...]:
    known = {(issue.key or issue.path, issue.message) for issue in old.issues}
    fresh = [issue for issue in new.issues if (issue.key or issue.path, issue.message) not in known]
    if fresh or (new.issues and len(new.issues) >= len(old.issues)):
        shown = fresh or new.issues
        raise Invalid(
            "Config validation failed: " + "; ".join(issue.short() for issue in shown),
            code="config.rejected",
        )
    return new.issues


def _require_readable(document: Document) -> None:
    if document.exists and document.issues and not document.parsed:
        issue = document.issues[0]
        raise Invalid(
            f"{issue.place}: {issue.message}; mend the file by hand, nothing was changed", code="config.syntax"
        )


def setting(path: Path, value: Any) -> Edit:  # noqa: ANN401 - any JSON value
    """The edit that sets one value."""
    return lambda values: set_value(values, path, value)


def unsetting(path: Path, document: Document) -> Edit:
    """The edit that takes one value away."""

    def edit(values: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return unset_value(values, path)
        except NotFound:
            if included_from(values, path):
                get_value(document.resolved, path)
                place = document.place_of(path)
                raise Invalid(f"{path[-1]!r} stands in {place}, which is included: take it out there") from None
            raise

    return edit
