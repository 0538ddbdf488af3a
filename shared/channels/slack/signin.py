"""Getting in: who the app is, whether it may do what it must, and a fresh connection."""

from __future__ import annotations

from shared.channels.slack.faults import (
    REQUIRED_SCOPES,
    app_token_refused,
    bot_token_refused,
    scopes_missing,
)
from shared.channels.slack.socketmode import SocketMode
from shared.channels.slack.translate import Me
from shared.channels.slack.webapi import SlackApi
from shared.errors import Denied, Unavailable


async def introduce(bot: SlackApi, *, called: str) -> Me:
    """Find out who the bot's token makes us; `called` is what mentions of us become.

    Raises:
        AuthRequired: the bot token is refused.
        ConfigError: a scope is missing.
        Unavailable: Slack does not answer.
    """
    bot.refused.clear()
    try:
        reply = await bot.call("sign in", "auth.test")
    except Unavailable as error:
        if bot.refused.is_set():
            raise bot_token_refused(error.detail) from None
        raise
    if missing := [scope for scope in REQUIRED_SCOPES if reply.scopes and scope not in reply.scopes]:
        raise scopes_missing(missing)
    about = {name: str(reply.body.get(name) or "") for name in ("user_id", "user", "bot_id", "team_id")}
    return Me(about["user_id"], about["user"], about["bot_id"], about["team_id"], called)


async def open_socket(app: SlackApi) -> SocketMode:
    """A greeted connection; its address comes from the Web API and is no less encrypted than that.

    Raises:
        AuthRequired: the app token is refused.
        Unavailable: Slack does not answer, or its socket cannot be reached.
    """
    try:
        reply = await app.call("open a socket", "apps.connections.open")
    except (Denied, Unavailable) as error:
        if isinstance(error, Denied) or app.refused.is_set():
            raise app_token_refused(error.detail) from None
        raise
    url = str(reply.body.get("url") or "")
    if not url.startswith("wss://" if app.is_encrypted else "ws://"):
        raise Unavailable("Slack gave an address for the socket that is none")
    return await SocketMode.open(url)
