"""A renewed Threads token goes back into ``.env``, of which nothing else changes."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import strategies as st

from gateway.credentials.meta import ShownToken, app_of, setting
from shared.config import envwrite
from shared.config.envwrite import edited, write_back
from shared.errors import ConfigError, Conflict, Unavailable
from shared.oauth.models import Token
from shared.secrets.files import Secret, write_private

NAME = ("THREADS_ACCESS_TOKEN",)
NEW = Secret("THnew0123456789")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "THREADS_ACCESS_TOKEN=THnew0123456789\n"),
        ("A=1", "A=1\nTHREADS_ACCESS_TOKEN=THnew0123456789\n"),
        ("A=1\r\nB=2\r\n", "A=1\r\nB=2\r\nTHREADS_ACCESS_TOKEN=THnew0123456789\r\n"),
        (
            "# mine\n\nA='x # y'\nTHREADS_ACCESS_TOKEN=old\nB=\"2\"  # two\n",
            "# mine\n\nA='x # y'\nTHREADS_ACCESS_TOKEN=THnew0123456789\nB=\"2\"  # two\n",
        ),
        ("THREADS_ACCESS_TOKEN=old   # 60 days\nC=3", "THREADS_ACCESS_TOKEN=THnew0123456789   # 60 days\nC=3"),
        ("THREADS_ACCESS_TOKEN='o # ld' # why\r\n", "THREADS_ACCESS_TOKEN=THnew0123456789 # why\r\n"),
        ('export THREADS_ACCESS_TOKEN = "old"\n', "export THREADS_ACCESS_TOKEN = THnew0123456789\n"),
        ("THREADS_ACCESS_TOKEN=\nC=3\n", "THREADS_ACCESS_TOKEN=THnew0123456789\nC=3\n"),
        ("THREADS_ACCESS_TOKEN\nC=3\n", "THREADS_ACCESS_TOKEN=THnew0123456789\nC=3\n"),
        ("THREADS_ACCESS_TOKEN=old", "THREADS_ACCESS_TOKEN=THnew0123456789"),
        (
            "X=1\nTHREADS_ACCESS_TOKEN=a\nTHREADS_ACCESS_TOKEN=b\n",
            "X=1\nTHREADS_ACCESS_TOKEN=THnew0123456789\nTHREADS_ACCESS_TOKEN=THnew0123456789\n",
        ),
        ("#THREADS_ACCESS_TOKEN=off\n", "#THREADS_ACCESS_TOKEN=off\nTHREADS_ACCESS_TOKEN=THnew0123456789\n"),
        (
            'PEM="a\nTHREADS_ACCESS_TOKEN=inner\n"\n',
            'PEM="a\nTHREADS_ACCESS_TOKEN=inner\n"\nTHREADS_ACCESS_TOKEN=THnew0123456789\n',
        ),
        ("OLD_THREADS_ACCESS_TOKEN=z\n", "OLD_THREADS_ACCESS_TOKEN=z\nTHREADS_ACCESS_TOKEN=THnew0123456789\n"),
    ],
)
def test_one_line_changes(before: str, after: str) -> None:
    assert edited(before, NAME, NEW) == after
    assert edited(after, NAME, NEW) == after


ENTRY = st.builds(
    lambda name, value, style, comment: f"{name}{style.format(value)}{comment}",
    st.sampled_from(["A", "B_TOKEN", "export C", "THREADS_ACCESS_TOKEN", "  D"]),
    st.text("abcXYZ019-._ ", max_size=12).map(str.strip),
    st.sampled_from(["={}", "='{}'", '="{}"', " = {}"]),
    st.sampled_from(["", " # note", "   #x=y"]),
)


@given(
    st.lists(st.one_of(ENTRY, st.sampled_from(["", "# comment", "   "])), max_size=8),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.text("abc'\"\\ #$=|", min_size=1, max_size=8).map(lambda text: f"T{text}T"),
)
def test_every_other_value_stays_as_it_was(lines: list[str], line_end: str, closed: bool, value: str) -> None:
    text = line_end.join(lines) + (line_end if closed else "")
    result = edited(text, NAME, Secret(value))
    before = dotenv_values(stream=io.StringIO(text), interpolate=False)
    after = dotenv_values(stream=io.StringIO(result), interpolate=False)
    assert after.pop("THREADS_ACCESS_TOKEN") == value
    before.pop("THREADS_ACCESS_TOKEN", None)
    assert before == after
    others = [line for line in text.splitlines() if "THREADS_ACCESS_TOKEN" not in line]
    assert [line for line in result.splitlines() if "THREADS_ACCESS_TOKEN" not in line] == others


def test_mode_links_and_strange_bytes_survive(tmp_path: Path) -> None:
    real = tmp_path / "real.env"
    write_private(real, b"A=\xff\xfe\nTHREADS_ACCESS_TOKEN=old\n")
    link = tmp_path / ".env"
    link.symlink_to(real)
    assert write_back(link, NAME, NEW)
    assert not write_back(link, NAME, NEW)
    assert link.is_symlink()
    assert real.read_bytes() == b"A=\xff\xfe\nTHREADS_ACCESS_TOKEN=THnew0123456789\n"
    assert stat.S_IMODE(real.stat().st_mode) == 0o600


def test_a_readable_file_is_refused(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    env.write_text("A=1\n")
    env.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        write_back(env, NAME, NEW)
    assert env.read_text() == "A=1\n"


def test_an_editor_that_saves_meanwhile_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = tmp_path / ".env"
    write_private(env, "A=1\n")
    original, saved = envwrite.edited, []

    def editing(text: str, names: tuple[str, ...], value: Secret) -> str:
        if not saved:
            saved.append(text)
            write_private(env, "A=2\nB=new\n")
        return original(text, names, value)

    monkeypatch.setattr(envwrite, "edited", editing)
    write_back(env, NAME, NEW)
    assert env.read_text() == "A=2\nB=new\nTHREADS_ACCESS_TOKEN=THnew0123456789\n"

    def endless(text: str, names: tuple[str, ...], value: Secret) -> str:
        saved.append(text)
        write_private(env, f"A={len(saved)}\n")
        return original(text, names, value)

    monkeypatch.setattr(envwrite, "edited", endless)
    with pytest.raises(Conflict, match="keeps changing"):
        write_back(env, NAME, Secret("THother"))


def test_a_full_disk_leaves_the_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = tmp_path / ".env"
    write_private(env, "A=1\n")

    def full(*_arguments: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable, match="as it was"):
        write_back(env, NAME, NEW)
    assert env.read_text() == "A=1\n"


def test_apps_of_two_tenants_stay_apart(tmp_path: Path) -> None:
    env = {
        "THREADS_APP_ID": "1",
        "THREADS_APP_SECRET": "canary-one",
        "OPENCLAW_INSTAGRAM_APP_ID": "2",
        "OPENCLAW_INSTAGRAM_APP_SECRET": "two",
        "OPENCLAW_INSTAGRAM_REDIRECT_URI": "https://example.org/",
    }
    mine = app_of("threads", "nanoclaw", env, kind="nanoclaw", env_file=tmp_path)
    assert (mine.app_id, mine.redirect_uri) == ("1", "https://localhost:3000/callback")
    assert "canary" not in repr(mine)
    other = app_of("instagram", "openclaw", env, kind="openclaw", env_file=tmp_path)
    assert (other.app_id, other.redirect_uri) == ("2", "https://example.org/")
    assert setting(env, "openclaw", "THREADS_APP_ID") == "", "the plain names are NanoClaw's"
    with pytest.raises(ConfigError, match="OPENCLAW_THREADS_APP_ID and OPENCLAW_THREADS_APP_SECRET"):
        app_of("threads", "openclaw", env, kind="openclaw", env_file=tmp_path)


async def test_the_line_of_env_follows_the_token_and_is_emptied_after_a_logout(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    token = Token(access=NEW, account="someone")
    line = ShownToken("threads", "nanoclaw", "nanoclaw", env)
    write_private(env, "NANOCLAW_THREADS_ACCESS_TOKEN=old\nTHREADS_USER_ID=17\n")
    assert line.read() == ("old", "17")
    await line.write(token)
    assert env.read_text() == "NANOCLAW_THREADS_ACCESS_TOKEN=THnew0123456789\nTHREADS_USER_ID=17\n"
    await line.write(None)
    assert line.read() == ("", "17")
    write_private(env, "THREADS_USER_ID=me\n")
    await line.write(None)
    assert env.read_text() == "THREADS_USER_ID=me\n", "a name is not added to say nothing"
    assert line.read() == ("", ""), "`me` is whoever the token belongs to"
    await line.write(token)
    assert "\nTHREADS_ACCESS_TOKEN=THnew0123456789\n" in env.read_text()


async def test_anothers_token_is_shown_only_where_its_name_stands(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    write_private(env, "THREADS_ACCESS_TOKEN=mine\n")
    line = ShownToken("threads", "openclaw", "openclaw", env)
    await line.write(Token(access=NEW))
    assert env.read_text() == "THREADS_ACCESS_TOKEN=mine\n", "the plain name is NanoClaw's"
    write_private(env, "OPENCLAW_THREADS_ACCESS_TOKEN=old\n")
    await line.write(Token(access=NEW))
    assert env.read_text() == "OPENCLAW_THREADS_ACCESS_TOKEN=THnew0123456789\n"
    env.chmod(0o644)
    await line.write(Token(access=Secret("THother")))
    assert "other" not in env.read_text(), "what others can read is not written; the vault has it"
