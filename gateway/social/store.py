"""Persistence of publications. Every write is durable when its method returns (the database syncs each commit)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, or_, select

from gateway.social.hosting.store import MediaStore
from gateway.social.models import ACTIVE, DROPPED, OVER, WAITING, Event, Job, Lease, PostRefused
from gateway.social.schema import social_event, social_hold, social_insight, social_job, social_lease
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import Conflict, NotFound
from shared.social.models import Content
from shared.storage import Database
from shared.storage.types import insert_new, upsert

_DAY = timedelta(hours=24)
_HOLD_ROW = 1

_job = social_job.c
_COLUMNS = {"group": "tenant_group"}
_TUPLES = frozenset({"children"})


class LeaseLost(Conflict):
    """Another process works for the account now; whatever we were about to write no longer counts."""

    code = "social.lease_lost"


class SocialStore:
    """Reads and writes jobs, their history and leases.

    Attributes:
        media: the same of files that are served to the networks.

    Args:
        halted: whether the whole installation is stopped, posting included.
    """

    def __init__(
        self, database: Database, clock: Clock = SYSTEM_CLOCK, *, halted: Callable[[], bool] = lambda: False
    ) -> None:
        self._database = database
        self._halted = halted
        self._clock = clock
        self.media = MediaStore(database)

    async def accept(
        self, job: Job, decide: Callable[[int], Job], *, allow_duplicate: bool, key_is_intent: bool
    ) -> tuple[Job, bool]:
        """Keep a new job, or find the one that was asked for already; all in one transaction.

        Args:
            job: as it came.
            decide: given the number of the account's posts within a day of its time, gives the job as it is to be
                kept; may raise to refuse it.
            allow_duplicate: the same content within 24 hours is meant.
            key_is_intent: a new key by itself says that the same content is meant again.

        Returns:
            The job, and whether it is new.

        Raises:
            PostRefused: `idempotency_conflict` or `duplicate_content`, or what `decide` raises.
        """

        def work(connection: Connection) -> tuple[Job, bool]:
            if job.idempotency_key is not None:
                here = (_job.tenant == job.tenant) & (_job.idempotency_key == job.idempotency_key)
                if row := connection.execute(select(social_job).where(here)).first():
                    known = _job_of(row)
                    if known.digest != job.digest:
                        raise PostRefused(
                            "idempotency_conflict",
                            f"the key {job.idempotency_key!r} belongs to another post ({known.id}): use a new key",
                        )
                    return known, False
            may_repeat = allow_duplicate or (key_is_intent and job.idempotency_key is not None)
            _refuse_duplicate(connection, job, may_repeat=may_repeat, now=self._clock.now())
            kept = decide(_taken_around(connection, job.account, job.due_at))
            connection.execute(social_job.insert().values(**_row_of(kept)))
            _log_event(connection, kept)
            return kept, True

        return await self._database.write(work)

    async def update(
        self,
        job: Job,
        *,
        lease: Lease | None = None,
        unless_held: bool = False,
        guard: Callable[[Connection], None] | None = None,
        **changes: Any,  # noqa: ANN401 - columns
    ) -> Job:
        """Change a job that nobody has changed since it was read.

        Args:
            job: as it was read.
            lease: held by the writer; a person's commands need none.
            unless_held: refuse while all posting is held, checked in the same transaction.
            guard: refuses by raising, in the same transaction.
            **changes: fields of `Job`.

        Raises:
            Conflict: somebody else changed it first, or posting is held.
            LeaseLost: the lease is another's by now.
        """
        now = self._clock.now()
        values = {**changes, "updated_at": now, "version": job.version + 1}

        def work(connection: Connection) -> Job:
            if lease is not None:
                _check_lease(connection, lease, now)
            if unless_held and connection.execute(select(social_hold.c.id)).first() is not None:
                raise Conflict("all posting is held", code="social.held")
            if guard is not None:
                guard(connection)
            here = (_job.id == job.id) & (_job.version == job.version)
            named = {_COLUMNS.get(name, name): _plain(value) for name, value in values.items()}
            if connection.execute(social_job.update().where(here).values(**named)).rowcount != 1:
                raise Conflict(f"{job.id} was changed by somebody else just now; look again", code="social.changed")
            changed = _job_of(connection.execute(select(social_job).where(_job.id == job.id)).one())
            if (changed.state, changed.error_code, changed.detail) != (job.state, job.error_code, job.detail):
                _log_event(connection, changed)
            return changed

        return await self._database.write(work)

    async def requeue(self, job: Job, *, allow_duplicate: bool) -> Job:
        """Put a job that is certainly not online back to its beginning.

        Raises:
            PostRefused: `duplicate_content`: the same post was accepted again meanwhile.
            Conflict: somebody else changed it first.
        """
        now = self._clock.now()
        return await self.update(
            job,
            guard=lambda c: _refuse_duplicate(c, job, may_repeat=allow_duplicate, now=now),
            state="queued",
            due_at=now,
            next_at=now,
            error_code="",
            detail="",
            children=(),
            container_id="",
            container_at=None,
            publish_attempts=0,
            recreations=0,
            intent_at=None,
            is_unknown=False,
            unknown_since=None,
            finished_at=None,
            is_spam_block=False,
            tries=0,
        )

    async def reword(self, job: Job, **changes: Any) -> Job:  # noqa: ANN401 - columns
        """Give a job another content, unless that is posted already.

        Raises:
            PostRefused: `duplicate_content`.
            Conflict: somebody else changed it first.
        """
        now = self._clock.now()
        new = replace(job, digest=changes["digest"])
        return await self.update(job, guard=lambda c: _refuse_duplicate(c, new, may_repeat=False, now=now), **changes)

    async def changed(self, tenant: str, since: datetime, limit: int) -> list[Job]:
        """A tenant's jobs that changed, the latest first; of those a person was asked about, and of others, so many."""
        here = (_job.tenant == tenant) & (_job.updated_at >= since)
        latest = select(social_job).order_by(_job.updated_at.desc(), _job.id).limit(limit)

        def query(connection: Connection) -> list[Job]:
            parts = (latest.where(here & asked) for asked in (_job.ask_until.is_not(None), _job.ask_until.is_(None)))
            return [_job_of(row) for part in parts for row in connection.execute(part)]

        return await self._database.read(query)

    async def with_files(self) -> list[Job]:
        """Jobs that may still need their pictures and videos."""
        statement = select(social_job).where(_job.state.not_in(OVER))
        found = await self._database.read(lambda c: [_job_of(row) for row in c.execute(statement)])
        return [job for job in found if job.content.media]

    async def to_measure(self, since: datetime, before: datetime) -> list[Job]:
        """Jobs published since a moment whose figures are older than another."""
        figures = social_insight.c
        fresh = select(figures.job_id).where(figures.at > before)
        here = (_job.state == "published") & (_job.media_id != "") & (_job.published_at >= since)
        statement = select(social_job).where(here & _job.id.not_in(fresh)).order_by(_job.published_at)
        return await self._database.read(lambda c: [_job_of(row) for row in c.execute(statement)])

    async def measured(self, job_id: str, figures: dict[str, int]) -> None:
        """Keep a post's newest figures."""
        values = {"job_id": job_id, "at": self._clock.now(), "figures": figures}
        await self._database.write(lambda c: upsert(c, social_insight, values, key=["job_id"]))

    async def figures(self, job_id: str) -> tuple[datetime, dict[str, int]] | None:
        """A post's newest figures, and when they were read."""
        statement = select(social_insight).where(social_insight.c.job_id == job_id)
        row = await self._database.read(lambda c: c.execute(statement).first())
        return None if row is None else (row.at, dict(row.figures))

    async def by_key(self, tenant: str, key: str) -> Job | None:
        """A tenant's job by its idempotency key."""
        statement = select(social_job).where((_job.tenant == tenant) & (_job.idempotency_key == key))
        row = await self._database.read(lambda connection: connection.execute(statement).first())
        return None if row is None else _job_of(row)

    async def get(self, job_id: str, *, tenant: str = "", group: str = "") -> Job:
        """A job by its id.

        Args:
            job_id: which.
            tenant: another's do not exist for it.
            group: another's do not exist for it.

        Raises:
            NotFound: there is none.
        """
        here: ColumnElement[bool] = _job.id == job_id
        if tenant:
            here &= _job.tenant == tenant
        if group:
            here &= _job.tenant_group == group
        statement = select(social_job).where(here)
        row = await self._database.read(lambda connection: connection.execute(statement).first())
        if row is None:
            raise NotFound(f"there is no post {job_id!r}; `clawgate posts list` shows all", code="social.unknown")
        return _job_of(row)

    async def jobs(self, *, tenant: str = "", group: str = "", state: str = "", limit: int = 50) -> list[Job]:
        """Jobs, the youngest first."""
        statement = select(social_job).order_by(_job.created_at.desc(), _job.id).limit(limit)
        for column, value in ((_job.tenant, tenant), (_job.tenant_group, group), (_job.state, state)):
            if value:
                statement = statement.where(column == value)
        return await self._database.read(lambda c: [_job_of(row) for row in c.execute(statement)])

    async def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        statement = select(_job.state, func.count()).group_by(_job.state)
        return await self._database.read(lambda c: dict(c.execute(statement).tuples().all()))

    async def events(self, job_id: str) -> list[Event]:
        """A job's history, the oldest first."""
        columns = social_event.c
        statement = select(social_event).where(columns.job_id == job_id).order_by(columns.id)
        return await self._database.read(
            lambda c: [Event(row.at, row.state, row.code, row.detail) for row in c.execute(statement)]
        )

    async def agenda(self, account: str) -> list[Job]:
        """An account's jobs with something left to do, by their time."""
        here = (_job.account == account) & _job.next_at.is_not(None)
        statement = select(social_job).where(here).order_by(_job.next_at, _job.created_at, _job.id)
        return await self._database.read(lambda c: [_job_of(row) for row in c.execute(statement)])

    async def due(self, now: datetime) -> tuple[list[str], datetime | None]:
        """Accounts with something to do by now, and when the next thing is due."""
        accounts = select(_job.account).where(_job.next_at <= now).distinct().order_by(_job.account)
        later = select(func.min(_job.next_at)).where(_job.next_at > now)

        def query(connection: Connection) -> tuple[list[str], datetime | None]:
            return list(connection.execute(accounts).scalars()), connection.execute(later).scalar()

        return await self._database.read(query)

    async def taken(self, job: Job) -> int:
        """Posts of the account in the last 24 hours, with those under way or in doubt, without this job."""
        now = self._clock.now()
        here = (_job.account == job.account) & (_job.id != job.id)
        counts = (
            (_job.published_at > now - _DAY)
            | _job.state.in_(ACTIVE)
            | ((_job.state == "needs_attention") & (_job.intent_at > now - _DAY))
        )
        statement = select(func.count()).select_from(social_job).where(here & counts)
        return int(await self._database.read(lambda c: c.execute(statement).scalar_one()))

    async def claimed_media(self, account: str) -> frozenset[str]:
        """Media ids that belong to a job already."""
        statement = select(_job.media_id).where((_job.account == account) & (_job.media_id != ""))
        return frozenset(await self._database.read(lambda c: list(c.execute(statement).scalars())))

    async def acquire(self, account: str, holder: str, ttl: timedelta) -> Lease | None:
        """Take or prolong the right to work for an account; None while another holds it."""
        now = self._clock.now()
        columns = social_lease.c

        def work(connection: Connection) -> Lease | None:
            first = {"account": account, "holder": holder, "fence": 1, "until": now + ttl}
            if insert_new(connection, social_lease, first):
                return Lease(account, holder, 1)
            row = connection.execute(select(social_lease).where(columns.account == account)).one()
            is_mine = row.holder == holder and row.until > now
            if not is_mine and row.until > now:
                return None
            fence = row.fence if is_mine else row.fence + 1
            # One statement checks and takes, for several processes on one server.
            here = (columns.account == account) & (columns.fence == row.fence)
            values = {"holder": holder, "fence": fence, "until": now + ttl}
            taken = connection.execute(social_lease.update().where(here).values(**values)).rowcount == 1
            return Lease(account, holder, fence) if taken else None

        return await self._database.write(work)

    async def release(self, holder: str) -> None:
        """Give back all leases of a holder; their fences stay."""
        now = self._clock.now()
        here = social_lease.c.holder == holder
        await self._database.write(lambda c: c.execute(social_lease.update().where(here).values(until=now)))

    async def hold(self, by: str) -> None:
        """Stop all posting."""
        values = {"id": _HOLD_ROW, "by": by, "at": self._clock.now()}
        await self._database.write(lambda c: upsert(c, social_hold, values, key=["id"]))

    async def let_go(self) -> None:
        """Let posting go on."""
        await self._database.write(lambda c: c.execute(social_hold.delete()))

    async def held_by(self) -> str:
        """Who stopped all posting; empty when nobody has."""
        if self._halted():
            return "clawgate halt"
        statement = select(social_hold.c.by)
        return str(await self._database.read(lambda c: c.execute(statement).scalar()) or "")


