"""The real command line, where it is to be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.workers.image.cli_file import local_cli
from shared.errors import GatewayError
from tests.support.missing import missing


@pytest.fixture(scope="module")
def cli() -> Path:
    try:
        return local_cli()
    except GatewayError as error:
        missing(f"the Claude command line is not here: {error.detail}")
