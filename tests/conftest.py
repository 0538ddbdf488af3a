"""For every test: no property fails for being slow, and no test inherits where another one's Discord was."""

import sys

import pytest
from hypothesis import settings

settings.register_profile("house", deadline=None)  # a busy machine says nothing about the property
settings.load_profile("house")


@pytest.fixture(autouse=True)
def _real_addresses_afterwards():
    yield
    addresses = sys.modules.get("shared.channels.discord.addresses")  # importing discord.py takes half a second
    if addresses is not None:
        addresses.use_addresses()
