"""Signing in from a container that is the tenant's own."""

from __future__ import annotations

import pytest

from openclaw.cli.sign_in import sign_in
from shared.config.process import KEY_SOCKET
from shared.errors import Unavailable


def test_a_tenants_container_says_where_sign_ins_belong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_SOCKET, "/run/t/openclaw/key.sock")
    with pytest.raises(Unavailable, match="docker compose exec gateway clawgate auth login codex"):
        sign_in("codex", None)
