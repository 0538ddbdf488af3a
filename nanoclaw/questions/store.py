"""Questions in the tenant's database."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, delete, select, update

from nanoclaw.questions.models import Question, QuestionState
from nanoclaw.questions.schema import question_table
from shared.storage import Also, Database, insert_new

_KEPT = timedelta(days=30)


class QuestionStore:
    """The table `question`."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._table = question_table()

    async def open(self, question: Question) -> Question:
        """Store a question; one stored earlier under its key stays as it is, but an open one gets its new end."""
        table = self._table

        def work(c: Connection) -> Question:
            c.execute(delete(table).where(table.c.asked_at < question.asked_at - _KEPT))
            if not insert_new(c, table, _values(question)):
                here = (table.c.key == question.key) & (table.c.state == "open")
                c.execute(update(table).where(here).values(expires_at=question.expires_at))
            return _question(c.execute(select(table).where(table.c.key == question.key)).one()._mapping)  # noqa: SLF001 - SQLAlchemy's public name

        return await self._db.write(work)

    async def find(self, key: str) -> Question | None:
        """A question by its key."""
        table = self._table
        row = await self._db.read(lambda c: c.execute(select(table).where(table.c.key == key)).first())
        return None if row is None else _question(row._mapping)  # noqa: SLF001 - as above

    def closing(self, key: str, state: QuestionState, *, answer: str = "", answered_by: str = "") -> Also:
        """Close a question as part of another transaction; one that is closed stays as it is."""
        table = self._table
        values = {"state": state, "answer": answer, "answered_by": answered_by}

        def work(c: Connection) -> None:
            c.execute(update(table).where(table.c.key == key, table.c.state == "open").values(values))

        return work

    async def close(self, key: str, state: QuestionState, *, answer: str = "", answered_by: str = "") -> Question:
        """Close a question; returns it as it is now, which is as the first to close it left it."""
        closing = self.closing(key, state, answer=answer, answered_by=answered_by)
        table = self._table

        def work(c: Connection) -> Question:
            closing(c)
            return _question(c.execute(select(table).where(table.c.key == key)).one()._mapping)  # noqa: SLF001 - as above

        return await self._db.write(work)


def _values(question: Question) -> dict[str, Any]:
    values = {name: getattr(question, name) for name in Question.__dataclass_fields__}
    return values | {"options": list(question.options), "asked_by": sorted(question.asked_by)}


def _question(row: Any) -> Question:  # noqa: ANN401 - a row's mapping
    values = dict(row)
    return Question(**values | {"options": tuple(values["options"]), "asked_by": frozenset(values["asked_by"])})
