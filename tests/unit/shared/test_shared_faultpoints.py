"""Fault points: nothing unless armed, only in a sandbox, and then a death that nothing survives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from shared.config.paths import Paths
from shared.lifecycle import faultpoints

SCRIPT = """
import sys
from shared.config.paths import Paths
from shared.lifecycle.faultpoints import arm, fault_point
arm(Paths.resolve())
for name in sys.argv[1:]:
    fault_point(name)
print("alive", flush=True)
"""


def run(folder: Path, *names: str, file: Path | None, sandbox: bool = True) -> subprocess.CompletedProcess[str]:
    state = folder / "state"
    state.mkdir(exist_ok=True)
    if sandbox:
        Paths.resolve(state).sandbox_marker.touch()
    environment = {"PATH": os.environ["PATH"], "CLAWGATE_STATE": str(state)}
    if file is not None:
        environment[faultpoints.VARIABLE] = str(file)
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, *names], env=environment, capture_output=True, text=True, check=False
    )


def test_an_unarmed_process_passes_every_place(tmp_path: Path) -> None:
    assert run(tmp_path, *faultpoints.POINTS, file=None).stdout == "alive\n"


def test_an_armed_process_dies_at_the_named_place_only_and_the_next_one_lives(tmp_path: Path) -> None:
    file = tmp_path / "die-at"
    file.write_text("run.claimed\n")
    assert run(tmp_path, "inbox.stored", "outbox.stored", file=file).stdout == "alive\n"
    died = run(tmp_path, "inbox.stored", "run.claimed", file=file)
    assert (died.returncode, died.stdout) == (-signal.SIGKILL, "")
    assert not file.exists()
    assert run(tmp_path, "run.claimed", file=file).stdout == "alive\n"


def test_a_place_can_be_passed_a_number_of_times_first(tmp_path: Path) -> None:
    file = tmp_path / "die-at"
    file.write_text("run.tool_done 3")
    assert run(tmp_path, "run.tool_done", "run.tool_done", file=file).returncode == 0
    assert run(tmp_path, "run.tool_done", "run.tool_done", "run.tool_done", file=file).returncode == -signal.SIGKILL


def test_outside_a_sandbox_an_armed_process_refuses_to_start_with_the_reason(tmp_path: Path) -> None:
    refused = run(tmp_path, "run.claimed", file=tmp_path / "die-at", sandbox=False)
    assert refused.returncode == 1
    assert faultpoints.VARIABLE in refused.stderr
    assert "not a sandbox" in refused.stderr


def test_a_place_that_nobody_listed_is_noticed_when_armed(tmp_path: Path) -> None:
    assert "not in POINTS" in run(tmp_path, "no.such.place", file=tmp_path / "die-at").stderr
