"""What the image is made of decides its name."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from gateway.workers.image import arm64
from gateway.workers.image.build import content_hash, managed_files


def test_the_same_inputs_have_the_same_name_and_any_change_another() -> None:
    managed = managed_files()
    name = content_hash("FROM x", "x86_64", managed)
    assert content_hash("FROM x", "x86_64", dict(reversed(managed.items()))) == name
    changed = {
        content_hash("FROM y", "x86_64", managed),
        content_hash("FROM x", "aarch64", managed),
        content_hash("FROM x", "x86_64", managed | {"managed/skills/new/SKILL.md": b"x"}),
        content_hash("FROM x", "x86_64", {path: data + b" " for path, data in managed.items()}),
    }
    assert name not in changed
    assert len(changed) == 4


def test_settings_and_skills_of_the_image_are_well_formed() -> None:
    managed = managed_files()
    settings = json.loads(managed["managed/settings.json"])
    assert settings["env"]["DISABLE_TELEMETRY"] == settings["env"]["DISABLE_AUTOUPDATER"] == "1"
    skills = {path: data.decode() for path, data in managed.items() if path.startswith("managed/skills/")}
    assert skills
    for path, text in skills.items():
        folder = path.split("/")[2]
        assert path.endswith("/SKILL.md")
        assert text.startswith(f"---\nname: {folder}\ndescription: ")


@pytest.mark.parametrize(
    ("code", "said", "ok"),
    [
        (0, f"Would install 2 packages\n + anyio==4.0\n + claude-agent-sdk=={arm64.sdk_version()}\n", True),
        (0, "Would install 1 package\n + anyio==4.0\n", False),
        (1, "has no wheels with a matching platform tag", False),
    ],
)
def test_a_wheel_that_does_not_exist_for_arm_is_noticed(monkeypatch, code, said, ok) -> None:
    monkeypatch.setattr(
        subprocess, "run", lambda words, **_: subprocess.CompletedProcess(words, code, stdout="", stderr=said)
    )
    check = arm64.check_wheels(Path("requirements/runtime.txt"))
    assert check.ok is ok
    assert check.detail
