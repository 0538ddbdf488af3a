"""`clawgate tunnel` on files of its own, and asking a cloudflared that answers, does not, or is something else."""

import asyncio
import json
import pwd
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.tunnel import cli
from gateway.tunnel.policy import TunnelPolicy, load_tunnel
from gateway.tunnel.service import allowed_origins, ask, every_home, validate
from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.config.tomlwrite import overlay_file
from shared.errors import ConfigError, NotFound


@pytest.fixture
def paths(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    paths = Paths.resolve(tmp_path / "state")
    credentials = tmp_path / "tunnel.json"
    credentials.write_text("{}")
    credentials.chmod(0o600)
    overlay_file(
        operator_file("tunnel", paths),
        {
            "name": "claw",
            "hostname": "claw.example.org",
            "credentials_file": str(credentials),
            "config_file": str(tmp_path / "etc" / "config.yml"),
        },
    )
    return paths


def run(paths, *words):
    return CliRunner().invoke(cli, [*words, "--state", str(paths.state)], catch_exceptions=True, standalone_mode=False)


def test_write_allows_the_origin_and_then_validates(paths, tmp_path):
    with_nothing = run(paths, "validate")
    assert isinstance(with_nothing.exception, NotFound)
    printed = run(paths, "config").output
    done = run(paths, "config", "--write")
    assert "written" in done.output
    assert "restart openclaw" in done.output
    assert (tmp_path / "etc" / "config.yml").read_text() == printed
    assert allowed_origins(paths) == ("https://claw.example.org",)
    checked = run(paths, "validate", "--json")
    assert json.loads(checked.output) == {"ok": True, "file": str(tmp_path / "etc" / "config.yml"), "findings": []}
    assert "up to date" in run(paths, "config", "--write").output


def test_an_edit_by_hand_is_kept_beside_and_named(paths, tmp_path):
    run(paths, "config", "--write")
    file = tmp_path / "etc" / "config.yml"
    file.write_text(file.read_text().replace("18789", "1"))
    checked = run(paths, "validate")
    assert checked.return_value == 1
    assert f"error: {file}:" in checked.output
    run(paths, "config", "--write")
    assert ":1\n" in (tmp_path / "etc" / "config.yml.bak").read_text()
    assert run(paths, "validate").return_value == 0


def test_open_credentials_and_a_certificate_are_named(paths, tmp_path):
    run(paths, "config", "--write")
    (tmp_path / "tunnel.json").chmod(0o644)
    (tmp_path / "etc" / "cert.pem").write_text("x")
    findings = json.loads(run(paths, "validate", "--json").output)["findings"]
    assert [finding["level"] for finding in findings] == ["error", "warning"]
    assert "chmod 600" in findings[0]["fix"]
    assert "every tunnel of the account" in findings[1]["text"]


def test_a_certificate_in_another_users_home_is_found_too(paths, tmp_path):
    run(paths, "config", "--write")
    owner, other = tmp_path / "home" / "owner", tmp_path / "home" / "other"
    certificate = owner / ".cloudflared" / "cert.pem"
    certificate.parent.mkdir(parents=True)
    file = tmp_path / "etc" / "config.yml"
    assert validate(load_tunnel(paths), paths, file, homes=lambda: {other, owner}) == []
    certificate.write_text("x")
    (finding,) = validate(load_tunnel(paths), paths, file, homes=lambda: {other, owner})
    assert str(certificate) in finding.text
    assert {Path(user.pw_dir) for user in pwd.getpwall()} <= every_home(), "whoever asks, root's and the owner's alike"


def test_without_a_tunnel_every_command_says_so(tmp_path):
    paths = Paths.resolve(tmp_path / "state")
    for words in (("config",), ("validate",), ("status",)):
        error = run(paths, *words).exception
        assert isinstance(error, ConfigError)
        assert "docs/tunnel.md" in error.detail


@pytest.mark.parametrize(
    ("body", "is_up", "reason"),
    [
        ('{"status":200,"readyConnections":4}', True, ""),
        ('{"status":503,"readyConnections":0}', False, "no connection to the edge"),
        ("<html>", False, "is not cloudflared"),
        (None, False, "nothing answers"),
    ],
)
async def test_status_asks_cloudflared_itself(body, is_up, reason):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    if body is None:
        server.close()
        await server.wait_closed()
    status = await ask(TunnelPolicy(name="claw", hostname="claw.example.org", metrics=f"127.0.0.1:{port}"))
    server.close()
    assert (status.is_up, bool(status.connections)) == (is_up, is_up)
    assert reason in status.reason
