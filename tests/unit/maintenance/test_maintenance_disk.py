"""The disk is watched, and the owner is told once a week for as long as it is full."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.maintenance.disk import DiskUse, decide_disk_notice, look

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_what_the_file_system_says(tmp_path):
    use = look(tmp_path)
    assert 0 < use.free <= use.total
    assert 0 <= use.percent <= 100


def test_below_the_limit_nobody_is_told():
    assert decide_disk_notice(DiskUse(Path("/x"), 100, 26), 75, NOW) is None


def test_above_it_the_owner_is_told_with_what_to_do_once_a_week():
    full = DiskUse(Path("/x"), 45_000_000_000, 9_000_000_000)
    notice = decide_disk_notice(full, 75, NOW, state_option=" --state /x")
    assert notice is not None
    assert "80 % full" in notice.text
    assert "9.0 of 45.0 GB" in notice.text
    assert "`clawgate maintenance run docker.prune --state /x`" in notice.text
    keys = {decide_disk_notice(full, 75, NOW + timedelta(days=day)).key for day in range(8)}
    assert len(keys) == 2
