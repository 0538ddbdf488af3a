"""Values of the credential service."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Provider = Literal["claude", "codex", "copilot"]
AuthKind = Literal["oauth", "api_key", "token"]


@dataclass(frozen=True, slots=True)
class ProviderAuth:
    """What makes a request one of ours: the address and the headers that carry the credential.

    Attributes:
        base_url: without a slash at its end.
        kind: ``oauth`` a subscription's token, ``api_key`` prepaid, ``token`` a bearer exchanged for another.
        mark: tells credentials apart without being one; what `Credentials.after_refusal` compares.
    """

    provider: Provider
    base_url: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    kind: AuthKind
    mark: str


@dataclass(frozen=True, slots=True)
class ClientIdentity:
    """How we introduce ourselves to providers that look at it. Source: reference notes on Copilot and Codex clients."""

    editor_version: str = "vscode/1.107.0"
    editor_plugin_version: str = "copilot-chat/0.35.0"
    copilot_user_agent: str = "GitHubCopilotChat/0.35.0"
    copilot_integration_id: str = "vscode-chat"
    github_api_version: str = "2025-04-01"
    codex_originator: str = "codex_cli_rs"
    codex_user_agent: str = "codex_cli_rs/0.55.0"
