import asyncio

import pytest

from gateway.modelproxy.call import Call
from gateway.modelproxy.exchange import Exchange
from gateway.modelproxy.identity import ModelIdentity
from gateway.modelproxy.in_flight import InFlight, InFlightLimits
from shared.clock import SYSTEM_CLOCK
from shared.errors import Invalid, RateLimited

ONE = ModelIdentity("nanoclaw", "family", "w1", frozenset())
OTHER = ModelIdentity("nanoclaw", "family", "w2", frozenset())


def test_one_callers_calls_do_not_count_as_anothers() -> None:
    in_flight = InFlight(InFlightLimits(worker_calls=1))
    with (
        in_flight.call(ONE),
        in_flight.call(OTHER),
        pytest.raises(RateLimited, match="under way"),
        in_flight.call(ONE),
    ):
        pass
    with in_flight.call(ONE):
        pass


def test_bytes_are_held_until_their_call_ends_and_all_callers_share_the_total() -> None:
    in_flight = InFlight(InFlightLimits(bytes=100, total_bytes=150))
    with in_flight.call(OTHER) as other:
        other.take(90)
        with in_flight.call(ONE) as room:
            room.take(60)
            with pytest.raises(RateLimited, match="more may not be held"):
                room.take(1)
        with in_flight.call(ONE) as again:
            again.take(60)
    with in_flight.call(ONE) as room, pytest.raises(RateLimited):
        room.take(101)


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async def receive() -> dict:
        await asyncio.Event().wait()
        return {}

    async def send(_message: object) -> None:
        return None

    exchange = Exchange(Call(ONE, "messages", 0.0), receive, send, SYSTEM_CLOCK)
    with InFlight().call(ONE) as room, pytest.raises(Invalid) as caught:
        await exchange.read_body(100, (), room, timeout_s=0.001)
    assert caught.value.code == "model.body_late"
