"""Sign-ins against the emulators' token endpoints, with files in a folder of the test's own."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.credentials.keeper import Keeper
from gateway.credentials.models import Notice
from gateway.credentials.service import Credentials
from gateway.credentials.settings import OAuthPolicy
from gateway.credentials.setup import build_sign_ins
from gateway.credentials.signins import SignIns
from gateway.sandbox.faults import Fault, FaultPlan
from gateway.sandbox.models import ModelWorld
from shared.clock import Clock, FakeClock
from shared.config.paths import Paths
from shared.http.client import HttpPool
from shared.oauth.claude import ClaudeOAuthSettings
from shared.oauth.codex import CodexOAuthSettings
from shared.oauth.copilot_settings import CopilotOAuthSettings
from shared.secrets.files import Secret

HOUR = 3600


@dataclass
class Desk:
    """What a test drives and looks at."""

    world: ModelWorld
    http: HttpPool
    paths: Paths
    clock: Clock
    transport: str = "http"
    notices: list[Notice] = field(default_factory=list)

    @property
    def claude_file(self) -> Path:
        return self.paths.state / "home" / ".credentials.json"

    @property
    def codex_file(self) -> Path:
        return self.paths.state / "home" / "auth.json"

    def child_environment(self) -> dict[str, str]:
        """What a command needs to work on this installation, and nothing of the test's own environment."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.paths.state),
            "CLAWGATE_STATE": str(self.paths.state),
            "CLAWGATE_RUNTIME": str(self.paths.runtime),
            "PYTHONPATH": str(Path.cwd()),
        }

    def policy(self) -> OAuthPolicy:
        world = self.world
        return OAuthPolicy(
            claude=ClaudeOAuthSettings(
                token_url=world.claude_token_url,
                revoke_url=world.claude_token_url + "/revoke",
                transport=self.transport,
            ),
            codex=CodexOAuthSettings(issuer=world.openai_auth_base),
            copilot=CopilotOAuthSettings(login_base=world.github_base, api_base=world.github_api_base),
        )

    def sign_ins(self, **options: Any) -> SignIns:
        """Another process's view of the same files."""
        return build_sign_ins(
            paths=self.paths,
            policy=self.policy(),
            claude_file=self.claude_file,
            http=self.http,
            notify=self.notices.append,
            clock=self.clock,
            **options,
        )

    def credentials(self, sign_ins: SignIns, *, key: bool = True) -> Credentials:
        return Credentials(
            http=self.http,
            claude_file=self.claude_file,
            claude_base=self.world.claude_base,
            claude_fallback_key=self.world.claude_api_key() if key else Secret(""),
            codex_file=self.codex_file,
            codex_base=self.world.codex_base,
            copilot_file=self.paths.state / "home" / "github_token",
            github_api_base=self.world.github_api_base,
            clock=self.clock,
            refresher=sign_ins.refresher,
        )

    def keeper(self, provider: str = "claude") -> Keeper:
        return self.sign_ins().refresher.keeper(provider)

    def stored(self) -> dict:
        return json.loads(self.claude_file.read_text())["claudeAiOauth"]

    def refreshes(self, provider: str = "claude") -> int:
        return len(self.world.of(provider, "token"))

    def approve(self, url: str, *, state: str | None = None) -> tuple[str, str]:
        """Play the person in the browser: the code and state that the page gives."""
        query = parse_qs(urlsplit(url).query)
        assert query["code_challenge_method"] == ["S256"]
        return self.world.tokens.issue_code(query["code_challenge"][0]), state or query["state"][0]


@asynccontextmanager
async def running_desk(
    folder: Path, *faults: Fault, seed: bool = True, clock: Clock | None = None
) -> AsyncIterator[Desk]:
    clock = clock or FakeClock()
    async with ModelWorld(faults=FaultPlan.of(faults), clock=clock) as world, HttpPool() as http:
        desk = Desk(world, http, Paths(folder / "state", folder / "run"), clock)
        if seed:
            world.seed_credentials(claude=desk.claude_file, codex=desk.codex_file)
        yield desk


@pytest.fixture
def desk():
    """Entered in the test's own body: ``async with desk(tmp_path) as d``."""
    return running_desk