def _refuse_duplicate(connection: Connection, job: Job, *, may_repeat: bool, now: datetime) -> None:
    same = (_job.account == job.account) & (_job.digest == job.digest)
    doubtful = same & ((_job.state == "needs_attention") | ((_job.state == "publishing") & _job.is_unknown))
    if row := connection.execute(select(_job.id).where(doubtful)).first():
        raise PostRefused(
            "duplicate_content",
            f"the same post ({row.id}) may be online already, that is being checked: do not post it again before "
            "that is settled",
        )
    recent = same & _job.state.not_in(DROPPED) & or_(_job.created_at > now - _DAY, _is_open())
    if not may_repeat and (row := connection.execute(select(_job.id, _job.state).where(recent)).first()):
        raise PostRefused(
            "duplicate_content",
            f"the same post was accepted within 24 hours ({row.id}, {row.state}): say allow-duplicate if it is meant",
        )


def _is_open() -> ColumnElement[bool]:
    return _job.state.in_({"awaiting_approval", *WAITING, *ACTIVE})


def _taken_around(connection: Connection, account: str, moment: datetime) -> int:
    """Posts within a day of a moment: made, under way, in doubt or promised."""
    near = (_job.due_at > moment - _DAY) & (_job.due_at < moment + _DAY)
    counts = (_job.published_at > moment - _DAY) | ((_is_open() | (_job.state == "needs_attention")) & near)
    statement = select(func.count()).select_from(social_job).where((_job.account == account) & counts)
    return int(connection.execute(statement).scalar_one())


def _check_lease(connection: Connection, lease: Lease, now: datetime) -> None:
    row = connection.execute(select(social_lease).where(social_lease.c.account == lease.account)).first()
    if row is None or row.holder != lease.holder or row.fence != lease.fence or row.until <= now:
        raise LeaseLost(f"another process works for {lease.account} now")


def _log_event(connection: Connection, job: Job) -> None:
    values = {"job_id": job.id, "at": job.updated_at, "state": job.state, "code": job.error_code, "detail": job.detail}
    connection.execute(social_event.insert().values(**values))


def _plain(value: Any) -> Any:  # noqa: ANN401 - a column's value
    if isinstance(value, Content):
        return value.model_dump(mode="json")
    return list(value) if isinstance(value, tuple) else value


def _row_of(job: Job) -> dict[str, Any]:
    return {_COLUMNS.get(item.name, item.name): _plain(getattr(job, item.name)) for item in fields(Job)}


def _job_of(row: Row[Any]) -> Job:
    values = {item.name: getattr(row, _COLUMNS.get(item.name, item.name)) for item in fields(Job)}
    values["content"] = Content.model_validate(values["content"])
    values.update({name: tuple(values[name]) for name in _TUPLES})
    return Job(**values)
