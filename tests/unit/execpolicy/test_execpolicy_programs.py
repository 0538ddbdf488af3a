"""Programs are taken from trusted directories only, through every link."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from openclaw.cli import cli
from shared.errors import Invalid
from shared.execpolicy.decide import decide_exec
from shared.execpolicy.grants import Hole, decide_with_grants, make_grant
from shared.execpolicy.models import ExecRequest, Finding, argv_digest
from shared.execpolicy.policy import ExecPolicy, ProgramProfile
from shared.execpolicy.resolve import Program, check_program, find_program

POLICY = ExecPolicy(profiles={"curl": ProgramProfile(denied_flags=("-o",))})
URL = "https://www.example.org/"


def program(path: Path, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/true\n")
    path.chmod(mode)
    return path


def rule_of(found: Program | Finding) -> str:
    return found.rule if isinstance(found, Finding) else ""


@pytest.fixture
def trusted(tmp_path: Path) -> Path:
    for folder in (tmp_path, *list(tmp_path.parents)[:-2]):
        folder.chmod(folder.stat().st_mode & ~0o022)
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


def test_a_program_is_found_in_a_trusted_directory_only(trusted: Path, tmp_path: Path) -> None:
    found = find_program("tool", [str(trusted)])
    assert rule_of(found) == "program-missing"
    program(trusted / "tool")
    found = find_program("tool", [str(trusted)])
    assert isinstance(found, Program)
    assert found.path == trusted / "tool"


def test_53_a_link_out_of_a_trusted_directory_is_refused(trusted: Path, tmp_path: Path) -> None:
    (trusted / "tool").symlink_to(program(tmp_path / "elsewhere" / "tool"))
    assert rule_of(find_program("tool", [str(trusted)])) == "program-untrusted"
    (trusted / "tool").unlink()
    (trusted / "tool").symlink_to(tmp_path / "nowhere")
    assert rule_of(find_program("tool", [str(trusted)])) == "program-untrusted"


def test_a_bad_program_of_the_name_in_any_trusted_directory_is_enough(trusted: Path, tmp_path: Path) -> None:
    program(trusted / "tool")
    other = tmp_path / "bin2"
    other.mkdir()
    (other / "tool").symlink_to(program(tmp_path / "elsewhere" / "tool"))
    assert rule_of(find_program("tool", [str(trusted), str(other)])) == "program-untrusted"


def test_what_others_can_change_is_not_trusted(trusted: Path) -> None:
    program(trusted / "tool", mode=0o775)
    assert rule_of(find_program("tool", [str(trusted)])) == "program-untrusted"
    (trusted / "tool").chmod(0o755)
    trusted.chmod(0o777)
    assert rule_of(find_program("tool", [str(trusted)])) == "program-untrusted"
    trusted.chmod(0o755)
    (trusted / "tool").chmod(0o644)
    assert rule_of(find_program("tool", [str(trusted)])) == "program-untrusted"


def test_17_a_path_that_puts_another_program_first_is_refused(tmp_path: Path) -> None:
    request = ExecRequest(f"curl {URL}", path=f"{tmp_path}:/usr/bin")
    assert check_program(decide_exec(request, POLICY), request, POLICY).verdict == "allow"
    program(tmp_path / "curl")
    assert check_program(decide_exec(request, POLICY), request, POLICY).rule == "program-path"
    request = ExecRequest(f"curl {URL}", path=":/usr/bin")
    assert check_program(decide_exec(request, POLICY), request, POLICY).verdict == "deny"


def test_a_grant_covers_one_argument_list_and_never_a_refusal() -> None:
    request = ExecRequest(f"curl -k {URL}a", cwd="/w")
    grant = make_grant(request)
    assert decide_with_grants(request, POLICY, [grant]).verdict == "allow"
    assert decide_with_grants(ExecRequest(f"curl -k {URL}b", cwd="/w"), POLICY, [grant]).verdict == "ask"
    assert decide_with_grants(ExecRequest(f"curl -k {URL}a", cwd="/x"), POLICY, [grant]).verdict == "ask"
    denied = ExecRequest(f"curl -o f {URL}", cwd="/w")
    assert decide_with_grants(denied, POLICY, [make_grant(denied)]).verdict == "deny"
    with_env = ExecRequest(f"curl -k {URL}a", {"FOO": "1"}, "/w")
    assert decide_with_grants(with_env, POLICY, [grant]).verdict == "ask"


def test_51_a_grant_for_node_is_the_exact_program() -> None:
    request = ExecRequest("node -e 'console.log(1)'")
    grant = make_grant(request)
    assert decide_with_grants(request, POLICY, [grant]).verdict == "allow"
    assert decide_with_grants(ExecRequest("node -e 'console.log(2)'"), POLICY, [grant]).verdict == "ask"
    with pytest.raises(Invalid, match="word for word"):
        make_grant(request, [(2, Hole(name="program"))])


def test_a_hole_changes_a_value_and_nothing_else() -> None:
    request = ExecRequest(f"curl -k {URL}items/1")
    grant = make_grant(request, [(2, Hole(name="item", prefix=f"{URL}items/"))])
    assert decide_with_grants(ExecRequest(f"curl -k {URL}items/22"), POLICY, [grant]).verdict == "allow"
    assert decide_with_grants(ExecRequest(f"curl -k {URL}other"), POLICY, [grant]).verdict == "ask"
    assert decide_with_grants(ExecRequest(f"curl -k '{URL}items/[1-9]'"), POLICY, [grant]).verdict == "ask"
    for position, hole in (
        (1, Hole(name="x")),
        (0, Hole(name="x")),
        (2, Hole(name="x", prefix="https://www.example.org")),
    ):
        with pytest.raises(Invalid):
            make_grant(request, [(position, hole)])


def test_an_approval_is_bound_to_everything_that_matters() -> None:
    base = {"program": "/usr/bin/curl", "cwd": "/w", "env": {"LANG": "C"}}
    digest = argv_digest(("curl", URL), **base)
    assert digest == argv_digest(("curl", URL), **base)
    for changed in (
        argv_digest(("curl", URL + " "), **base),
        argv_digest(("curl", URL), **{**base, "cwd": "/v"}),
        argv_digest(("curl", URL), **{**base, "env": {"LANG": "D"}}),
        argv_digest(("curl", URL), **{**base, "program": "/usr/local/bin/curl"}),
    ):
        assert changed != digest


def test_the_command_explains_one_and_many(tmp_path: Path) -> None:
    state = ["--state", str(tmp_path / "none")]
    shown = CliRunner().invoke(cli, ["exec", "explain", f"curl -o f {URL}", *state], standalone_mode=False)
    assert shown.output.startswith("DENY")
    lines = [
        json.dumps({"id": 1, "command": f"curl {URL}"}),
        json.dumps({"id": "b", "command": f"curl -o f {URL}", "allowlist": ["/usr/bin/curl", "*"]}),
        json.dumps({"id": 3, "command": f"curl {URL}", "env": {"HOME": "/tmp"}}),
        json.dumps({"id": 4, "command": 7}),
        "not json",
    ]
    done = CliRunner().invoke(
        cli, ["exec", "explain", "--batch", *state], input="\n".join(lines), standalone_mode=False
    )
    answers = [json.loads(line) for line in done.output.splitlines()]
    assert [(a["id"], a["decision"]) for a in answers] == [
        (1, "allow"), ("b", "deny"), (3, "deny"), (4, "deny"), (None, "deny"),
    ]  # fmt: skip
    assert all(set(answer) == {"id", "decision", "reason", "rule"} for answer in answers)
    assert not (tmp_path / "none").exists()
