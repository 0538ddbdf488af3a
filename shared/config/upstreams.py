"""Every upstream address of the product (``policies/upstreams.toml``)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shared.config.strict import Strict

HttpUrl = Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
SocketUrl = Annotated[str, Field(pattern=r"^wss?://[^\s]+$")]


class DiscordUpstream(Strict):
    """Discord.

    Attributes:
        api_base: REST root, version included.
        gateway_url: address of the gateway WebSocket.
    """

    api_base: HttpUrl = "https://discord.com/api/v10"
    gateway_url: SocketUrl = "wss://gateway.discord.gg/"


class SlackUpstream(Strict):
    """Slack.

    Attributes:
        api_base: root of the Web API; the address of the socket comes from there.
    """

    api_base: HttpUrl = "https://slack.com/api"


class ClaudeUpstream(Strict):
    """The Claude Messages API.

    Attributes:
        api_base: ``/v1/messages`` is appended.
    """

    api_base: HttpUrl = "https://api.anthropic.com"


class CodexUpstream(Strict):
    """The ChatGPT backend that serves Codex.

    Attributes:
        api_base: ``/codex/responses`` is appended.
    """

    api_base: HttpUrl = "https://chatgpt.com/backend-api"


class CopilotUpstream(Strict):
    """The Copilot API.

    Attributes:
        api_base: empty means the address that comes with the Copilot token, which is right for the account's plan.
    """

    api_base: str = Field(default="", pattern=r"^(https?://[^\s]+)?$")


class GithubUpstream(Strict):
    """GitHub.

    Attributes:
        api_base: where a GitHub token is exchanged for a Copilot token.
    """

    api_base: HttpUrl = "https://api.github.com"


class Upstreams(Strict):
    """All upstream addresses; the defaults are the real ones."""

    discord: DiscordUpstream = DiscordUpstream()
    slack: SlackUpstream = SlackUpstream()
    claude: ClaudeUpstream = ClaudeUpstream()
    codex: CodexUpstream = CodexUpstream()
    copilot: CopilotUpstream = CopilotUpstream()
    github: GithubUpstream = GithubUpstream()
