"""What the doctor says about the machine: service files, systemd's age, the kernel."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from gateway.credentials.settings import OAuthPolicy
from gateway.doctor import machine
from gateway.doctor.patient import Patient
from gateway.settings import Settings
from gateway.units.install import apply, installation_of, look
from gateway.units.render import UNIT_FOLDER
from shared.config.paths import Paths
from shared.containment import landlock
from shared.doctor.rows import Row, examine
from shared.oauth.claude import ClaudeOAuthSettings


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    """An installation whose service files are as we wrote them, on a machine with a systemd that is new enough."""
    root = tmp_path / "root"
    paths = Paths(state=Path("/var/lib/clawgate-none"), runtime=Path("/run/clawgate-none"))
    settings = Settings.load(paths)
    installation = installation_of(settings, root)
    list(apply(look(installation, root), installation, root, replace=False))
    return Patient(paths, settings, root=root)


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Sets which systemd this machine has."""

    def is_(version: str) -> None:
        program = tmp_path / "bin" / "systemctl"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\necho "systemd {version} ({version}-1ubuntu1)"\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")

    is_("249")
    return is_


def rows(patient: Patient) -> list[Row]:
    return list(examine(machine.EXAMINATIONS, patient))


def levels(found: Iterable[Row], row_id: str) -> list[str]:
    return [row.level for row in found if row.id == row_id]


def text_of(found: Iterable[Row], row_id: str) -> str:
    return "\n".join(row.told() for row in found if row.id == row_id)


def test_service_files_as_we_wrote_them_are_well(patient: Patient, systemd) -> None:
    found = rows(patient)
    assert (levels(found, "units"), levels(found, "systemd"), levels(found, "units.node")) == (["ok"], ["ok"], [])


def test_a_unit_edited_by_hand_and_one_of_somebody_else_are_named(patient: Patient, systemd) -> None:
    folder = patient.root / UNIT_FOLDER
    edited = folder / "nanoclaw.service"
    edited.write_text(edited.read_text().replace("MemoryMax=1G", "MemoryMax=8G"))
    (folder / "copilot-api.service").write_text("[Service]\nExecStart=/usr/bin/node\n")
    (folder / "openclaw@.service").unlink()
    found = rows(patient)
    assert levels(found, "units") == ["warn"] * 3
    said = text_of(found, "units")
    assert f"{edited} was changed by hand" in said
    assert "copilot-api.service is not ours" in said
    assert "openclaw@.service is not installed" in said
    assert said.count("--replace") == 2, "what is absent needs no force"


def test_a_systemd_that_is_too_old_would_not_start(patient: Patient, systemd) -> None:
    systemd("245")
    found = rows(patient)
    assert levels(found, "systemd") == ["fail"]
    assert "245 is too old: it needs 247" in text_of(found, "systemd")


def test_a_unit_that_lets_no_node_run_contradicts_a_policy_that_wants_it(
    patient: Patient, systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    wants_node = OAuthPolicy(claude=ClaudeOAuthSettings(transport="node"))
    monkeypatch.setattr(OAuthPolicy, "load", lambda _paths: wants_node)
    found = rows(patient)
    assert levels(found, "units.node") == ["fail"]
    assert "install systemd --apply" in text_of(found, "units.node")
    installation = installation_of(patient.settings, patient.root)
    list(apply(look(installation, patient.root), installation, patient.root, replace=False))
    assert levels(rows(patient), "units.node") == []


@pytest.mark.parametrize(("version", "level"), [(0, "warn"), (1, "warn"), (6, "ok")])
def test_a_kernel_without_landlock_contains_less_and_says_what(
    patient: Patient, systemd, monkeypatch: pytest.MonkeyPatch, version: int, level: str
) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: version)
    found = rows(patient)
    assert levels(found, "kernel") == [level]
    if version == 0:
        assert "Landlock is not there" in text_of(found, "kernel")
