"""Chromium, and the original's built page served by our own gateway in place of ours."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Error, async_playwright

from tests.support.missing import missing
from tests.support.original import Original, require_original

sys.path.insert(0, str(Path(__file__).parents[2] / "integration" / "openclaw"))


# The page is put in place by the test, which makes it foreign to this machine in the eyes of newer Chromium versions.
LAUNCH = ["--no-sandbox", "--disable-gpu", "--disable-features=LocalNetworkAccessChecks"]


@pytest.fixture(scope="session")
def original() -> Original:
    return require_original()


@pytest_asyncio.fixture(loop_scope="session")
async def browser(original):
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    async with async_playwright() as playwright:
        try:
            browser = await playwright.chromium.launch(executable_path=program, args=LAUNCH)
        except Error as error:
            reason = f"no Chromium: {str(error).splitlines()[0]}; install the package chromium"
            missing(reason)
        yield browser
        await browser.close()
