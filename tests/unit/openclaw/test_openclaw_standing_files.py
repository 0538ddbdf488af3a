"""Standing files and skills: what is written once, what each kind of session is shown, what is never shown."""

from __future__ import annotations

import pytest

from openclaw.agent.policy import WorkspacePolicy
from openclaw.agent.prompt import PromptFacts, build_instructions
from openclaw.agent.workspace.folder import Folder
from openclaw.agent.workspace.places import Places
from openclaw.agent.workspace.skills import frontmatter, list_skills, skills_prompt
from openclaw.agent.workspace.standing import has_something_to_do, read_standing, write_missing
from openclaw.sessions import MAIN_SESSION
from shared.config.paths import Paths
from shared.standing_files import STANDING_FILES

CHANNEL = "agent:main:discord:channel:5"
HELPER = "agent:main:subagent:x"
FACTS = PromptFacts("Claw", "be brief", "webchat", "direct", None)


@pytest.fixture
def places(tmp_path):
    return Places("openclaw", Paths(state=tmp_path, runtime=tmp_path / "r"))


def test_missing_files_are_written_once_and_never_changed(places):
    folder = Folder(places.workspace)
    folder.write("SOUL.md", b"mine")
    assert write_missing(folder) == [name for name in STANDING_FILES if name != "SOUL.md"]
    (places.workspace / "USER.md").unlink()
    (places.workspace / "USER.md").symlink_to("/etc/passwd")
    assert write_missing(folder) == []
    assert folder.read("SOUL.md") == b"mine"


def test_what_is_remembered_is_shown_in_the_owners_sessions_alone(places):
    for name in STANDING_FILES:
        Folder(places.workspace).write(name, f"text of {name}".encode())
    policy = WorkspacePolicy()
    shown = {key: set(places.texts(key, policy).files) for key in (MAIN_SESSION, CHANNEL, HELPER)}
    assert shown[MAIN_SESSION] == set(STANDING_FILES)
    assert shown[CHANNEL] == {"AGENTS.md", "SOUL.md", "TOOLS.md", "IDENTITY.md"}
    assert shown[HELPER] == {"AGENTS.md", "TOOLS.md"}
    assert "MEMORY.md" not in build_instructions(FACTS, places.texts(CHANNEL, policy))


def test_sizes_are_capped_and_a_missing_file_leaves_a_mark(places):
    folder = Folder(places.workspace)
    folder.write("AGENTS.md", b"begin" + b"x" * 5000 + b"end")
    (places.workspace / "SOUL.md").symlink_to("/etc/passwd")
    files = read_standing(folder, private=False, file_chars=1000)
    assert files["AGENTS.md"].startswith("begin")
    assert files["AGENTS.md"].endswith("end")
    assert len(files["AGENTS.md"]) < 1100
    assert files["TOOLS.md"] == "(TOOLS.md is not there)"
    assert "links are not followed" in files["SOUL.md"]
    texts = places.texts(MAIN_SESSION, WorkspacePolicy())
    assert len(build_instructions(FACTS, texts, total_chars=1000)) < 3000


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", False),
        ("# Checks\n\n## More\n- \n- [ ]\n", False),
        ("# Checks\n<!-- write\nhere -->\n", False),
        ("# Checks\n- look at the mail\n", True),
        ("call me", True),
        ("* [x]  \n  - [ ]\n  # a\n", False),
        ("<!-- a -->\n<!-- begun", True),
        ("- " + " " * 200_000 + "x", True),
        ("<!--" * 200_000, True),
    ],
    ids=range(9),
)
def test_a_heartbeat_file_of_headings_asks_for_nothing(text, wanted):
    assert has_something_to_do(text) is wanted


def test_the_file_we_write_asks_for_nothing(places):
    write_missing(Folder(places.workspace))
    assert not has_something_to_do((places.workspace / "HEARTBEAT.md").read_text())


SKILL = "---\nname: poster\ndescription: Post to places.\n---\nSteps"


def test_skills_are_listed_and_the_workspaces_own_win(places):
    own, managed = places.skill_folders
    Folder(own).write("post/SKILL.md", SKILL.encode())
    Folder(managed).write("post/SKILL.md", SKILL.replace("poster", "other").encode())
    Folder(managed).write("look/SKILL.md", SKILL.replace("poster", "look").encode())
    Folder(managed).write("bare/SKILL.md", b"no head")
    Folder(managed).write("folder/README.md", b"none")
    (managed / "link").symlink_to(own / "post")
    skills = {skill.name: skill for skill in list_skills(places.skill_folders)}
    assert set(skills) == {"poster", "look", "bare"}
    assert "no description" in skills["bare"].problem
    prompt = skills_prompt(list(skills.values()))
    assert "- poster (skills/post/SKILL.md): Post to places." in prompt
    assert "bare" not in prompt
    assert "Steps" not in prompt
    assert skills_prompt([]) == ""


@pytest.mark.parametrize(
    ("head", "shown", "missing"),
    [
        ("disable-model-invocation: true", False, ()),
        ('metadata: {"requires": {"bins": ["sh"]}}', True, ()),
        ('metadata: {"requires": {"bins": ["no-such-program-x"]}}', False, ("the program no-such-program-x",)),
        ('metadata: {"openclaw": {"os": ["plan9"]}}', False, ("one of the systems plan9",)),
        ('metadata: {"requires": {"anyBins": ["sh", "no-such-program-x"]}}', True, ()),
        ('metadata: {"requires": {"bins": "sh"}}', True, ()),
        ("metadata: {broken", False, ("its metadata is not JSON",)),
        ('metadata: {"always": true, "os": ["plan9"]}', True, ()),
    ],
)
def test_a_skill_that_this_machine_cannot_do_is_not_offered(tmp_path, head, shown, missing):
    Folder(tmp_path).write("x/SKILL.md", f"---\ndescription: d\n{head}\n---\n".encode())
    [skill] = list_skills([tmp_path])
    assert (skill.shown, skill.missing) == (shown, missing)


def test_a_head_without_an_end_is_none_and_a_description_stays_one_line(tmp_path):
    assert frontmatter("---\nname: x\n") == {}
    assert frontmatter('---\nname: "x y"\ntags:\n  - a\n---') == {"name": "x y", "tags": ""}
    Folder(tmp_path).write("x/SKILL.md", ("---\ndescription: " + "d " * 2000 + "\n---\n").encode())
    assert len(list_skills([tmp_path])[0].description) <= 500
