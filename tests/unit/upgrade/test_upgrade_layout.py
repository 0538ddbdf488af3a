"""Where versions lie side by side, and what cannot be upgraded to."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gateway.cli.main import cli
from gateway.upgrade import layout
from gateway.upgrade.layout import lasting_prefix, link_beside, switch
from gateway.upgrade.swap import prepare
from shared.cli import guarded
from shared.errors import Conflict, Invalid


def test_service_files_name_the_link_when_it_leads_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = tmp_path / "0.1.0", tmp_path / "0.2.0"
    one.mkdir()
    two.mkdir()
    monkeypatch.setattr(sys, "prefix", str(one))
    assert lasting_prefix() == one
    link = link_beside(layout.environment_in_use())
    switch(link, one)
    assert lasting_prefix() == link
    switch(link, two)
    assert (link.resolve(), lasting_prefix()) == (two, one)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.1.0", "0.2.0", "current"]


def test_what_is_no_version_of_ours_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "here"))
    other = tmp_path / "other-1.0-py3-none-any.whl"
    other.write_bytes(b"")
    for source in (other, tmp_path):
        with pytest.raises(Invalid):
            prepare(source, lambda _line: None)
    there = tmp_path / "clawgate-0.9.0-py3-none-any.whl"
    there.write_bytes(b"")
    (tmp_path / "0.9.0").mkdir()
    with pytest.raises(Conflict, match="already"):
        prepare(there, lambda _line: None)


def test_the_environment_in_use_is_no_upgrade(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["upgrade", "run", "--to", sys.prefix, "--state", str(tmp_path)]
    assert guarded(lambda: cli(words, standalone_mode=False), prog="clawgate") != 0
    assert "in use" in capsys.readouterr().err
