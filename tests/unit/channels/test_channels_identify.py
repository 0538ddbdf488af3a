from shared.channels.discord.identify import IdentifyBudget
from shared.clock import FakeClock


def identify_as_fast_as_allowed(budget, clock, seconds):
    begin = clock.monotonic()
    while clock.monotonic() - begin < seconds:
        clock.advance(budget.wait_s())
        budget.spend()
        clock.advance(0.1)
    return budget.total


def test_the_first_identify_is_free_and_the_second_five_seconds_later():
    clock = FakeClock()
    budget = IdentifyBudget(clock)
    assert budget.wait_s() == 0
    budget.spend()
    assert budget.wait_s() == 5
    clock.advance(5)
    assert budget.wait_s() == 0


def test_after_five_they_are_a_minute_apart():
    clock = FakeClock()
    budget = IdentifyBudget(clock)
    for _ in range(5):
        clock.advance(budget.wait_s())
        budget.spend()
    assert budget.wait_s() == 60


def test_calm_forgives():
    clock = FakeClock()
    budget = IdentifyBudget(clock)
    identify_as_fast_as_allowed(budget, clock, 30)
    clock.advance(700)
    assert budget.wait_s() == 0


def test_a_crash_loop_stays_far_below_a_days_allowance():
    clock = FakeClock()
    assert identify_as_fast_as_allowed(IdentifyBudget(clock), clock, 24 * 3600) < 800
