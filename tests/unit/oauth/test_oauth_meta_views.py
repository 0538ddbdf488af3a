"""Views: the originals' formats, real accounts and times, and no secret."""

from __future__ import annotations

import json
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.credentials.views import HELD, auth_profiles, meta_state, real_secrets, write_views
from shared.clock import FakeClock, unix_ms
from shared.config.paths import Paths
from shared.oauth.models import Token
from shared.secrets.files import Secret

CLOCK = FakeClock()
CODEX = Token(
    access=Secret("canary-access"),
    refresh=Secret("canary-refresh"),
    id_token=Secret("canary-id"),
    expires_at=CLOCK.now() + timedelta(hours=8),
    account="owner@example.org",
    extra={"account_id": "acc-1"},
)
COPILOT = Token(access=Secret("canary-github"), account="octo")
THREADS = Token(
    access=Secret("canary-threads"),
    expires_at=CLOCK.now() + timedelta(days=60),
    account="me",
    scopes=("threads_basic",),
    extra={"user_id": "20000000000000003", "issued_at": "2026-01-01T00:00:00+00:00"},
)
ALL = {"codex": CODEX, "copilot": COPILOT, "threads": THREADS, "instagram": THREADS}


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "state", tmp_path / "run")


def files(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_profiles_have_the_originals_shape() -> None:
    document = auth_profiles(ALL)
    assert document == {
        "version": 1,
        "profiles": {
            "openai-codex:default": {
                "type": "oauth",
                "provider": "openai-codex",
                "access": HELD,
                "refresh": HELD,
                "expires": unix_ms(CLOCK.now()) + 8 * 3_600_000,
                "accountId": "acc-1",
                "email": "owner@example.org",
            },
            "github-copilot:github": {"type": "token", "provider": "github-copilot", "token": HELD},
        },
    }
    assert auth_profiles({}) == {"version": 1, "profiles": {}}


def test_what_is_the_tenants_in_a_profile_file_stays() -> None:
    before = {
        "version": 1,
        "profiles": {
            "openai:x": {"type": "api_key", "provider": "openai", "keyRef": "env"},
            "openai-codex:default": {},
        },
        "order": {"openai-codex": ["openai-codex:default"]},
        "usageStats": {"openai-codex:default": {"errorCount": 2}},
        "lastGood": "nonsense",
    }
    document = auth_profiles({"codex": CODEX}, before)
    assert set(document["profiles"]) == {"openai:x", "openai-codex:default"}
    assert document["usageStats"] == before["usageStats"]
    assert document["order"] == before["order"]
    assert "lastGood" not in document


def test_meta_state_says_whose_and_until_when() -> None:
    state = meta_state(THREADS, last_error="Threads does not answer")
    assert state["access_token"] == HELD
    assert (state["user_id"], state["username"], state["last_refresh_at"]) == ("20000000000000003", "me", None)
    assert state["expires_at"] == "2026-03-02T00:00:00+00:00"
    assert state["last_error"] == "Threads does not answer"
    assert set(state) >= {
        "access_token",
        "user_id",
        "issued_at",
        "expires_at",
        "last_refresh_at",
        "last_error",
        "scopes",
    }


@pytest.mark.parametrize(
    ("tenant", "expected"),
    [
        (
            "openclaw",
            {
                "agents/main/agent/auth-profiles.json",
                "credentials/github-copilot.token.json",
                "threads/token-state.json",
                "threads/instagram-token-state.json",
            },
        ),
        ("nanoclaw", {"data/threads-token-state.json", "data/instagram-token-state.json"}),
    ],
)
def test_views_lie_in_the_policys_places_without_secrets(paths: Paths, tenant: str, expected: set[str]) -> None:
    assert write_views(paths, tenant, ALL, clock=CLOCK) == []
    written = files(paths.tenant(tenant))
    assert set(written) == expected
    for name, text in written.items():
        assert "canary" not in text
        assert HELD in text
        assert real_secrets(json.loads(text)) == []
        assert stat.S_IMODE((paths.tenant(tenant) / name).stat().st_mode) == 0o600
    stamps = {name: (paths.tenant(tenant) / name).stat().st_ino for name in written}
    assert write_views(paths, tenant, ALL, clock=CLOCK) == []
    assert {name: (paths.tenant(tenant) / name).stat().st_ino for name in written} == stamps, "nothing new: no write"


def test_a_file_with_a_sign_in_of_its_own_is_not_overwritten(paths: Paths) -> None:
    place = paths.tenant("openclaw") / "agents/main/agent/auth-profiles.json"
    place.parent.mkdir(parents=True)
    original = json.dumps({"profiles": {"openai-codex:default": {"provider": "openai-codex", "refresh": "only-copy"}}})
    place.write_text(original)
    (problem,) = write_views(paths, "openclaw", ALL, clock=CLOCK)
    assert problem.error.code == "auth.view_holds_secret"
    assert "profiles.openai-codex:default.refresh" in problem.error.detail
    assert "only-copy" not in problem.error.detail
    assert place.read_text() == original
    place.write_text(original.replace("only-copy", "canary-refresh"))
    assert write_views(paths, "openclaw", ALL, clock=CLOCK) == [], "one that we keep may become a view"
    assert "canary" not in place.read_text()


@pytest.mark.parametrize("broken", ["{", "[]", "\x00\xff", "[" * 50_000])
def test_an_unreadable_file_is_left_alone(paths: Paths, broken: str) -> None:
    place = paths.tenant("nanoclaw") / "data/threads-token-state.json"
    place.parent.mkdir(parents=True)
    place.write_text(broken)
    (problem,) = write_views(paths, "nanoclaw", {"threads": THREADS}, clock=CLOCK)
    assert problem.error.code == "auth.view_unreadable"
    assert place.read_text() == broken


def test_a_link_in_the_tenants_folder_leads_nowhere(paths: Paths, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root = paths.tenant("openclaw")
    root.mkdir(parents=True)
    (root / "agents").symlink_to(outside)
    (root / "threads").mkdir()
    (root / "threads" / "token-state.json").symlink_to(outside / "victim")
    (root / "threads" / "instagram-token-state.json").mkdir()
    before = len(list(Path("/proc/self/fd").iterdir()))
    problems = write_views(paths, "openclaw", ALL, clock=CLOCK)
    assert len(problems) == 3
    assert "remove it" in problems[1].error.detail
    assert len(list(Path("/proc/self/fd").iterdir())) == before, "what the tenant puts there costs no descriptor"
    assert files(outside) == {}
    assert not list(root.rglob(".part-*")), "no left-over"
    assert (root / "credentials/github-copilot.token.json").exists(), "the others are written"


def test_a_tenants_folder_may_lie_elsewhere_by_a_link_of_the_operators(paths: Paths, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    root = paths.tenant("nanoclaw")
    root.parent.mkdir(parents=True, exist_ok=True)
    root.symlink_to(tmp_path / "disk")
    assert write_views(paths, "nanoclaw", {"threads": THREADS}, clock=CLOCK) == []
    assert (tmp_path / "disk" / "data" / "threads-token-state.json").exists()
    (tmp_path / "disk").rename(tmp_path / "gone")
    (problem,) = write_views(paths, "nanoclaw", {"threads": THREADS}, clock=CLOCK)
    assert "cannot be written" in problem.error.detail
