"""Our gateway, and the original's command line aimed at it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.original import Original, OriginalCli, require_original

sys.path.insert(0, str(Path(__file__).parents[2] / "integration" / "openclaw"))


@pytest.fixture(scope="session")
def original() -> Original:
    return require_original()


@pytest.fixture
def aimed(original, tmp_path):
    """Makes a command line for a gateway's address and token."""
    return lambda url, token: OriginalCli.aimed_at(original, tmp_path / "home", url, token)
