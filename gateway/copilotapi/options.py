"""What the stand-alone model API was told, in copilot-api's own terms."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shared.errors import ConfigError, Invalid
from shared.oauth.copilot_settings import CopilotOAuthSettings
from shared.secrets.files import Secret

AccountType = Literal["individual", "business", "enterprise"]

TOKEN_FILE = "~/.local/share/copilot-api/github_token"  # noqa: S105 - a path
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class CopilotApiOptions:
    """The options of ``clawgate copilot-api start``.

    Attributes:
        port: 0 takes a free one.
        rate_limit_s: least seconds between two model calls; 0 for none.
        wait: too early calls wait instead of being refused.
        max_waiting: calls that may wait at once.
        manual: a person approves each call on the terminal.
        token_file: where the GitHub sign-in is kept, in copilot-api's format.
        github_token: used instead of the file.
        upstream_base: one address that plays GitHub's login, GitHub's API and the Copilot API; empty for the real ones.
        login_base: GitHub's login alone; like the next two it goes before `upstream_base`.
        github_api_base: GitHub's API alone.
        copilot_base: the Copilot API alone.
        keys_file: client keys; None when no key is asked for.
        keep_alive_s: after this long without a byte a streaming caller gets a comment.
    """

    port: int = 4141
    host: str = "127.0.0.1"
    account_type: AccountType = "individual"
    rate_limit_s: float = 0.0
    wait: bool = False
    max_waiting: int = 32
    manual: bool = False
    verbose: bool = False
    token_file: Path = Path(TOKEN_FILE)
    github_token: Secret | None = None
    upstream_base: str = ""
    login_base: str = ""
    github_api_base: str = ""
    copilot_base: str = ""
    keys_file: Path | None = None
    keep_alive_s: float = 10.0

    def __post_init__(self) -> None:
        for name in ("upstream_base", "login_base", "github_api_base", "copilot_base"):
            value = getattr(self, name)
            if value and not value.startswith(("http://", "https://")):
                raise Invalid(f"--{name.replace('_', '-')} {value!r} is not an http or https address")
        if not self.is_loopback and self.keys_file is None:
            raise ConfigError(
                f"--host {self.host} is reachable from other machines, so callers must have keys: add --require-key",
                code="config.keys_file",
            )

    @property
    def is_loopback(self) -> bool:
        """Only programs of this machine can connect."""
        return self.host in _LOOPBACK

    def oauth_settings(self) -> CopilotOAuthSettings:
        """Addresses of the three services."""
        usual = CopilotOAuthSettings()
        base = self.upstream_base.rstrip("/")
        told = "" if self.account_type == "individual" else f"https://api.{self.account_type}.githubcopilot.com"
        return usual.model_copy(
            update={
                "login_base": self.login_base or base or usual.login_base,
                "api_base": self.github_api_base or base or usual.api_base,
                "copilot_base": self.copilot_base or base or told,
            }
        )
