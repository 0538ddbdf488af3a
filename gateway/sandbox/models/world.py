"""All model upstreams of the offline world behind one loopback port."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Literal

from gateway.sandbox.faults import FaultPlan
from gateway.sandbox.models import claude, codex
from gateway.sandbox.models.copilot import copilot_api
from gateway.sandbox.models.github import GITHUB_LIFETIME, DeviceFlow, github_api, github_site
from gateway.sandbox.models.loopback import LoopbackWorld
from gateway.sandbox.models.tokens import ACCOUNT_ID, TokenKind, Tokens
from gateway.sandbox.models.wire import Emulator
from gateway.sandbox.script import Script
from shared.clock import SYSTEM_CLOCK, Clock, unix_ms
from shared.secrets.files import Secret, write_private

_KEY_LIFETIME = timedelta(days=3650)
_ACCESS_KINDS: dict[str, TokenKind] = {
    "claude": "claude_access",
    "claude_key": "claude_key",
    "codex": "codex_access",
    "copilot": "copilot",
    "github": "github",
}


class ModelWorld(LoopbackWorld):
    """Emulators of Claude, Codex, Copilot and GitHub, with one scripted model behind them all.

    Args:
        script: what the model says.
        faults: what goes wrong; upstream names are ``claude``, ``codex``, ``copilot`` and ``github``.
        port: loopback port; 0 takes a free one.
        clock: for expiry of tokens.
        memory: where tokens outlive the world; None forgets them.
    """

    def __init__(
        self,
        *,
        script: Script | None = None,
        faults: FaultPlan | None = None,
        port: int = 0,
        clock: Clock = SYSTEM_CLOCK,
        memory: Path | None = None,
    ) -> None:
        super().__init__(faults=faults, port=port, clock=clock, memory=memory)
        self.tokens = Tokens(clock)
        self._script = script or Script()
        self._flow: DeviceFlow | None = None

    def _emulators(self) -> Mapping[str, Emulator]:
        self._flow = DeviceFlow(self.tokens, f"{self.github_base}/login/device")
        return {
            "claude": claude.claude_api(self._script, self.tokens),
            "claude-auth": claude.claude_auth(self.tokens),
            "backend-api": codex.codex_api(self._script, self.tokens),
            "openai-auth": codex.openai_auth(self.tokens),
            "copilot": copilot_api(self._script, self.tokens),
            "github": github_site(self._flow),
            "github-api": github_api(self.tokens, self.copilot_base),
        }

    @property
    def claude_base(self) -> str:
        """In place of ``https://api.anthropic.com``."""
        return self._base("claude")

    @property
    def claude_authorize_url(self) -> str:
        """In place of ``https://claude.ai/oauth/authorize``."""
        return self._base("claude-auth/oauth/authorize")

    @property
    def claude_token_url(self) -> str:
        """In place of ``https://platform.claude.com/v1/oauth/token``."""
        return self._base("claude-auth/v1/oauth/token")

    @property
    def codex_base(self) -> str:
        """In place of ``https://chatgpt.com/backend-api``."""
        return self._base("backend-api")

    @property
    def openai_auth_base(self) -> str:
        """In place of ``https://auth.openai.com``."""
        return self._base("openai-auth")

    @property
    def copilot_base(self) -> str:
        """In place of ``https://api.individual.githubcopilot.com``."""
        return self._base("copilot")

    @property
    def github_base(self) -> str:
        """In place of ``https://github.com``."""
        return self._base("github")

    @property
    def github_api_base(self) -> str:
        """In place of ``https://api.github.com``."""
        return self._base("github-api")

    def seed_credentials(
        self,
        *,
        claude: Path | None = None,
        codex: Path | None = None,
        copilot: Path | None = None,
        claude_lifetime: timedelta | None = None,
    ) -> None:
        """Write sign-ins that the emulators accept, in the formats of the programs that usually make them.

        Args:
            claude: path of a ``.credentials.json``.
            codex: path of an ``auth.json``.
            copilot: path of a ``github_token``.
            claude_lifetime: how long the Claude token counts; usually 8 hours.
        """
        if claude is not None:
            self._seed_claude(claude, claude_lifetime)
        if codex is not None:
            self._seed_codex(codex)
        if copilot is not None:
            write_private(copilot, self.tokens.issue("github", lifetime=GITHUB_LIFETIME).value)

    def claude_api_key(self) -> Secret:
        """A new prepaid key."""
        return Secret(self.tokens.issue("claude_key", lifetime=_KEY_LIFETIME).value)

    def revoke(self, what: Literal["claude", "claude_key", "codex", "copilot", "github"]) -> int:
        """Let all tokens of an upstream no longer count, as when a person signs out everywhere; says how many."""
        return self.tokens.revoke_all(_ACCESS_KINDS[what])

    def decide_device(self, user_code: str, *, approved: bool = True) -> None:
        """Play the person on GitHub's device page.

        Raises:
            NotFound: no such code.
        """
        if self._flow is not None:
            self._flow.decide(user_code, approved=approved)

    def _seed_claude(self, path: Path, lifetime: timedelta | None) -> None:
        lifetime = lifetime or claude.ACCESS_LIFETIME
        granted = claude.grant(self.tokens, access_lifetime=lifetime)
        login = {
            "accessToken": granted["access_token"],
            "refreshToken": granted["refresh_token"],
            "expiresAt": unix_ms(self._clock.now() + lifetime),
            "scopes": granted["scope"].split(),
            "subscriptionType": "max",
        }
        write_private(path, json.dumps({"claudeAiOauth": login}, indent=2))

    def _seed_codex(self, path: Path) -> None:
        granted = codex.grant(self.tokens)
        tokens = {name: granted[name] for name in ("id_token", "access_token", "refresh_token")}
        auth = {
            "auth_mode": "chatgpt",
            "OPENAI_API_KEY": None,
            "tokens": {**tokens, "account_id": ACCOUNT_ID},
            "last_refresh": self._clock.now().isoformat().replace("+00:00", "Z"),
        }
        write_private(path, json.dumps(auth, indent=2))

    def _issued(self) -> Tokens:
        return self.tokens

    def _revoke(self, upstream: str, token: str) -> None:
        if upstream in _ACCESS_KINDS:
            self.tokens.revoke(token)
