"""Folders of one installation."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from shared.config.paths import Paths


@pytest.fixture
def paths(tmp_path):
    runtime = Path("/tmp") / f"oc-{secrets.token_hex(4)}"
    runtime.mkdir(mode=0o700)
    yield Paths(state=tmp_path, runtime=runtime)
    for left in runtime.iterdir():
        left.unlink()
    runtime.rmdir()
