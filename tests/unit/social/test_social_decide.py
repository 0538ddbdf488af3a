"""Quiet hours on a person's clock: over midnight, and in the nights when the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gateway.social.decide import quiet_until
from gateway.social.policy import PostingRule

SPRING, AUTUMN = datetime(2026, 3, 28, 20, tzinfo=UTC), datetime(2026, 10, 24, 20, tzinfo=UTC)


def rule(begin: str, end: str) -> PostingRule:
    return PostingRule.model_validate({"quiet_from": begin, "quiet_until": end, "timezone": "Europe/Berlin"})


@pytest.mark.parametrize(
    ("moment", "until"),
    [
        ((1, 20, 59), None),
        ((1, 21, 0), (2, 6, 0)),
        ((1, 23, 30), (2, 6, 0)),
        ((2, 5, 59), (2, 6, 0)),
        ((2, 6, 0), None),
    ],
)
def test_over_midnight(moment: tuple[int, int, int], until: tuple[int, int, int] | None) -> None:
    """22 to 7 o'clock in Berlin, which is an hour ahead in winter."""
    found = quiet_until(rule("22:00", "07:00"), datetime(2026, 1, *moment, tzinfo=UTC))
    assert (found and found.astimezone(UTC)) == (until and datetime(2026, 1, *until, tzinfo=UTC))


@pytest.mark.parametrize("night", [SPRING, AUTUMN])
@pytest.mark.parametrize(
    ("begin", "end"), [("22:00", "07:00"), ("22:00", "02:30"), ("02:15", "02:45"), ("02:30", "22:30")]
)
def test_when_the_clocks_change_the_end_always_lies_ahead_and_is_one(night: datetime, begin: str, end: str) -> None:
    quiet = rule(begin, end)
    for minute in range(14 * 60):
        now = night + timedelta(minutes=minute)
        if (until := quiet_until(quiet, now)) is not None:
            until = until.astimezone(UTC)
            assert until > now, now
            # The hour that comes twice may be quiet twice; else it is over then.
            again = quiet_until(quiet, until)
            assert again is None or again.astimezone(UTC) - until <= timedelta(minutes=60)


def test_the_length_of_the_night_follows_the_clock() -> None:
    quiet = rule("22:00", "07:00")
    lengths = {}
    for night in (SPRING, AUTUMN):
        begin = next(
            night + timedelta(minutes=m) for m in range(600) if quiet_until(quiet, night + timedelta(minutes=m))
        )
        until = quiet_until(quiet, begin)
        assert until is not None
        lengths[night] = until.astimezone(UTC) - begin
    assert lengths == {SPRING: timedelta(hours=8), AUTUMN: timedelta(hours=10)}
