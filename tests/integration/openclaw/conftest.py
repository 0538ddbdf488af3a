"""Folders of one installation."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

import pytest

from shared.config.paths import Paths


@pytest.fixture
def paths(tmp_path):
    runtime = Path("/tmp") / f"oc-{secrets.token_hex(4)}"
    runtime.mkdir(mode=0o700)
    yield Paths(state=tmp_path, runtime=runtime)
    shutil.rmtree(runtime)
