"""Building a tenant's Discord connector from what the gateway handed over."""

from __future__ import annotations

from collections.abc import Mapping

from shared.channels.base import CatchUp, MakeChannel
from shared.secrets.files import Secret


def discord_channel(
    token: str,
    upstreams: Mapping[str, str],
    *,
    called: str = "",
    answer_bots: bool = False,
    notices: bool = False,
    line_limit: int = 0,
    catch_up: CatchUp = CatchUp(),  # noqa: B008 - a frozen value
) -> MakeChannel | None:
    """How to make the connector; None without a token, which means that Discord is off (policy N1).

    Args:
        token: the bot's.
        upstreams: ``discord_api_base`` and ``discord_gateway_url``; absent ones are the real ones.
        called: what people's mentions of the bot become (policy N2); empty takes them out.
        answer_bots: also hand over what bots write, for a tenant that decides about it itself.
        notices: also hand over what Discord itself says.
        line_limit: lines of one message; 0 for any number.
        catch_up: how much of what was missed is read again.
    """
    if not token:
        return None
    from shared.channels.discord.addresses import API_BASE, GATEWAY_URL, use_addresses
    from shared.channels.discord.channel import DiscordChannel

    use_addresses(upstreams.get("discord_api_base") or API_BASE, upstreams.get("discord_gateway_url") or GATEWAY_URL)
    return lambda handlers: DiscordChannel(
        Secret(token),
        handlers,
        called=called,
        answer_bots=answer_bots,
        notices=notices,
        line_limit=line_limit,
        catch_up=catch_up,
    )
