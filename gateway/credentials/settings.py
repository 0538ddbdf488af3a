"""``policies/oauth.toml``."""

from __future__ import annotations

from gateway.credentials.priority import ClaudeAuthPolicy
from shared.config.paths import Paths
from shared.config.strict import Strict
from shared.config.toml import load_policy
from shared.oauth.claude import ClaudeOAuthSettings
from shared.oauth.codex import CodexOAuthSettings
from shared.oauth.copilot_settings import CopilotOAuthSettings
from shared.oauth.instagram import InstagramOAuthSettings
from shared.oauth.threads import ThreadsOAuthSettings


class OAuthPolicy(Strict):
    """Where and as whom people sign in, and when prepaid money may be spent."""

    claude: ClaudeOAuthSettings = ClaudeOAuthSettings()
    codex: CodexOAuthSettings = CodexOAuthSettings()
    copilot: CopilotOAuthSettings = CopilotOAuthSettings()
    threads: ThreadsOAuthSettings = ThreadsOAuthSettings()
    instagram: InstagramOAuthSettings = InstagramOAuthSettings()
    claude_auth: ClaudeAuthPolicy = ClaudeAuthPolicy()

    @classmethod
    def load(cls, paths: Paths) -> OAuthPolicy:
        """Read it.

        Raises:
            ConfigError: names file, line and key, and why; ``claude.ai`` as a token host among them.
        """
        return load_policy("oauth", cls, paths)
