"""What a test needs and this machine has not: a reason to skip for a developer, a failure in CI."""

from __future__ import annotations

from typing import NoReturn

import pytest

from shared.config.process import environment


def missing(reason: str) -> NoReturn:
    """End the test here: skipped with a reason, or failed with ``CI=true``."""
    if environment("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
