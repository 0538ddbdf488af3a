import pytest

from shared.channels.discord import addresses


@pytest.fixture(autouse=True)
def _real_addresses_afterwards():
    yield
    addresses.use_addresses()
