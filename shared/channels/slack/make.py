"""Building a tenant's Slack connector from what the gateway handed over."""

from __future__ import annotations

from collections.abc import Mapping

from shared.channels.base import CatchUp, MakeChannel
from shared.secrets.files import Secret


def slack_channel(
    bot_token: str,
    app_token: str,
    upstreams: Mapping[str, str],
    *,
    called: str = "",
    catch_up: CatchUp = CatchUp(),  # noqa: B008 - a frozen value
) -> MakeChannel | None:
    """How to make the connector; None without tokens, which means that Slack is off (policy N17).

    Args:
        bot_token: the bot user's, ``xoxb-…``.
        app_token: the app's, ``xapp-…``, which opens Socket Mode.
        upstreams: ``slack_api_base``; absent it is the real one.
        called: what people's mentions of the app become (policy N2); empty takes them out.
        catch_up: how much of what was missed is read again.

    Raises:
        ConfigError: one token is there and the other is not, or they are of the wrong kinds.
    """
    if not bot_token and not app_token:
        return None
    from shared.channels.slack.channel import SlackChannel
    from shared.channels.slack.faults import check_tokens
    from shared.channels.slack.webapi import API_BASE

    check_tokens(bot_token, app_token)
    base = upstreams.get("slack_api_base") or API_BASE
    return lambda handlers: SlackChannel(
        Secret(bot_token), Secret(app_token), handlers, api_base=base, called=called, catch_up=catch_up
    )
