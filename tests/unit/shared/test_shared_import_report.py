"""How an import's report reaches a person or a program, whichever command made it."""

from __future__ import annotations

import json

import pytest

from shared.cli import print_import
from shared.importing import Item, Report

ITEMS = (Item("group", "den", "maps"), Item("setting", "TOKEN", "refused", "not a name"))


def test_a_person_reads_lines_counts_and_that_nothing_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_import(Report(ITEMS, dry_run=True), as_json=False) == 1
    head, first, second, counts, hint = capsys.readouterr().out.splitlines()
    assert head.split() == ["OUTCOME", "WHAT", "NAME", "NOTE"]
    assert (first.split()[:3], second.split()[:3]) == (["MAPS", "group", "den"], ["REFUSED", "setting", "TOKEN"])
    assert counts == "1 maps, 1 refused"
    assert "without --dry-run" in hint


def test_a_program_reads_the_same_as_json_and_success_is_exit_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_import(Report(ITEMS[:1]), as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"dry_run": False, "items": [{"kind": "group", "name": "den", "outcome": "maps", "note": ""}]}
