"""All credentials and the timer that keeps them fresh."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Mapping

from gateway.credentials.keeper import Keeper
from gateway.credentials.models import CredentialStatus
from shared.errors import GatewayError, NotFound
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger

_log = get_logger(__name__)

SHARED_TENANT = "gateway"
"""Whose the sign-ins are that the whole installation shares: Claude, Codex, Copilot."""

_DRAIN_S = 20.0


class Refresher:
    """Looks after keepers; without `start` they refresh on demand only, which is what commands do.

    Args:
        keepers: the credentials.
        tasks: the pool that the keepers use too.
        absent: credentials that are not set up, by tenant and provider, and what a person has to do first.
    """

    def __init__(
        self,
        keepers: Iterable[Keeper],
        *,
        tasks: TaskPool,
        absent: Mapping[tuple[str, str], GatewayError] | None = None,
    ) -> None:
        self._absent = dict(absent or {})
        self._keepers = {(keeper.tenant, keeper.provider.name): keeper for keeper in keepers}
        self._tasks = tasks
        self._timers: list[asyncio.Task[None]] = []

    def keeper(self, provider: str, tenant: str = SHARED_TENANT) -> Keeper:
        """One credential's keeper.

        Raises:
            NotFound: no such credential is known here.
            ConfigError: it is known but not set up; says what is missing.
        """
        keeper = self._keepers.get((tenant, provider))
        if keeper is None:
            if problem := self._absent.get((tenant, provider)):
                raise problem
            raise NotFound(self._unknown(provider, tenant), code="auth.unknown")
        return keeper

    def _unknown(self, provider: str, tenant: str) -> str:
        every = sorted({*self._keepers, *self._absent})
        owners = [owner for owner, name in every if name == provider]
        if owners == [SHARED_TENANT]:
            return f"{provider} is signed in to once for all tenants: leave out --tenant {tenant}"
        if owners:
            ways = " or ".join(f"--tenant {owner}" for owner in owners)
            return f"each tenant signs in to {provider} by itself: add {ways}"
        known = ", ".join(name if owner == SHARED_TENANT else f"{name} --tenant {owner}" for owner, name in every)
        return f"no credential {provider!r} of {tenant!r}; known: {known}"

    def __contains__(self, provider: object) -> bool:
        return (SHARED_TENANT, provider) in self._keepers

    def __iter__(self) -> Iterator[Keeper]:
        return iter(self._keepers.values())

    async def status(self) -> list[CredentialStatus]:
        """Every credential's state."""
        return [await keeper.status() for keeper in self._keepers.values()]

    def start(self) -> None:
        """Begin refreshing ahead of expiry."""
        self._timers = [
            self._tasks.start(self._watch(keeper), name=f"timer.{keeper.provider.name}")
            for keeper in self._keepers.values()
        ]

    async def stop(self) -> None:
        """End the timers; a refresh under way may finish, because its answer counts only once."""
        for timer in self._timers:
            timer.cancel()
        await asyncio.gather(*self._timers, return_exceptions=True)
        self._timers.clear()
        if not await self._tasks.drain(_DRAIN_S):
            _log.warning("credentials.refresh_cut")
        await self._tasks.close()

    async def _watch(self, keeper: Keeper) -> None:
        while True:
            try:
                wait = await keeper.tick()
            except Exception as error:  # noqa: BLE001 - one broken credential must not end the timer
                # No traceback: a foreign exception's text may hold a token.
                _log.error("credentials.timer", provider=keeper.provider.name, reason=type(error).__name__)
                wait = 60.0
            keeper.changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await keeper.changed.wait()
