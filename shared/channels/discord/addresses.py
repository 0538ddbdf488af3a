"""Where Discord is: two process-wide settings of discord.py."""

from __future__ import annotations

import discord
import yarl
from discord.gateway import DiscordWebSocket

API_BASE = "https://discord.com/api/v10"
GATEWAY_URL = "wss://gateway.discord.gg/"


def use_addresses(api_base: str = API_BASE, gateway_url: str = GATEWAY_URL) -> None:
    """Point every client of this process at a server; call before the first one logs in.

    Args:
        api_base: REST root without a slash at its end.
        gateway_url: WebSocket address; what a resume uses comes from the server.
    """
    discord.http.Route.BASE = api_base.rstrip("/")
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway_url)
