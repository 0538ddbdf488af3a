"""Signing in from a container that is the tenant's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from openclaw.cli.sign_in import sign_in
from shared.config.process import KEY_SOCKET
from shared.errors import Unavailable


@pytest.mark.parametrize("provider", ["codex", "copilot"])
def test_a_tenants_container_asks_its_running_tenant_and_nobody_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, provider: str
) -> None:
    monkeypatch.setenv(KEY_SOCKET, "/run/t/openclaw/key.sock")
    monkeypatch.setenv("CLAWGATE_RUNTIME", str(tmp_path))
    with pytest.raises(Unavailable, match=r"nothing is running at .*/c/openclaw/ctl"):
        sign_in(provider, tmp_path)
