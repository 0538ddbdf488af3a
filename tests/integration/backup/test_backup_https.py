"""Backups to a remote that wants Basic authentication: git's own server program behind a loopback listener."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.backup.git import Repository, token_of
from gateway.backup.policy import AuthorPolicy, RemotePolicy
from gateway.credentials.vault import open_vault
from shared.config.paths import Paths
from shared.errors import ConfigError, Unavailable
from shared.secrets.files import Secret, write_private

TOKEN = "ghp_canary0token0canary"


class GitHost(BaseHTTPRequestHandler):
    """``git http-backend`` for whoever brings the token."""

    protocol_version = "HTTP/1.1"
    root: Path
    seen: list[str]
    elsewhere = ""

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.seen.append(self.headers.get("Authorization", ""))
        if self.elsewhere:
            return self.reply(302, [("Location", f"{self.elsewhere}{self.path}")], b"")
        right = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {right}":
            return self.reply(401, [("WWW-Authenticate", 'Basic realm="git"')], b"")
        parts = urlsplit(self.path)
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            capture_output=True,
            check=True,
            env={
                **os.environ,
                "GIT_PROJECT_ROOT": str(self.root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "REMOTE_USER": "backup",
                "REQUEST_METHOD": self.command,
                "PATH_INFO": parts.path,
                "QUERY_STRING": parts.query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "CONTENT_LENGTH": str(len(body)),
            },
        ).stdout
        head, _, content = done.partition(b"\r\n\r\n")
        fields = [tuple(line.split(": ", 1)) for line in head.decode().split("\r\n")]
        status = next((int(value.split()[0]) for name, value in fields if name == "Status"), 200)
        return self.reply(status, [(name, value) for name, value in fields if name != "Status"], content)

    def reply(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response(status)
        for name, value in [*headers, ("Content-Length", str(len(content)))]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def serve(root: Path, elsewhere: str = "") -> tuple[ThreadingHTTPServer, list[str]]:
    seen: list[str] = []
    handler = type("Host", (GitHost,), {"root": root, "seen": seen, "elsewhere": elsewhere})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server, seen


@pytest.fixture
def host(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    subprocess.run(["git", "init", "-q", "--bare", "--initial-branch=main", "b.git"], cwd=tmp_path, check=True)
    server, seen = serve(tmp_path)
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    server.server_close()


def remote_at(base: str) -> RemotePolicy:
    """Plain HTTP, which policy refuses: the listener is on loopback and has no certificate."""
    return RemotePolicy(url="https://host/b.git").model_copy(update={"url": f"{base}/b.git"})


async def test_a_token_pushes_and_fetches_and_lies_in_no_file(tmp_path: Path, host: tuple[str, list[str]]) -> None:
    base, _ = host
    mine = Repository(tmp_path / "mine", remote_at(base), Secret(TOKEN))
    assert not await mine.refresh(), "nothing is there yet"
    (mine.folder / "a").write_text("one")
    commit = await mine.publish("first", AuthorPolicy())
    again = Repository(tmp_path / "again", remote_at(base), Secret(TOKEN))
    assert await again.refresh()
    assert (again.folder / "a").read_text() == "one"
    assert commit
    written = [path for folder in (mine.folder, again.folder) for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in written if TOKEN.encode() in path.read_bytes()]


@pytest.mark.parametrize("token", ["", "wrong"])
async def test_without_the_right_token_it_says_so_and_asks_nobody(
    tmp_path: Path, host: tuple[str, list[str]], token: str
) -> None:
    with pytest.raises(Unavailable, match=r"ls-remote failed.*uthentication") as refused:
        await Repository(tmp_path / "mine", remote_at(host[0]), Secret(token)).refresh()
    assert "wrong" not in refused.value.detail


async def test_a_host_that_redirects_elsewhere_does_not_carry_the_token_there(
    tmp_path: Path, host: tuple[str, list[str]]
) -> None:
    base, seen = host
    server, _ = serve(tmp_path, elsewhere=base)
    with pytest.raises(Unavailable):
        await Repository(
            tmp_path / "mine", remote_at(f"http://localhost:{server.server_port}"), Secret(TOKEN)
        ).refresh()
    server.shutdown()
    server.server_close()
    assert seen
    assert not [given for given in seen if base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode() in given]


async def test_the_token_is_the_tenants_own_or_the_one_for_all_and_its_absence_is_said(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "s", tmp_path / "r")
    https, ssh = RemotePolicy(url="https://host/me/b.git"), RemotePolicy(url="git@host:me/b.git")
    assert not token_of(paths, "nanoclaw", ssh)
    with pytest.raises(ConfigError, match=r"clawgate secrets set NANOCLAW_BACKUP_TOKEN.*the SSH form"):
        token_of(paths, "nanoclaw", https)
    write_private(paths.env_file, "BACKUP_TOKEN=all\nOPENCLAW_BACKUP_TOKEN=openclaws\n")
    await open_vault(paths).put("nanoclaw", "BACKUP_TOKEN", b"nanoclaws")
    found = {tenant: token_of(paths, tenant, https).reveal() for tenant in ("nanoclaw", "openclaw", "gateway")}
    assert found == {"nanoclaw": "nanoclaws", "openclaw": "openclaws", "gateway": "all"}
