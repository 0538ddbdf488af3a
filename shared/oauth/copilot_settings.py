"""Where GitHub and Copilot are, and as which client they are called."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shared.config.strict import Strict

HttpUrl = Annotated[str, Field(pattern=r"^https?://[^\s]+$")]


class CopilotOAuthSettings(Strict):
    """``[copilot]`` of policies/oauth.toml. The defaults are those of the editor's Copilot client."""

    login_base: HttpUrl = "https://github.com"
    api_base: HttpUrl = "https://api.github.com"
    copilot_base: str = Field(default="", pattern=r"^(https?://[^\s]+)?$")
    """Empty: the address that comes with the bearer."""
    client_id: str = Field(default="Iv1.b507a08c87ecfe98", min_length=1)
    scope: str = "read:user"
    user_agent: str = "GitHubCopilotChat/0.35.0"
    editor_version: str = "vscode/1.107.0"
    editor_plugin_version: str = "copilot-chat/0.35.0"
    github_api_version: str = "2025-04-01"
    integration_id: str = "vscode-chat"

    def client_headers(self) -> tuple[tuple[str, str], ...]:
        """How the editor's client introduces itself, at GitHub and at the Copilot API alike."""
        return (
            ("Editor-Version", self.editor_version),
            ("Editor-Plugin-Version", self.editor_plugin_version),
            ("User-Agent", self.user_agent),
            ("X-GitHub-Api-Version", self.github_api_version),
        )
