"""``clawgate install systemd`` below a folder of its own: what is written, found changed, and taken away."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.units.cli import cli
from gateway.units.install import KEPT_ENDING
from gateway.units.render import MODEL_API_UNIT
from shared.errors import ConfigError, Conflict, GatewayError

UNITS = Path("etc/systemd/system")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


def install(root: Path, *words: str, state: str = "/var/lib/clawgate-none") -> tuple[int, str]:
    arguments = ["systemd", "--state", state, "--root", str(root), *words]
    result = CliRunner().invoke(cli, arguments, standalone_mode=False, env={"CLAWGATE_RUNTIME": "/run/clawgate-none"})
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.stdout


def standings(root: Path) -> dict[str, str]:
    _, text = install(root, "--json")
    return {Path(row["path"]).name: row["standing"] for row in json.loads(text)}


def test_a_dry_run_shows_everything_and_writes_nothing(root: Path) -> None:
    code, text = install(root)
    assert code == 1
    assert "+ExecStart=" in text
    assert "+u clawgate-nanoclaw" in text
    assert not root.exists()


def test_apply_writes_once_and_then_nothing_differs(root: Path) -> None:
    code, text = install(root, "--apply")
    assert code == 0
    assert "nanoclaw.service: written" in text
    assert (root / UNITS / "nanoclaw.service").stat().st_mode & 0o777 == 0o644
    assert install(root, "--apply") == (0, "")
    code, text = install(root)
    assert code == 0
    assert set(standings(root).values()) == {"same"}


def test_a_unit_edited_by_hand_is_named_and_kept(root: Path) -> None:
    install(root, "--apply")
    unit = root / UNITS / "nanoclaw.service"
    unit.write_text(unit.read_text().replace("MemoryMax=1G", "MemoryMax=8G"))
    assert standings(root)["nanoclaw.service"] == "edited"
    _, text = install(root)
    assert "-MemoryMax=8G\n+MemoryMax=1G" in text
    with pytest.raises(Conflict, match=r"nanoclaw\.service was changed by hand after we wrote it"):
        install(root, "--apply")
    assert "MemoryMax=8G" in unit.read_text()
    _, text = install(root, "--apply", "--replace")
    assert "replaced (edited)" in text
    assert "MemoryMax=1G" in unit.read_text()
    assert "MemoryMax=8G" in unit.with_name(unit.name + KEPT_ENDING).read_text()


def test_the_originals_unit_of_the_same_name_is_not_overwritten_unasked(root: Path) -> None:
    unit = root / UNITS / "nanoclaw.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/usr/bin/node dist/index.js\n")
    with pytest.raises(Conflict, match=r"nanoclaw\.service was not written by us"):
        install(root, "--apply")
    assert not (root / UNITS / "openclaw.service").exists()


NODE_PROXY = """[Unit]
Description=Copilot API proxy
[Service]
ExecStart=/usr/bin/npx copilot-api start
[Install]
WantedBy=multi-user.target
"""


def systemctl(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemctl", f"--root={root}", *words], check=False, capture_output=True, text=True)


def test_the_owners_copilot_api_unit_is_named_first_and_with_replace_kept_beside(root: Path) -> None:
    unit = root / UNITS / MODEL_API_UNIT
    unit.parent.mkdir(parents=True)
    unit.write_text(NODE_PROXY)
    assert systemctl(root, "enable", MODEL_API_UNIT).returncode == 0
    assert standings(root)[MODEL_API_UNIT] == "foreign"
    with pytest.raises(Conflict, match=r"copilot-api\.service was not written by us\n--replace puts ours there"):
        install(root, "--apply")
    assert [path.name for path in (root / UNITS).glob("*.service")] == [MODEL_API_UNIT], "nothing was written"

    _, text = install(root, "--apply", "--replace")
    assert text.index(f"disable {MODEL_API_UNIT}") < text.index("clawgate-gateway.service: written")
    assert unit.with_name(MODEL_API_UNIT + KEPT_ENDING).read_text() == NODE_PROXY
    assert "npx" not in unit.read_text()
    assert not (root / UNITS / "multi-user.target.wants" / MODEL_API_UNIT).exists()
    done = systemctl(root, "enable", "clawgate-gateway.service", MODEL_API_UNIT, "nanoclaw.service")
    assert (done.returncode, "Failed" in done.stderr) == (0, False), done.stderr
    assert install(root, "--apply") == (0, "")


def test_the_alias_of_an_earlier_version_becomes_a_unit(root: Path) -> None:
    install(root, "--apply")
    unit, gateway = root / UNITS / MODEL_API_UNIT, root / UNITS / "clawgate-gateway.service"
    unit.unlink()
    unit.symlink_to(gateway)
    before = gateway.read_text()
    install(root, "--apply")
    assert not unit.is_symlink()
    assert "ExecStop=" in unit.read_text()
    assert gateway.read_text() == before
    install(root, "--uninstall")
    assert not unit.exists()


def test_the_vaults_keys_stay_in_the_unit_when_it_is_written_anew(root: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("x")
    install(root, "--apply", "--vault-keys", str(keys))
    assert install(root, "--apply") == (0, "")
    assert f"LoadCredential=vault-keys:{keys}" in (root / UNITS / "clawgate-gateway.service").read_text()


def test_a_unit_of_an_older_version_is_replaced(root: Path) -> None:
    install(root, "--apply")
    unit = root / UNITS / "nanoclaw.service"
    from gateway.units.render import _file

    unit.write_text(_file(UNITS / unit.name, ["[Service]", "ExecStart=/old"]).text)
    assert standings(root)["nanoclaw.service"] == "outdated"
    install(root, "--apply")
    assert standings(root)["nanoclaw.service"] == "same"


def test_uninstall_takes_ours_and_leaves_the_rest(root: Path) -> None:
    install(root, "--apply")
    edited = root / UNITS / "openclaw.service"
    edited.write_text(edited.read_text() + "# mine\n")
    foreign = root / UNITS / "cloudflared.service"
    foreign.write_text("[Service]\nExecStart=/usr/bin/cloudflared\n")
    _, text = install(root, "--uninstall")
    assert "openclaw.service: kept, it was changed by hand" in text
    assert sorted(path.name for path in (root / UNITS).iterdir()) == ["cloudflared.service", "openclaw.service"]
    assert not list((root / "etc/sysusers.d").iterdir())
    install(root, "--uninstall", "--replace")
    assert [path.name for path in (root / UNITS).iterdir()] == ["cloudflared.service"]


def test_the_tunnel_gets_a_unit_where_one_is_set_up(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "cloudflared"
    program.parent.mkdir()
    program.symlink_to("/bin/true")
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    config = root / "etc/cloudflared/config.yml"
    config.parent.mkdir(parents=True)
    config.write_text("tunnel: x\ncredentials-file: /etc/cloudflared/x.json\n")
    install(root, "--apply")
    assert "tunnel.json:/etc/cloudflared/x.json" in (root / UNITS / "cloudflared.service").read_text()


def test_a_state_directory_in_a_home_is_refused_with_the_fix(root: Path) -> None:
    with pytest.raises(ConfigError, match="move it there and give --state"):
        install(root, state="/home/somebody/clawgate")


def test_without_systemd_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    from gateway.units.install import _require_systemd

    with pytest.raises(GatewayError, match="systemctl is not on this machine"):
        _require_systemd()
