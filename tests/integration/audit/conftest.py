"""An installation in which nothing is open, for each test anew."""

from __future__ import annotations

import pytest
from audit_house import furnish, healthy

from gateway.audit.facts import Facts
from shared.config.paths import Paths


@pytest.fixture
def paths(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Paths:
    folder = tmp_path_factory.mktemp("a")
    monkeypatch.setenv("HOME", str(folder / "home"))
    (folder / "home").mkdir()
    paths = Paths(state=folder / "s", runtime=folder / "r")
    furnish(paths, folder)
    return paths


@pytest.fixture
def facts(paths: Paths) -> Facts:
    return healthy(paths, paths.state.parent)
