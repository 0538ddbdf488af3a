"""What a test needs and this machine has not: a reason to skip for a developer, a failure in CI."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

from shared.config.process import environment


def missing(reason: str) -> NoReturn:
    """End the test here: skipped with a reason, or failed with ``CI=true``."""
    if environment("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def require_root(what: str) -> None:
    """Go on as root only; `what` is what nobody else can do."""
    if os.geteuid() != 0:
        missing(f"only root can {what}")
