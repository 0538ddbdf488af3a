"""Signing in and out, for whoever asks: a command on the files, or the running gateway's control socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.credentials.files import fingerprint
from gateway.credentials.imports import parse_import
from gateway.credentials.keeper import Keeper
from gateway.credentials.meta import ShownToken
from gateway.credentials.pending import PendingLogins
from gateway.credentials.refresher import SHARED_TENANT, Refresher
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import Conflict, Invalid, NotFound, Unavailable
from shared.oauth.claude import ClaudeOAuth
from shared.oauth.copilot import CopilotOAuth
from shared.oauth.github import bearer_in
from shared.oauth.meta import MetaOAuth
from shared.oauth.models import EdgeBlocked, LoginNeeded, PendingLogin, Token
from shared.obs.log import get_logger

_log = get_logger(__name__)


class SignIns:
    """Logins, sign-outs and their state. Every result is JSON for a person and holds no token.

    Args:
        refresher: the credentials.
        pending: logins in progress.
        write_views: brings the files that tenants see up to date.
        borrowed: files of other programs that serve a provider nobody signed in to here.
        on_copilot_bearer: to be told when a new Copilot bearer ends, for the tenants' views; does not block.
        shown: the lines of ``.env`` that show tokens.
        clock: for expiry.
    """

    def __init__(
        self,
        refresher: Refresher,
        pending: PendingLogins,
        write_views: Callable[[], Awaitable[None]] | None = None,
        borrowed: Mapping[str, Path] | None = None,
        on_copilot_bearer: Callable[[datetime], None] | None = None,
        *,
        shown: Sequence[ShownToken] = (),
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._clock = clock
        self.shown = tuple(shown)
        self.on_copilot_bearer = on_copilot_bearer
        self._borrowed = dict(borrowed or {})
        self.refresher = refresher
        self._pending = pending
        self._write_views = write_views
        self._completing: dict[str, asyncio.Lock] = {}

    async def write_views(self) -> None:
        """Bring the files that tenants see up to date; they also follow each login, refresh and logout."""
        if self._write_views is not None:
            await self._write_views()

    async def begin(self, provider: str, tenant: str = SHARED_TENANT) -> dict[str, Any]:
        """Start a login; a person opens ``url`` and, in a code flow, pastes what they get.

        Raises:
            NotFound: no such provider for that tenant.
            Unavailable: a device flow's provider does not answer.
        """
        keeper = self.refresher.keeper(provider, tenant)
        pending = await keeper.provider.begin()
        await asyncio.to_thread(self._pending.put, tenant, pending)
        return _asked(keeper, pending)

    async def resume(self, provider: str, tenant: str) -> dict[str, Any]:
        """The login in progress, as `begin` told of it.

        Raises:
            NotFound: there is none, or it took too long.
        """
        keeper = self.refresher.keeper(provider, tenant)
        return _asked(keeper, await asyncio.to_thread(self._pending.get, tenant, provider, again=keeper.login_command))

    async def complete(self, provider: str, tenant: str, pasted: str) -> dict[str, Any]:
        """Finish a code flow.

        The result has ``node_command`` instead of an account when the provider's edge refused us: a person runs it
        and pastes what it prints. The login stays open then, and after any mistake in pasting.

        Raises:
            NotFound: no login is in progress, or it took too long.
            Invalid: what was pasted is not usable.
            LoginNeeded: the provider refused the code.
            Unavailable: the provider does not answer usefully.
        """
        keeper = self.refresher.keeper(provider, tenant)
        # One paste at a time: a code counts once.
        async with self._completing.setdefault(f"{tenant}/{provider}", asyncio.Lock()):
            pending = await asyncio.to_thread(self._pending.get, tenant, provider, again=keeper.login_command)
            try:
                token = await keeper.provider.complete(pending, pasted)
            except EdgeBlocked as blocked:
                if not isinstance(keeper.provider, ClaudeOAuth) or pasted.lstrip().startswith("{"):
                    raise
                command = keeper.provider.node_command(pending, pasted)
                return {"done": False, "detail": blocked.detail, "node_command": command.reveal()}
            except LoginNeeded:
                self._pending.drop(tenant, provider)
                raise
            except Unavailable as error:
                error.add_advice(f"The login stays open: paste the same again with {keeper.login_command} --resume")
                raise
            await keeper.store(token)
            self._pending.drop(tenant, provider)
        _log.info("credentials.signed_in", provider=provider, tenant=tenant)
        return {"done": True, **_told(token)}

    async def poll(self, provider: str, tenant: str) -> dict[str, Any]:
        """Ask once whether a device flow is done; raises as `complete` does."""
        keeper = self.refresher.keeper(provider, tenant)
        pending = await asyncio.to_thread(self._pending.get, tenant, provider, again=keeper.login_command)
        try:
            outcome = await keeper.provider.poll(pending)
        except LoginNeeded:
            self._pending.drop(tenant, provider)
            raise
        except Unavailable as error:
            # The login itself lasts ten minutes; a hiccup in between is no reason to begin anew.
            _log.warning("credentials.poll_failed", provider=provider, code=error.code)
            return {"done": False, "wait_s": max(5.0, 2 * pending.interval_s)}
        if not isinstance(outcome, Token):
            return {"done": False, "wait_s": float(outcome)}
        await keeper.store(outcome)
        self._pending.drop(tenant, provider)
        _log.info("credentials.signed_in", provider=provider, tenant=tenant)
        return {"done": True, **_told(outcome)}

    async def status(self) -> list[dict[str, Any]]:
        """Every credential: provider, account, expiry, last and next refresh, health, and what to do."""
        lines = []
        for status in await self.refresher.status():
            line = asdict(status)
            if status.health == "missing" and self._is_borrowed(status.provider, status.tenant):
                file = self._borrowed[status.provider]
                line["health"], line["place"] = "borrowed", str(file)
                line["detail"] = (
                    f"used as {file} has it, which another program keeps fresh. "
                    f"To keep it fresh here: clawgate auth import {status.provider}"
                )
            del line["mark"]
            for name in ("expires_at", "last_refresh", "next_refresh", "failing_since"):
                line[name] = line[name].isoformat() if line[name] else None
            lines.append(line)
        return lines

    async def refresh(self, provider: str, tenant: str) -> dict[str, Any]:
        """Refresh now, due or not; a sign-in without an end is only looked at, with ``detail`` saying so.

        Raises:
            AuthRequired: nobody is signed in, or a person has to sign in again.
            NotFound: another program's file is used, which only that program refreshes.
            Unavailable: it did not work this time; the old token is untouched.
        """
        keeper = self.refresher.keeper(provider, tenant)
        token = await keeper.peek()
        if token is None and self._is_borrowed(provider, tenant):
            raise NotFound(
                f"{provider} is used as {self._borrowed[provider]} has it, which another program keeps fresh. To keep "
                f"it fresh here: clawgate auth import {provider}",
                code="auth.borrowed",
            )
        if token is not None and keeper.is_lasting(token):
            if isinstance(keeper.provider, CopilotOAuth) and bearer_in(token) is None:
                token = replace(token, account=await keeper.provider.account(token))
            return {"done": True, "detail": "still accepted, nothing to refresh", **_told(token)}
        stale = fingerprint(token.access.reveal()) if token is not None else ""
        return {"done": True, **_told(await keeper.refresh(stale=stale))}

    async def logout(self, provider: str, tenant: str, *, revoke: bool = True) -> dict[str, Any]:
        """Forget a sign-in here and at the provider; ``problem`` says what the provider could not be told."""
        keeper = self.refresher.keeper(provider, tenant)
        self._pending.drop(tenant, provider)
        problem = await keeper.forget(revoke=revoke)
        _log.info("credentials.signed_out", provider=provider, tenant=tenant, told=not problem)
        return {"done": True, "problem": problem}

    async def take(self, provider: str, tenant: str, text: str, *, user: str = "") -> dict[str, Any]:
        """Import the sign-in in the text of another program's file; for Threads and Instagram a bare token.

        Args:
            provider: where.
            tenant: whose.
            text: the file's, or the token.
            user: id of the account that a bare token is said to belong to; empty when nobody said.

        Raises:
            Invalid: there is none in it, or it is another account's.
            LoginNeeded: the network, or GitHub, does not accept the token.
            Unavailable: the network cannot be asked about it.
        """
        keeper = self.refresher.keeper(provider, tenant)
        if isinstance(keeper.provider, MetaOAuth):
            token = await keeper.provider.adopt(text)
            if user and user != (owner := token.extra.get("user_id", "")):
                raise Invalid(
                    f"it belongs to {token.account} with the user id {owner}, and {provider.upper()}_USER_ID says "
                    f"{user}: correct one of the two",
                    code="auth.account",
                )
            await keeper.store(token)
            _log.info("credentials.imported", provider=provider, tenant=tenant)
            return {"done": True, **_told(token)}
        token = parse_import(provider, text)
        if bearer_in(token) is not None:
            await self._require_use_for(token, keeper)
        elif isinstance(keeper.provider, CopilotOAuth):
            token = await _checked(keeper.provider, token)
        if token.refresh is None and keeper.provider.flow == "code":
            raise Invalid(
                f"this {provider} sign-in has no refresh token and would soon end. Run: {keeper.login_command}",
                code="auth.import",
            )
        await keeper.store(token)
        _log.info("credentials.imported", provider=provider, tenant=tenant)
        return {"done": True, **_told(token)}

    def _is_borrowed(self, provider: str, tenant: str) -> bool:
        """Another program's file serves, as long as nobody signed in here."""
        return tenant == SHARED_TENANT and provider in self._borrowed and self._borrowed[provider].exists()

    async def _require_use_for(self, bearer: Token, keeper: Keeper) -> None:
        """Refuse a Copilot bearer that has ended, or that would take a real sign-in's place for half an hour."""
        if bearer.expires_at is not None and bearer.expires_at <= self._clock.now():
            raise Invalid(
                f"the Copilot token in this file ended at {bearer.expires_at:%Y-%m-%d %H:%M} UTC, and it cannot be "
                f"renewed without GitHub's own token. Run: {keeper.login_command}",
                code="auth.import",
            )
        stored = await keeper.peek()
        if stored is not None and bearer_in(stored) is None:
            raise Conflict(
                "a GitHub sign-in is stored already, which buys such tokens by itself; nothing was changed",
                code="auth.import",
            )

    def keeper_of(self, provider: str, tenant: str = SHARED_TENANT) -> Keeper:
        """For those who call the provider."""
        return self.refresher.keeper(provider, tenant)


async def _checked(github: CopilotOAuth, token: Token) -> Token:
    """GitHub's own word on a token; when it cannot be asked the token is taken unseen."""
    try:
        return replace(token, account=await github.account(token))
    except Unavailable:
        return token


def _asked(keeper: Keeper, pending: PendingLogin) -> dict[str, Any]:
    return {
        "provider": pending.provider,
        "tenant": keeper.tenant,
        "flow": keeper.provider.flow,
        "url": pending.url,
        "instructions": pending.instructions,
        "user_code": pending.user_code,
        "interval_s": pending.interval_s,
        "expires_at": pending.expires_at.isoformat(),
    }


def _told(token: Token) -> dict[str, Any]:
    return {
        "account": token.account,
        "plan": token.extra.get("plan", ""),
        "expires_at": token.expires_at.isoformat() if token.expires_at else None,
        "can_refresh": token.refresh is not None,
    }
