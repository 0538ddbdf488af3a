"""The token that ``.env`` gives becomes a sign-in at the gateway's start, when there is none (policy N12)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from gateway.credentials.files import fingerprint
from gateway.credentials.keeper import Keeper
from gateway.credentials.meta import ShownToken
from gateway.credentials.models import Health
from gateway.credentials.signins import SignIns
from shared.errors import GatewayError, Unavailable
from shared.lifecycle.backoff import Backoff
from shared.obs.log import get_logger

_log = get_logger(__name__)

_BASE_S = 30.0
_CEILING_S = 900.0


@dataclass(frozen=True, slots=True)
class Adoption:
    """What becomes of the token in ``.env``.

    Attributes:
        act: ``adopt`` makes it the sign-in, ``show`` writes the vault's over it.
    """

    act: Literal["adopt", "show", "nothing"]
    reason: str


def decide_adoption(offered: str, stored: str, health: Health) -> Adoption:
    """What the vault has goes first, unless it can never serve again; pure.

    Args:
        offered: the token in ``.env``; may be empty.
        stored: the vault's; empty when nobody is signed in.
        health: of the vault's.
    """
    if health == "unreadable":
        return Adoption("nothing", "what is stored cannot be read")
    if not offered:
        return Adoption("show" if stored else "nothing", ".env has none")
    if offered == stored:
        return Adoption("nothing", "both are the same")
    if not stored:
        return Adoption("adopt", "nobody is signed in")
    if health == "login_needed":
        return Adoption("adopt", "the stored one can never serve again")
    return Adoption("show", "the stored one goes first")


class TokensOfEnv:
    """Looks once at what ``.env`` gives, and goes on trying only while the network cannot be asked.

    A token that is refused stays where it is, and what the vault had stays too: the state of the sign-in says so, and
    the owner is told.

    Args:
        sign_ins: takes the tokens.
        shown: the lines of ``.env``.
    """

    def __init__(self, sign_ins: SignIns, shown: Iterable[ShownToken]) -> None:
        self._sign_ins = sign_ins
        self._shown = tuple(shown)

    async def run(self) -> None:
        """Until every line is dealt with."""
        await asyncio.gather(*(self._settle(line) for line in self._shown))

    async def _settle(self, line: ShownToken) -> None:
        backoff = Backoff(base_s=_BASE_S, ceiling_s=_CEILING_S)
        while True:
            try:
                value, user = await asyncio.to_thread(line.read)
            except GatewayError as error:
                _log.error("credentials.env", tenant=line.tenant, detail=error.detail)
                return
            keeper = self._sign_ins.keeper_of(line.provider, line.tenant)
            try:
                await self._look(line, keeper, value, user)
                return
            except Unavailable as error:
                why = f"the token in {line.env_file} ({line.names[-1]}) could not be tried yet: {error.detail}"
                _log.warning("credentials.env_token_waits", provider=line.provider, tenant=line.tenant, detail=why)
                keeper.note_missing(why)
            except GatewayError as error:
                why = f"the token in {line.env_file} ({line.names[-1]}) is not taken: {error.detail}"
                _log.error("credentials.env_token_refused", provider=line.provider, tenant=line.tenant, detail=why)
                keeper.note_missing(why, declined=fingerprint(value))
                return
            await asyncio.sleep(backoff.next_delay_s())

    async def _look(self, line: ShownToken, keeper: Keeper, value: str, user: str) -> None:
        stored = await keeper.peek()
        status = await keeper.status()
        decision = decide_adoption(value, stored.access.reveal() if stored is not None else "", status.health)
        if decision.act == "adopt":
            answer = await self._sign_ins.take(line.provider, line.tenant, value, user=user)
            _log.info(
                "credentials.env_token_taken",
                provider=line.provider,
                tenant=line.tenant,
                account=answer["account"],
                reason=decision.reason,
            )
        elif decision.act == "show" and stored is not None:
            if value:
                command = f"clawgate auth import {line.provider} --tenant {line.tenant}"
                _log.warning(
                    "credentials.env_token_replaced", tenant=line.tenant, reason=decision.reason, instead=command
                )
            await line.write(stored)
