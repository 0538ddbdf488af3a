"""The documents keep their promises: nothing an operator can set is undocumented, no link leads nowhere."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import gateway.metrics
import nanoclaw.figures
import openclaw.metrics
from gateway.credentials.environment import WRITTEN_BACK
from gateway.egress.policy import SEARCH_KEY, WEBHOOK_KEY
from gateway.maintenance.jobs import GATEWAY_JOBS
from gateway.settings import TENANT_NAMES
from gateway.workers.settings import CONTAINER_SETTINGS
from shared.config.envfile import FORBIDDEN
from shared.maintenance.jobs import TENANT_JOBS

ROOT = Path(__file__).resolve().parent.parent.parent
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")


def documents() -> list[Path]:
    tracked = subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    return [ROOT / name for name in tracked]


def settings_without_meaning() -> Iterator[str]:
    for line in (ROOT / "docs" / "config.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 6 and cells[1].startswith("`") and not cells[4]:
            yield cells[1]


def test_every_setting_says_what_it_means() -> None:
    assert list(settings_without_meaning()) == []


def first_cells(document: str, below: str) -> set[str]:
    """What stands in code in the first column of the table below a line."""
    rows = (ROOT / "docs" / document).read_text().partition(below)[2].partition("\n## ")[0].splitlines()
    return {name for row in rows if row.startswith("| `") for name in re.findall(r"`([^`]+)`", row.split("|")[1])}


def test_every_job_is_in_the_table_of_jobs_and_no_other() -> None:
    assert first_cells("maintenance.md", "| job | who |") == GATEWAY_JOBS | TENANT_JOBS


def test_every_name_that_env_may_set_is_in_its_table() -> None:
    of_meta = {f"{app}_{part}" for app in ("THREADS", "INSTAGRAM") for part in ("APP_ID", "APP_SECRET", "REDIRECT_URI")}
    wanted = {*TENANT_NAMES, *CONTAINER_SETTINGS, *WRITTEN_BACK, *FORBIDDEN, *of_meta, SEARCH_KEY, WEBHOOK_KEY}
    wanted |= {"ANTHROPIC_API_KEY_FALLBACK", "COPILOT_API_KEY", "THREADS_USER_ID"}  # the policy's block has these too
    written = first_cells("config.md", "\n## `.env`")
    assert {name for name in wanted if name not in written and f"OPENCLAW_{name}" not in written} == set()


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    targets = [match[1] for match in LINK.finditer(document.read_text()) if "://" not in match[1]]
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_architecture_names_every_room() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    for package in ("gateway", "nanoclaw", "openclaw", "shared"):
        for folder in (ROOT / package).iterdir():
            if (
                folder.is_dir()
                and (folder / "__init__.py").exists()
                and folder.name not in {"migrations", "testing", "secrets"}
            ):
                assert f"{package}/{folder.name}" in text or f"{package}/{folder.name}/" in text, folder


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs" / "adr").glob("*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def documented_figures() -> dict[str, tuple[str, set[str]]]:
    """Type and labels of every figure in docs/metrics.md."""
    text = (ROOT / "docs" / "metrics.md").read_text()
    rows = re.findall(r"^\| `([a-z_]+)` \| (\w+) \| ([^|]*) \| [^|]{10,} \|$", text, re.MULTILINE)
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def test_every_figure_is_documented_with_its_type_and_labels() -> None:
    every = {**gateway.metrics.CATALOGUE, **nanoclaw.figures.CATALOGUE, **openclaw.metrics.CATALOGUE}
    assert documented_figures() == {name: (figure.kind, set(figure.labels)) for name, figure in every.items()}


def shape(document: str) -> tuple[list[str], list[str], list[str], list[list[str]]]:
    """Levels of its headings, its code blocks, its pictures, and where the rows of its table lead."""
    text = (ROOT / document).read_text()
    blocks = re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    table = [re.findall(r"\]\(([^)]+)\)", line) for line in prose.splitlines() if line.startswith("|")]
    return re.findall(r"^#+(?= )", prose, re.MULTILINE), blocks, re.findall(r"!\[[^]]*\]\(([^)]+)\)", prose), table


def test_the_korean_readme_has_the_same_headings_code_and_pictures_as_the_english_one() -> None:
    assert shape("README.ko.md") == shape("README.md")
    assert "](README.ko.md)" in (ROOT / "README.md").read_text()
    assert "](README.md)" in (ROOT / "README.ko.md").read_text()


def test_every_row_of_the_owners_list_names_tests_that_exist() -> None:
    text = (ROOT / "docs" / "spec.md").read_text()
    rows = re.findall(r"^\| ([NOG]\d+) .+ \| (.+) \| (.+) \| (.+) \|$", text, re.MULTILINE)
    expected = [f"{part}{number}" for part, last in (("N", 20), ("O", 14), ("G", 12)) for number in range(1, last + 1)]
    assert [row[0] for row in rows] == expected
    there = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    assert {name for row in rows for name in re.findall(r"`(test_\w+\.py)`", row[3])} - there == set()


def test_every_command_of_openclaw_is_explained() -> None:
    listed = re.findall(r"^#+ `?openclaw ([a-z -]+)`?$", (ROOT / "docs" / "cli.md").read_text(), re.MULTILINE)
    leaves = [name for name in listed if not any(other.startswith(f"{name} ") for other in listed)]
    text = (ROOT / "docs" / "openclaw-cli.md").read_text()
    missing = [name for name in leaves if f"`{name}`" not in text and f"`{name} " not in text]
    assert missing == [], "add them to the table of docs/openclaw-cli.md"
    assert len(leaves) > 40


def rooms() -> list[list[str]]:
    """The rows of ARCHITECTURE.md's table of folders, cell by cell."""
    table = (ROOT / "ARCHITECTURE.md").read_text().partition("## Rooms")[2].partition("\n\nImports:")[0]
    return [line.strip("|").split("|") for line in table.strip().splitlines()[2:]]


def test_every_folder_with_three_modules_is_a_room_of_the_architecture() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "gateway", "nanoclaw", "openclaw", "shared"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    modules = [Path(name) for name in tracked if name.endswith(".py") and not name.endswith("__init__.py")]
    sizes = Counter(str(path.parent) for path in modules if "migrations" not in str(path))
    rows = rooms()
    linked = {name for row in rows for name in re.findall(r"\]\(([^)]+)\)", f"{row[0]}{row[1]}")}
    assert {folder for folder, count in sizes.items() if count >= 3} - linked == set(), "add them to ARCHITECTURE.md"
    assert [row for row in rows if len(row) != 3] == []
    assert len(rows) > 50
