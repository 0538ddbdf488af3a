"""One look at Discord from outside the gateway connection: who are we, and what may we hear."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

import discord

from shared.channels.discord.client import BotClient
from shared.channels.discord.faults import final_failure, translated
from shared.channels.probe import Intent, ProbeResult
from shared.clock import Clock
from shared.errors import GatewayError
from shared.secrets.files import Secret

_ME: Final = "tell who the bot is"


async def probe(client: BotClient | None, token: Secret, timeout_s: float, clock: Clock) -> ProbeResult:
    """Ask for the bot's user and application.

    Args:
        client: the connected one; without one that has signed in, a client is made for this question alone.
        token: the bot's token, for that.
        timeout_s: for everything together.
        clock: measures it.
    """
    began = clock.monotonic()

    def failed(reason: str) -> ProbeResult:
        return ProbeResult(ok=False, elapsed_ms=_ms(clock.monotonic() - began), reason=reason)

    try:
        async with asyncio.timeout(timeout_s):
            if client is not None and client.user is not None and not client.is_closed():
                return await _ask(client, clock, began)
            return await _ask_alone(token, clock, began)
    except TimeoutError:
        return failed(f"Discord did not answer within {timeout_s:g} s")
    except GatewayError as error:
        return failed(error.detail)


async def _ask(client: discord.Client, clock: Clock, began: float) -> ProbeResult:
    with translated(_ME):
        me = await client.http.request(discord.http.Route("GET", "/users/@me"))
        elapsed_ms = _ms(clock.monotonic() - began)
        about = await client.application_info()
    found = ProbeResult(ok=True, elapsed_ms=elapsed_ms, user_id=str(me["id"]), user_name=str(me["username"]))
    return replace(found, application_id=str(about.id), intents=_intents(about.flags))


async def _ask_alone(token: Secret, clock: Clock, began: float) -> ProbeResult:
    client = discord.Client(intents=discord.Intents.none())
    try:
        with translated(_ME):
            try:
                await client.login(token.reveal())
            except discord.LoginFailure as error:
                raise final_failure(error) or error from None
        return await _ask(client, clock, began)
    finally:
        await client.close()


def _intents(flags: discord.ApplicationFlags) -> dict[str, Intent]:
    def allowed(*, fully: bool, limited: bool) -> Intent:
        return "enabled" if fully else "limited" if limited else "disabled"

    return {
        "messageContent": allowed(fully=flags.gateway_message_content, limited=flags.gateway_message_content_limited),
        "guildMembers": allowed(fully=flags.gateway_guild_members, limited=flags.gateway_guild_members_limited),
        "presence": allowed(fully=flags.gateway_presence, limited=flags.gateway_presence_limited),
    }


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
