"""What is mended is backed up, looked at again, and taken back where it did not help; a fallen score is told once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from gateway.audit.chain import Chain
from gateway.audit.control import drop_notice
from gateway.audit.facts import Facts
from gateway.audit.fixes import apply, plan, steps_for
from gateway.audit.legacy import OLD_CHECKS, legacy_score, report
from gateway.audit.service import judge, read_runs
from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.config.tomlwrite import overlay_file

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def results(**by_id: str):
    return lambda _paths: {
        "findings": [{"id": id_.replace("_", "-"), "result": result} for id_, result in by_id.items()]
    }


def all_modes(root: Path) -> dict[Path, int]:
    return {place: place.lstat().st_mode for place in root.rglob("*") if "audit" not in place.parts}


async def test_planning_changes_nothing_and_names_only_what_is_safe(facts: Facts) -> None:
    facts.paths.gateway_db.chmod(0o644)
    before = all_modes(facts.paths.state)
    steps = await plan(facts.paths)
    assert all_modes(facts.paths.state) == before
    named = {step.check for step in steps}
    assert "AUD-SEC-002" in named
    assert "AUD-TEN-001" not in named, "a person's work"


def test_a_step_that_helps_stays_and_doing_it_again_is_nothing(facts: Facts) -> None:
    facts.paths.gateway_db.chmod(0o666)
    done = apply(facts.paths, list(steps_for("AUD-SEC-002", facts)), results(AUD_SEC_002="pass"))
    assert [step.outcome for step in done] == ["mended"]
    assert facts.paths.gateway_db.stat().st_mode & 0o777 == 0o600
    assert list(steps_for("AUD-SEC-002", facts)) == []
    row = Chain(facts.paths).newest("audit.fixed")
    assert row["subject"] == "AUD-SEC-002"
    kept = next(facts.paths.audit_backup("x").parent.iterdir())
    assert kept.stat().st_mode & 0o777 == 0o700
    assert "666" in (kept / "modes.txt").read_text()


def test_what_did_not_help_is_taken_back(facts: Facts) -> None:
    file = operator_file("openclaw", facts.paths)
    overlay_file(file, {"auth": {"lockout_s": 1}, "port": 1234})
    before = file.read_text()
    steps = list(steps_for("AUD-NET-010", facts))
    assert len(steps) == 1
    done = apply(facts.paths, steps, results(AUD_NET_010="fail"))
    assert [step.outcome for step in done] == ["rolled back"]
    assert file.read_text() == before


def test_a_loosened_policy_value_goes_back_to_the_shipped_one(facts: Facts) -> None:
    file = operator_file("openclaw", facts.paths)
    overlay_file(file, {"discord": {"dm_policy": "open", "streaming": True}})
    done = apply(facts.paths, list(steps_for("AUD-CHN-002", facts)), results(AUD_CHN_002="pass"))
    assert [step.outcome for step in done] == ["mended"]
    assert "dm_policy" not in file.read_text()
    assert "streaming" in file.read_text()


def test_a_forbidden_key_is_renamed_and_never_shown(facts: Facts) -> None:
    file = facts.paths.env_file
    file.write_text("A=1\nANTHROPIC_API_KEY=sk-ant-verysecret1234\n")
    done = apply(facts.paths, list(steps_for("AUD-SEC-001", facts)), results(AUD_SEC_001="pass"))
    assert file.read_text() == "A=1\nANTHROPIC_API_KEY_FALLBACK=sk-ant-verysecret1234\n"
    assert "verysecret" not in str([step.as_json() for step in done])
    copies = [place for place in facts.paths.audit_backup("x").parent.rglob("*") if place.is_file()]
    assert all("verysecret" not in place.read_text() for place in copies)


def test_links_are_not_followed(facts: Facts, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("x")
    target.chmod(0o666)
    (facts.paths.tenant("openclaw") / "link").symlink_to(target)
    assert list(steps_for("AUD-OPS-009", facts)) == []


def test_a_folder_exchanged_for_a_link_after_the_plan_leads_nowhere(facts: Facts, tmp_path: Path) -> None:
    outside = tmp_path / "etc/.env"
    outside.parent.mkdir()
    outside.write_text("SECRET=1")
    outside.chmod(0o600)
    folder = facts.paths.tenant("nanoclaw") / "groups/g/a"
    folder.mkdir(parents=True)
    (folder / ".env").write_text("x")
    (folder / ".env").chmod(0o4777)
    (step,) = steps_for("AUD-OPS-009", facts)
    assert step.what == f"chmod 775 {folder / '.env'}", "what runs as its owner is not carried along"
    folder.rename(folder.parent / "was")
    folder.symlink_to(outside.parent)
    done = apply(facts.paths, [step], results(AUD_OPS_009="fail"))
    assert [step.outcome for step in done] == ["failed"]
    assert outside.stat().st_mode & 0o7777 == 0o600

    folder.unlink()
    folder.mkdir()
    (folder / ".env").write_text("another")
    (folder / ".env").chmod(0o640)
    assert [step.outcome for step in apply(facts.paths, [step], results(AUD_OPS_009="fail"))] == ["failed"]
    assert (folder / ".env").stat().st_mode & 0o7777 == 0o640


def test_taking_back_goes_to_the_file_that_was_changed_and_to_no_other(facts: Facts, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("x")
    outside.chmod(0o600)
    place = facts.paths.tenant("nanoclaw") / "policy.toml"
    place.write_text("an agent's")
    place.chmod(0o4666)

    def exchanged(_paths: Paths) -> dict:
        place.unlink()
        place.symlink_to(outside)
        return {"findings": [{"id": "AUD-OPS-009", "result": "fail"}]}

    apply(facts.paths, list(steps_for("AUD-OPS-009", facts)), exchanged)
    assert outside.stat().st_mode & 0o7777 == 0o600
    assert outside.read_text() == "x"


def test_a_file_with_a_second_name_is_a_person_s_to_decide(facts: Facts, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("x")
    outside.chmod(0o666)
    (facts.paths.tenant("nanoclaw") / "second").hardlink_to(outside)
    assert list(steps_for("AUD-OPS-009", facts)) == []


def shown(score: int | None, *open_: str) -> dict:
    findings = [{"id": id_, "title": "t", "result": "fail", "waiver": None} for id_ in open_]
    return {"score": score, "findings": findings}


def test_a_fallen_score_is_told_once_a_day_and_names_what_is_open() -> None:
    assert drop_notice(None, shown(39), NOW, "") is None, "nobody looked before"
    assert drop_notice(79, shown(100), NOW, "") is None
    assert drop_notice(100, shown(100), NOW, "") is None
    notice = drop_notice(100, shown(79, "AUD-SEC-002"), NOW, "")
    assert notice is not None
    assert "100 before, now 79" in notice.text
    assert "AUD-SEC-002" in notice.text
    assert notice.key == drop_notice(79, shown(39), NOW, "").key, "one a day"
    assert "incomplete" in drop_notice(100, shown(None), NOW, "").text


async def test_runs_remember_since_when_and_the_worst_of_a_day(facts: Facts) -> None:
    paths: Paths = facts.paths
    first = await judge(facts, read_runs(paths), keep=True)
    assert (first.report.score, first.worst, first.before) == (100, 100, None)
    facts.paths.gateway_db.chmod(0o640)
    second = await judge(facts, read_runs(paths), keep=True)
    opened = next(row for row in second.report.findings if row.is_open)
    assert (second.report.score, second.before, opened.since) == (79, 100, facts.now)
    facts.paths.gateway_db.chmod(0o600)
    third = await judge(facts, read_runs(paths), keep=True)
    assert (third.report.score, third.worst) == (100, 79), "the worst of the last day is shown beside it"
    assert first.as_json()["findings"] == third.as_json()["findings"], "the same state gives the same report"


async def test_the_old_report_s_grammar_and_number(facts: Facts) -> None:
    audit = (await judge(facts, ())).as_json()
    lines = list(report(audit))
    assert len([line for line in lines if line.startswith("✅ PASS  [")]) == 73
    assert "📊 Security Score: 100/100" in lines
    assert legacy_score(audit) == (71, 10, len(OLD_CHECKS))
    facts.paths.gateway_db.chmod(0o640)
    audit = (await judge(facts, ())).as_json()
    assert any(line.startswith("🟠 HIGH  [") and "AUD-SEC-002" in line for line in report(audit))
    assert legacy_score(audit) == (64, 9, 14)
