"""What the sandbox writes into its own state leaves a person's changes alone."""

from __future__ import annotations

from pathlib import Path

from gateway.sandbox.meta import MetaWorld
from gateway.sandbox.seed import register_apps, seed_env
from shared.config.envfile import read_env
from shared.config.paths import Paths
from shared.secrets.files import Secret, write_private


def seed(paths: Paths) -> str:
    return seed_env(paths, bot_tokens={"nanoclaw": Secret("bot")}, apps=register_apps(paths, MetaWorld()))


def test_a_second_start_keeps_tokens_apps_and_what_a_person_wrote(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "s", tmp_path / "r")
    token = seed(paths)
    first = read_env(paths.env_file)
    assert {"THREADS_APP_ID", "OPENCLAW_INSTAGRAM_APP_SECRET", "DISCORD_BOT_TOKEN"} <= set(first)
    written = paths.env_file.read_text().replace("ASSISTANT_NAME=J", "ASSISTANT_NAME='Jo # the second'")
    write_private(paths.env_file, f"# mine\n{written.replace('=bot', '=other')}EXTRA=1\n")
    assert seed(paths) == token
    text = paths.env_file.read_text()
    assert text.startswith("# mine\n")
    assert read_env(paths.env_file) == {**first, "ASSISTANT_NAME": "Jo # the second", "EXTRA": "1"}
    assert paths.env_file.stat().st_mode & 0o777 == 0o600
