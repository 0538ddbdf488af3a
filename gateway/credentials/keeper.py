"""Keeps one credential fresh: one refresh in flight on this machine, nothing lost in a crash, one notice at the end.

The ladder of a call: a fresh token → the old one while it counts → the reason why there is none.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

from gateway.credentials.advice import with_advice
from gateway.credentials.files import fingerprint
from gateway.credentials.journal import Entry, Journal
from gateway.credentials.lease import file_lease
from gateway.credentials.models import CredentialStatus, Health, Notice
from gateway.credentials.priority import OAuthState, RefreshState
from gateway.credentials.slots import Slot
from gateway.credentials.standing import Standing, StandingFile, mark_of
from shared.clock import Clock
from shared.errors import AuthRequired, GatewayError, Internal, Unavailable
from shared.lifecycle.backoff import Backoff
from shared.lifecycle.tasks import TaskPool
from shared.oauth.meta import YOUNGEST, issued_at
from shared.oauth.models import CLOCK_AHEAD, LoginNeeded, OAuthProvider, Token, TooYoung
from shared.obs.log import get_logger

_log = get_logger(__name__)

SKEW = timedelta(seconds=60)
"""A token past its expiry by less than this is still tried when no other can be had: clocks differ."""

_SELF_RENEWING = frozenset({"threads", "instagram"})
"""Their access token buys the next one, once it is a day old; there is no refresh token."""

_LEASE_WAIT_S = 45.0
_CALL_WAIT_S = 40.0
_LOOK_S = 60.0
_JITTER_S = 30.0
_AFTER_REFUSAL_S = 600.0
_JUST_BOUGHT = timedelta(seconds=60)
_CLOCK_TELL_S = 120.0


class Keeper:
    """One credential.

    Args:
        provider: how it is refreshed.
        slot: where it lives.
        tenant: whose it is.
        standing: what is remembered about it.
        tasks: where refreshes run, so that a caller who leaves does not cut one short.
        clock: for expiry.
        notify: told once when a person has to sign in again; must not block.
        journal: the write-ahead file, where it is sealed.
        after: what follows once a new token is stored, such as writing views; it must not raise.
    """

    def __init__(
        self,
        provider: OAuthProvider,
        slot: Slot,
        *,
        tenant: str,
        standing: StandingFile,
        tasks: TaskPool,
        clock: Clock,
        notify: Callable[[Notice], None] | None = None,
        journal: Journal | None = None,
        after: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.provider = provider
        self.tenant = tenant
        self.changed = asyncio.Event()
        self._slot = slot
        self._file = standing
        self._standing = standing.read()
        self._tasks = tasks
        self._clock = clock
        self._notify = notify
        self._after = after
        self._journal = journal or Journal(slot.journal)
        self._stamp: object = object()
        self._token: Token | None = None
        self._reading = asyncio.Lock()
        self._adopted = 0
        self._flight: asyncio.Task[Token] | None = None
        self._backoff = Backoff(base_s=30.0, ceiling_s=900.0)
        self._retry_at = 0.0
        self._unsaved = False
        self._refusals: dict[str, float] = {}
        self._missing_why, self._declined_mark = "", ""
        self._jitter_s = random.uniform(0.0, _JITTER_S)  # noqa: S311 - only spreads load

    @property
    def login_command(self) -> str:
        """What a person runs to sign in again."""
        name = self.provider.name
        return f"clawgate auth login {name}" + (f" --tenant {self.tenant}" if self.tenant != "gateway" else "")

    # --- for callers ------------------------------------------------------------------
    async def peek(self) -> Token | None:
        """What is stored, in whatever state.

        Raises:
            Unavailable: it cannot be read.
        """
        if self._slot.stamp() != self._stamp:
            async with self._reading:
                await self._read()
        return self._token

    async def _read(self) -> None:
        # Taken before reading: a change in between is then seen the next time.
        stamp = self._slot.stamp()
        if stamp == self._stamp:
            return
        adopted = self._adopted
        stored = await self._slot.load()
        entry = await asyncio.to_thread(self._journal.read)
        standing = await asyncio.to_thread(self._file.read)
        if adopted == self._adopted:
            # Else a refresh or a login ended meanwhile, and what it brought is newer than what was read.
            self._token, self._stamp, self._standing = _newest(stored, entry), stamp, standing

    async def token(self, *, deadline_s: float = _CALL_WAIT_S) -> Token:
        """A token to call with now; a due one is refreshed on the way, without waiting while the old one counts.

        Raises:
            AuthRequired: nobody is signed in, or a person has to sign in again.
            Unavailable: it has expired and cannot be refreshed right now.
        """
        token = await self.peek()
        if token is None:
            raise self._missing()
        now = self._clock.now()
        if not self._is_due(token, now):
            return token
        may = self._may_refresh(token)
        if token.expires_at is None or now < token.expires_at:
            if may:
                self._fly("")
            return token
        problem: GatewayError | None = None
        if may:
            try:
                return await self.refresh(deadline_s=deadline_s)
            except GatewayError as error:
                problem = error
        if now < token.expires_at + SKEW and not isinstance(problem, AuthRequired) and not self._is_refused(token):
            return token
        raise problem or self._why_not(token)

    async def states(self) -> tuple[Token | None, OAuthState, RefreshState]:
        """The stored token, whether it counts, and whether it can be refreshed: facts for a decision.

        Raises:
            Unavailable: it cannot be read.
        """
        token = await self.peek()
        if token is None:
            return None, "none", "impossible"
        now = self._clock.now()
        oauth: OAuthState = "expiring" if self._is_due(token, now) else "valid"
        can: RefreshState = "ready"
        if self._is_refused(token):
            can = "refused"
        elif not self._is_renewable(token):
            can = "impossible"
        elif not self._may_refresh(token):
            can = "failing"
        # Clocks differ: a token that ended just now is still tried when no other can be had.
        grace = SKEW if can == "failing" else timedelta()
        if token.expires_at is not None and now >= token.expires_at + grace:
            oauth = "expired"
        return token, oauth, can

    def note_missing(self, why: str, *, declined: str = "") -> None:
        """Remember, while nobody is signed in, why what was offered did not become a sign-in.

        Args:
            why: for a person.
            declined: fingerprint of what a person has to replace; empty when it may yet become one.
        """
        self._missing_why, self._declined_mark = why, declined
        if declined and self._token is None and self._notify is not None:
            self._notify(Notice(self.provider.name, self.tenant, "", why, self.login_command))

    def is_lasting(self, token: Token) -> bool:
        """It has no end and nothing to renew it with: as good as new."""
        return token.expires_at is None and not self._is_renewable(token)

    def start_refresh(self) -> None:
        """Refresh if it is due, without waiting."""
        self._fly("")

    async def refused(self, mark: str, *, deadline_s: float = _CALL_WAIT_S) -> Token | None:
        """Another token after the provider refused one with a 401: a newer one, else one refresh, else None.

        Args:
            mark: fingerprint of the refused access token.
            deadline_s: how long to wait for a refresh, in seconds.
        """
        token = await self.peek()
        if token is None:
            return None
        if fingerprint(token.access.reveal()) != mark:
            return token
        tried = self._refusals.get(mark)
        if tried is not None and self._clock.monotonic() < tried + _AFTER_REFUSAL_S:
            return None
        last = self._standing.last_refresh
        bought_now = last is not None and self._standing.mark == mark_of(token)
        if bought_now and last is not None and self._clock.now() < last + _JUST_BOUGHT:
            # A brand new token that is refused is not made good by another one.
            return None
        self._refusals = {mark: self._clock.monotonic()}
        if not self._may_refresh(token):
            return None
        try:
            other = await self.refresh(stale=mark, deadline_s=deadline_s)
        except GatewayError as error:
            _log.warning("credentials.refresh_after_refusal", provider=self.provider.name, code=error.code)
            return None
        return other if fingerprint(other.access.reveal()) != mark else None

    async def refresh(self, *, stale: str = "", deadline_s: float = _CALL_WAIT_S) -> Token:
        """Refresh if it is due, or if `stale` is still the stored token; all who ask meanwhile get one result.

        Args:
            stale: fingerprint of an access token that is not wanted any more.
            deadline_s: how long to wait, in seconds; the refresh itself goes on.

        Raises:
            AuthRequired: nobody is signed in, or the provider's final no.
            Unavailable: it did not work this time, or takes longer.
        """
        joined = self._flight is not None and not self._flight.done()
        token = await self._await(self._fly(stale), deadline_s)
        if joined and stale and fingerprint(token.access.reveal()) == stale:
            token = await self._await(self._fly(stale), deadline_s)
        return token

    async def store(self, token: Token) -> None:
        """Keep a new sign-in.

        Raises:
            Unavailable: it cannot be written, or another process holds the credential.
        """
        async with file_lease(self._slot.lock, deadline_s=_LEASE_WAIT_S):
            try:
                await self._slot.save(token)
            except OSError as error:
                raise Unavailable(
                    f"signed in, but {self._slot.place} cannot be written ({type(error).__name__}): free some space or "
                    "mend the folder's owner, then sign in again",
                    code="auth.disk",
                ) from None
            self._journal.clear()
            self._adopt(token)
            self._note(Standing(mark=mark_of(token), last_refresh=self._clock.now()))
        self._missing_why, self._declined_mark = "", ""
        self._succeeded()
        await self._announce()

    async def forget(self, *, revoke: bool) -> str:
        """Sign out here and, if wanted, at the provider; says what could not be done there, else nothing."""
        problem = ""
        async with file_lease(self._slot.lock, deadline_s=_LEASE_WAIT_S):
            token = await self._recover()
            if token is not None and revoke:
                try:
                    await self.provider.revoke(token)
                except GatewayError as error:
                    problem = error.detail
            await self._slot.clear()
            self._journal.clear()
            self._adopt(None)
            self._note(Standing())
        self._succeeded()
        await self._announce()
        return problem

    async def status(self) -> CredentialStatus:
        """How it is doing; never raises for a broken credential."""
        try:
            token = await self.peek()
        except GatewayError as error:
            return self._line("unreadable", None, error.detail)
        if token is None:
            health: Health = "login_needed" if self._declined_mark else "missing"
            why = f"{self._missing_why or 'nobody is signed in'}. Run: {self.login_command}"
            return replace(self._line(health, None, why), mark=self._declined_mark)
        now = self._clock.now()
        if self._is_refused(token):
            return self._line("login_needed", token, self._standing.refused_why)
        if token.expires_at is not None and now >= token.expires_at and not self._is_renewable(token):
            return self._line("login_needed", token, f"expired, without a refresh token. Run: {self.login_command}")
        if self._flight is not None and not self._flight.done():
            return self._line("refreshing", token, "")
        if self._unsaved:
            return self._line(
                "unsaved", token, f"the newest token is in the journal only: free space at {self._slot.place}"
            )
        if self._standing.failure:
            return self._line("retrying", token, self._standing.failure)
        if token.expires_at is not None and now >= token.expires_at:
            return self._line(
                "expired", token, f"refreshed at its next use, or by: clawgate auth refresh {self.provider.name}"
            )
        return self._line("ok", token, _clock_hint(token))

    async def tick(self) -> float:
        """Refresh if it is time; says in how many seconds to look again. Never raises for a broken credential."""
        try:
            token = await self.peek()
            if token is None or not self._is_renewable(token) or self._is_refused(token):
                return _LOOK_S
            if self._unsaved:
                await self._save_again()
            now, due = self._clock.now(), self._due_at(token)
            if due is not None and now >= due - timedelta(seconds=self._jitter_s) and self._may_refresh(token):
                token = await self.refresh(stale=fingerprint(token.access.reveal()))
                due = self._due_at(token)
        except GatewayError as error:
            _log.warning(
                "credentials.refresh_failed", provider=self.provider.name, code=error.code, detail=error.detail
            )
            return max(1.0, min(_LOOK_S, self._retry_at - self._clock.monotonic()))
        left = (due - self._clock.now()).total_seconds() - self._jitter_s if due else _LOOK_S
        return max(1.0, min(_LOOK_S, left))

    # --- one refresh --------------------------------------------------------------------
    def _fly(self, stale: str) -> asyncio.Task[Token]:
        if self._flight is None or self._flight.done():
            work = self._refresh_once(stale)
            self._flight = self._tasks.start(work, name=f"refresh.{self.provider.name}", watched=True)
            self._flight.add_done_callback(_retrieve)
        return self._flight

    async def _await(self, flight: asyncio.Task[Token], deadline_s: float) -> Token:
        done, _ = await asyncio.wait({flight}, timeout=deadline_s)
        if not done:
            raise Unavailable(
                f"the {self.provider.name} sign-in is still being refreshed after {deadline_s:.0f} s", code="auth.slow"
            )
        if flight.cancelled():
            raise Unavailable("the gateway is stopping", code="auth.stopping")
        return flight.result()

    async def _refresh_once(self, stale: str) -> Token:
        async with file_lease(self._slot.lock, deadline_s=_LEASE_WAIT_S):
            stored = await self._recover()
            if stored is None:
                raise self._missing()
            if self._is_refused(stored):
                raise LoginNeeded(self._standing.refused_why)
            if fingerprint(stored.access.reveal()) != stale and not self._is_due(stored, self._clock.now()):
                # Another process was faster.
                self._succeeded()
                return stored
            if self._unsaved:
                # The journal holds the only durable copy of the current token: its room cannot be used again.
                failure = Unavailable(
                    f"no refresh while {self._slot.place} cannot be written: free some space", code="auth.disk"
                )
                self._failed(failure)
                raise failure
            return await self._buy(stored)

    async def _buy(self, stored: Token) -> Token:
        try:
            new = await self._ask(stored)
        except LoginNeeded as refusal:
            # Somebody without our lease, such as Claude's own command line, may have used the token meanwhile.
            there = await self._slot.load()
            if there is None or mark_of(there) == mark_of(stored):
                raise self._final(stored, refusal) from None
            self._adopt(there)
            if not self._is_due(there, self._clock.now()):
                self._succeeded()
                return there
            try:
                new = await self._ask(there)
            except LoginNeeded as second:
                raise self._final(there, second) from None
        self._succeeded()
        _log.info("credentials.refreshed", provider=self.provider.name, tenant=self.tenant)
        await self._announce()
        return new

    async def _ask(self, stored: Token) -> Token:
        if not self._is_renewable(stored):
            raise LoginNeeded(
                f"the {self.provider.name} sign-in has no refresh token and ends with its access token. "
                f"Run: {self.login_command}",
                code="auth.no_refresh",
            )
        try:
            await asyncio.to_thread(self._journal.reserve)
            try:
                new = await self.provider.refresh(stored)
            except BaseException:
                self._journal.clear()
                raise
        except (LoginNeeded, TooYoung):
            raise
        except GatewayError as error:
            self._failed(with_advice(error, refresh_command=self.login_command.replace(" login ", " refresh ", 1)))
            raise
        except Exception as error:  # noqa: BLE001 - turned into one of ours
            # The text of a foreign exception may hold a token.
            failure = Internal(f"the refresh of {self.provider.name} broke ({type(error).__name__}): a defect of ours")
            self._failed(failure)
            raise failure from None
        await self._keep(stored, new)
        return new

    async def _keep(self, old: Token, new: Token) -> None:
        now = self._clock.now()
        self._adopt(new)
        entry = Entry(mark_of(old), new, now.isoformat())
        try:
            await asyncio.to_thread(self._journal.write, entry)
        except OSError as error:
            _log.error("credentials.journal_failed", provider=self.provider.name, reason=type(error).__name__)
        await self._swap(new)
        self._note(Standing(mark=mark_of(new), last_refresh=now))

    async def _swap(self, token: Token) -> None:
        try:
            await self._slot.save(token)
        except (OSError, GatewayError) as error:
            # The journal has it; this process goes on with it and tries again.
            self._unsaved = True
            _log.error("credentials.not_saved", provider=self.provider.name, reason=type(error).__name__)
        else:
            self._unsaved = False
            self._journal.clear()
        self._stamp = self._slot.stamp()

    async def _save_again(self) -> None:
        async with file_lease(self._slot.lock, deadline_s=_LEASE_WAIT_S):
            if self._unsaved:
                await self._recover()

    async def _recover(self) -> Token | None:
        """Under the lease: what is stored, after finishing what a crash or a full disk interrupted."""
        stored = await self._slot.load()
        entry = await asyncio.to_thread(self._journal.read)
        token = _newest(stored, entry)
        if entry is not None and token is entry.token:
            _log.warning("credentials.recovered", provider=self.provider.name, tenant=self.tenant)
            self._note(Standing(mark=mark_of(token), last_refresh=datetime.fromisoformat(entry.bought_at)))
            await self._swap(token)
        else:
            self._journal.clear()
            self._unsaved = False
            self._standing = await asyncio.to_thread(self._file.read)
        self._adopt(token)
        return token

    async def _announce(self) -> None:
        self.changed.set()
        if self._after is None:
            return
        try:
            await self._after()
        except Exception as error:  # noqa: BLE001 - the token is safe; what follows it must not lose the call
            # No text: a foreign exception's may hold a token.
            _log.error("credentials.aftermath", provider=self.provider.name, reason=type(error).__name__)

    # --- what is known ------------------------------------------------------------------
    def _adopt(self, token: Token | None) -> None:
        self._token, self._stamp = token, self._slot.stamp()
        self._adopted += 1

    def _due_at(self, token: Token) -> datetime | None:
        if token.expires_at is None:
            return None
        lead = timedelta(seconds=self.provider.lead_s)
        standing = self._standing
        if standing.last_refresh is not None and standing.mark == mark_of(token):
            # Short-lived tokens are refreshed in the middle of their life instead of all the time.
            lead = min(lead, max((token.expires_at - standing.last_refresh) / 2, timedelta()))
        due = token.expires_at - lead
        if self.provider.name in _SELF_RENEWING and token.extra.get("stage") != "short":
            issued = issued_at(token)
            return max(due, issued + YOUNGEST) if issued is not None else due
        return due

    def _is_renewable(self, token: Token) -> bool:
        return bool(token.refresh) or self.provider.name in _SELF_RENEWING

    def _is_due(self, token: Token, now: datetime) -> bool:
        due = self._due_at(token)
        return due is not None and now >= due

    def _is_refused(self, token: Token) -> bool:
        return bool(self._standing.refused_mark) and self._standing.refused_mark == mark_of(token)

    def _may_refresh(self, token: Token) -> bool:
        return self._is_renewable(token) and not self._is_refused(token) and self._clock.monotonic() >= self._retry_at

    def _why_not(self, token: Token) -> GatewayError:
        if self._is_refused(token):
            return LoginNeeded(self._standing.refused_why)
        if not self._is_renewable(token):
            return LoginNeeded(
                f"the {self.provider.name} sign-in has expired and has no refresh token. Run: {self.login_command}",
                code="auth.expired",
            )
        why = self._standing.failure or "the provider could not be asked"
        wait = max(1, round(self._retry_at - self._clock.monotonic()))
        return Unavailable(
            f"the {self.provider.name} sign-in has expired and its refresh failed: {why}. Next try in {wait} s",
            code="auth.refresh_failed",
        )

    def _missing(self) -> AuthRequired:
        return AuthRequired(
            f"nobody is signed in at {self.provider.name} ({self._slot.place})"
            f"{'; ' if self._missing_why else ''}{self._missing_why}. Run: {self.login_command}",
            code="auth.missing",
        )

    def _final(self, token: Token, refusal: LoginNeeded) -> LoginNeeded:
        mark, command = mark_of(token), self.login_command
        why = refusal.detail if command in refusal.detail else f"{refusal.detail}. Run: {command}"
        if self._standing.noticed_mark != mark and self._notify is not None:
            self._notify(Notice(self.provider.name, self.tenant, token.account, why, command))
        self._note(
            replace(
                self._standing, refused_mark=mark, refused_why=why, noticed_mark=mark, failure="", failing_since=None
            )
        )
        self._backoff.reset()
        return LoginNeeded(why, code=refusal.code)

    def _failed(self, error: GatewayError) -> None:
        wait = self._backoff.next_delay_s()
        told = error.context.get("retry_after_s")
        if isinstance(told, int | float):
            wait = max(wait, min(float(told), self._backoff.ceiling_s))
        self._retry_at = self._clock.monotonic() + wait
        since = self._standing.failing_since or self._clock.now()
        self._note(replace(self._standing, failure=error.detail, failing_since=since))

    def _succeeded(self) -> None:
        self._backoff.reset()
        self._retry_at = 0.0
        if self._standing.failure or self._standing.failing_since:
            self._note(replace(self._standing, failure="", failing_since=None))

    def _note(self, standing: Standing) -> None:
        if standing != self._standing:
            self._standing = standing
            self._file.write(standing)

    def _line(self, health: Health, token: Token | None, detail: str) -> CredentialStatus:
        may = token is not None and self._is_renewable(token) and health not in {"login_needed", "unreadable"}
        return CredentialStatus(
            provider=self.provider.name,
            tenant=self.tenant,
            account=(token.account or token.extra.get("plan", "")) if token else "",
            place=self._slot.place,
            health=health,
            expires_at=token.expires_at if token else None,
            last_refresh=self._standing.last_refresh if token else None,
            next_refresh=self._due_at(token) if token and may else None,
            detail=detail,
            command=self.login_command,
            mark=mark_of(token) if token else "",
            failing_since=self._standing.failing_since if token and health in {"retrying", "refreshing"} else None,
        )


def _clock_hint(token: Token) -> str:
    """What a person does about a clock that differs; empty when it does not, or nobody knows."""
    try:
        ahead_s = float(token.extra.get(CLOCK_AHEAD, "0"))
    except ValueError:
        return ""
    if abs(ahead_s) < _CLOCK_TELL_S:
        return ""
    size = f"{abs(ahead_s) / 3600:.1f} h" if abs(ahead_s) >= 3600 else f"{abs(ahead_s) / 60:.0f} min"
    way = "ahead of" if ahead_s > 0 else "behind"
    return f"this machine's clock is {size} {way} the provider's: set it, for example with `timedatectl set-ntp true`"


def _newest(stored: Token | None, entry: Entry | None) -> Token | None:
    """The pending answer counts only while what it was bought with is still what is stored."""
    if entry is None or stored is None or mark_of(stored) != entry.replaces:
        return stored
    return entry.token


def _retrieve(flight: asyncio.Task[Token]) -> None:
    # A refresh started by somebody who did not wait must not end as an exception that was never looked at.
    if not flight.cancelled():
        flight.exception()
