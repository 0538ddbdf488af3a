"""What discord.py's exceptions mean to a caller. They stop here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError

import aiohttp
import discord

from shared.errors import AuthRequired, ConfigError, Denied, GatewayError, Invalid, NotFound, RateLimited, Unavailable

_EDGE_BAN_S = 60.0
_BAD_TOKEN = 4004
_BAD_INTENTS = 4013
_DISALLOWED_INTENTS = 4014
_FINAL = frozenset({_BAD_TOKEN, 4010, 4011, 4012, _BAD_INTENTS, _DISALLOWED_INTENTS})
_TIMEOUT_STATUS = 408
_UNAUTHORIZED = 401
_TOO_MANY = 429
_SERVER_ERROR = 500

PORTAL = "https://discord.com/developers/applications"


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn whatever a REST call raises into an error of ours.

    Args:
        what: the call, for the detail: ``send a message``.

    Raises:
        Unavailable: no answer, or one that says to come back; the work may have been done.
        RateLimited: it was not done.
        Denied: we may not.
        NotFound: no such channel or message.
        Invalid: Discord refused the content.
    """
    try:
        yield
    except discord.RateLimited as error:
        raise RateLimited(f"Discord limits how often we may {what}", retry_after_s=error.retry_after) from None
    except discord.HTTPException as error:
        raise _from_status(what, error) from None
    except (aiohttp.ClientError, OSError, TimeoutError, JSONDecodeError) as error:
        raise Unavailable(f"Discord did not answer when asked to {what} ({type(error).__name__})") from None


def _from_status(what: str, error: discord.HTTPException) -> GatewayError:
    reason = f"Discord refused to {what}: {_reason(error)}"
    if error.status == _TOO_MANY:
        return RateLimited(reason, retry_after_s=_EDGE_BAN_S)
    if error.status in (_UNAUTHORIZED, _TIMEOUT_STATUS) or error.status >= _SERVER_ERROR:
        return Unavailable(reason)
    if isinstance(error, discord.Forbidden):
        # A page of the network's edge has no code: it says nothing about our permissions.
        return Denied(reason) if error.code else Unavailable(reason)
    if isinstance(error, discord.NotFound):
        return NotFound(reason)
    return Invalid(reason)


def _reason(error: discord.HTTPException) -> str:
    if not error.code:
        return f"HTTP {error.status}"
    return f"{error.text or 'no reason given'} (HTTP {error.status}, code {error.code})"


def final_failure(error: BaseException) -> GatewayError | None:
    """The error that ends a bot for good, or None when starting afresh may help."""
    if isinstance(error, discord.LoginFailure) or _close_code(error) == _BAD_TOKEN:
        return AuthRequired(
            "Discord refused the bot token. Fix: reset the token in the Developer Portal "
            f"({PORTAL}, page Bot), put the new one into the gateway's .env, and start again",
            code="discord.token_refused",
        )
    if isinstance(error, discord.PrivilegedIntentsRequired) or _close_code(error) == _DISALLOWED_INTENTS:
        return ConfigError(
            "Discord does not allow this bot to read messages: its Message Content Intent is off. Fix: switch it on in "
            f"the Developer Portal ({PORTAL}, page Bot, Privileged Gateway Intents), and start again",
            code="discord.intents_disallowed",
        )
    if (code := _close_code(error)) in _FINAL:
        return ConfigError(
            f"Discord refused the connection for good (close code {code}): this version of the program asks for "
            "something Discord no longer offers. Fix: upgrade it",
            code="discord.connection_refused",
        )
    return None


def _close_code(error: BaseException) -> int:
    return error.code if isinstance(error, discord.ConnectionClosed) else 0
