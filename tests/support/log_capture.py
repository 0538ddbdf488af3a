"""Hearing what a module logs, whatever level and processors an earlier test has set."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import structlog


def heard_from(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The entries a module's logger makes from now on, to the end of the test."""
    capture = structlog.testing.LogCapture()
    everything = structlog.make_filtering_bound_logger(0)
    logger = structlog.wrap_logger(structlog.PrintLogger(), processors=[capture], wrapper_class=everything)
    monkeypatch.setattr(module, "_log", logger)
    return capture.entries
