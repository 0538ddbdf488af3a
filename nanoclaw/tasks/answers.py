"""What the operator reads about tasks: from the running process, or from its database file while it is down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nanoclaw.tasks.store import TaskRows
from nanoclaw.tasks.views import runs_as_json, task_as_json
from shared.errors import Invalid, NotFound

_HISTORY_LIMIT = 500
_SHOWN_RUNS = 5

Answer = Callable[[TaskRows, dict[str, Any]], Any]
"""Gives JSON.

Raises:
    NotFound: there is no such task or group.
    Invalid: a parameter is missing or malformed.
"""


def _list(rows: TaskRows, params: dict[str, Any]) -> list[dict[str, Any]]:
    return [task_as_json(task) for task in rows.tasks(_folder(rows, params), over=bool(params.get("over")))]


def _show(rows: TaskRows, params: dict[str, Any]) -> dict[str, Any]:
    task_id = id_in(params)
    task = rows.find(task_id)
    if task is None:
        raise NotFound(f"there is no task {task_id!r}: list them first", code="task.not_found")
    return task_as_json(task) | {"runs": runs_as_json(rows.runs(task_id=task.id, limit=_SHOWN_RUNS), [task])}


def _history(rows: TaskRows, params: dict[str, Any]) -> list[dict[str, Any]]:
    if params.get("id"):
        _show(rows, params)
    limit = min(_HISTORY_LIMIT, max(1, int(params.get("limit") or 20)))
    runs = rows.runs(task_id=text_in(params, "id"), folder=_folder(rows, params), limit=limit)
    return runs_as_json(runs, rows.tasks(over=True))


READS: Mapping[str, Answer] = {"tasks.list": _list, "tasks.show": _show, "tasks.history": _history}
"""Operations that change nothing."""


def text_in(params: dict[str, Any], name: str) -> str:
    """A text parameter; empty when it was left out."""
    return str(params.get(name) or "")


def id_in(params: dict[str, Any]) -> str:
    """The task's id."""
    if not (found := text_in(params, "id")):
        raise Invalid("name a task by its id: `nanoclaw tasks list` shows them")
    return found


def _folder(rows: TaskRows, params: dict[str, Any]) -> str:
    wanted = text_in(params, "group")
    if not wanted:
        return ""
    folder = rows.folder_of(wanted)
    if folder is None:
        raise NotFound(f"there is no group {wanted!r}: `nanoclaw groups list` shows them", code="group.not_found")
    return folder
