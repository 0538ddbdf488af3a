"""Recognisable secrets planted in what comes in; nothing of them in what goes out: logs, errors, command output."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import structlog

from gateway.credentials.views import write_views
from gateway.sandbox.faults import Fault, FaultPlan
from gateway.sandbox.meta import MetaWorld
from gateway.sandbox.models import ModelWorld
from shared.clock import FakeClock
from shared.config.paths import Paths
from shared.errors import GatewayError, Invalid
from shared.http.client import HttpPool
from shared.oauth.copilot import CopilotOAuth
from shared.oauth.copilot_settings import CopilotOAuthSettings
from shared.oauth.github import GithubApi
from shared.oauth.instagram import InstagramOAuth, InstagramOAuthSettings
from shared.oauth.meta import MetaApp, MetaOAuth
from shared.oauth.models import OAuthProvider, PendingLogin, Token
from shared.oauth.threads import ThreadsOAuth, ThreadsOAuthSettings
from shared.obs.log import configure_logging, get_logger
from shared.obs.redact import redact
from shared.secrets.files import Secret, write_private
from shared.secrets.vault import Vault
from tests.support.canary import Hunt

MARK = "CANARY7f3a"
SHAPES = {
    "anthropic": f"sk-ant-api03-{MARK}-{'a' * 40}",
    "openai": f"sk-proj-{MARK}{'b' * 30}",
    "github": f"ghu_{MARK}{'c' * 26}",
    "slack": f"xoxb-1234567890-{MARK}abcdef",
    "jwt": f"eyJhbGciOiJSUzI1NiJ9.eyJ{MARK}In0.{'d' * 30}",
    "discord": f"MTAwMDAwMDAwMDAwMDAwMDAx.{MARK[:6]}.{MARK}{'e' * 30}",
    "copilot": f"tid={MARK};exp=1;sku=x;proxy-ep=y:sig",
    "threads": f"THAA{MARK}{'f' * 50}",
    "instagram": f"IGAA{MARK}{'g' * 50}",
}
KEYED = {
    "query": f"https://host.example/x?access_token={MARK}q&page=1",
    "fragment": f"https://host.example/x#token={MARK}f",
    "bearer": f"Authorization: Bearer {MARK}{'h' * 20}",
    "callback": f"https://localhost/?code={MARK}c&state={MARK}s#_",
}
FIELDS = (
    "access_token",
    "refreshToken",
    "client_secret",
    "cookie",
    "set-cookie",
    "api_key",
    "Authorization",
    "password",
)


@contextmanager
def logged(level: str = "DEBUG") -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure_logging("canary", level=level, stream=stream)
    try:
        yield stream
    finally:
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
        logging.getLogger().handlers.clear()
        logging.getLogger().setLevel(logging.WARNING)


@pytest.mark.parametrize("canary", [*SHAPES.values(), *KEYED.values()], ids=[*SHAPES, *KEYED])
def test_a_log_line_shows_no_secret_whatever_way_it_came(canary: str) -> None:
    with logged() as stream:
        log = get_logger("canary")
        log.info("thing.happened", note=canary, nested={"deep": [canary]}, value=Secret(canary))
        logging.getLogger("some.library").warning("failed with %s", canary)
        try:
            try:
                raise OSError(canary)
            except OSError as error:
                raise ValueError(f"because of {canary}") from error
        except ValueError:
            log.exception("thing.failed")
            logging.getLogger("another.library").exception("it broke")
        try:
            raise ExceptionGroup("several", [ValueError(canary), OSError(canary)])
        except ExceptionGroup:
            log.exception("things.failed")
    text = stream.getvalue()
    assert text.count("thing") >= 3
    assert MARK not in text


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_of_a_secret_name_is_hidden_at_any_depth(field: str) -> None:
    shown = json.dumps(redact({"a": [{"b": {field: f"{MARK}-plain"}}], field: [f"{MARK}-list"]}))
    assert MARK not in shown


SAID = [
    {
        "kind": "status",
        "status": status,
        "body": {"error": {"code": code, "message": text, "type": text, "fbtrace_id": text}},
    }
    for status, code, text in (
        (400, 190, SHAPES["threads"]),
        (400, 100, KEYED["query"]),
        (403, 10, SHAPES["instagram"]),
        (500, 2, KEYED["bearer"]),
        (200, 190, f"{MARK} without any shape"),
    )
] + [
    {"kind": "status", "status": 502, "body": f"<html>{MARK} {SHAPES['threads']}</html>"},
    {"kind": "status", "status": 200, "body": f"{MARK} not json"},
    {"kind": "status", "status": 400, "body": {"error": MARK, "error_description": MARK, "message": SHAPES["github"]}},
    {"kind": "status", "status": 401, "body": {"message": f"echo of {SHAPES['github']}"}},
    {"kind": "status", "status": 429, "headers": {"retry-after": MARK}, "body": {"message": MARK}},
]


def shows_nothing(error: GatewayError) -> bool:
    """Neither the error nor anything chained to it, hidden contexts too, nor as a log line or a traceback."""
    if found := Hunt([MARK]).in_error(error):
        raise AssertionError(found)
    with logged() as stream:
        try:
            raise error
        except GatewayError:
            get_logger("canary").exception("failed", detail=error.detail, **error.context)
    return MARK not in stream.getvalue() and MARK not in json.dumps([error.detail, error.code, error.context])


Call = Callable[[OAuthProvider, Token, PendingLogin], object]


@pytest.mark.parametrize("said", SAID, ids=range(len(SAID)))
@pytest.mark.parametrize("network", ["threads", "instagram"])
async def test_what_meta_answers_with_is_not_repeated(network: str, said: dict) -> None:
    clock = FakeClock()
    faults = FaultPlan.of(
        Fault.model_validate({"upstream": network, "op": op, "nth": "*", **said})
        for op in ("oauth.code", "oauth.refresh", "me", "debug_token")
    )
    async with MetaWorld(faults=faults, clock=clock) as world, HttpPool() as http:
        app = MetaApp("1", Secret(f"{MARK}-app-secret"), "https://localhost/")
        meta: MetaOAuth
        if network == "threads":
            meta = ThreadsOAuth(ThreadsOAuthSettings(**world.endpoints("threads")), app, http, clock=clock)
        else:
            meta = InstagramOAuth(InstagramOAuthSettings(**world.endpoints("instagram")), app, http, clock=clock)
        pending = await meta.begin()
        pasted = f"https://localhost/?code={MARK}code&state={pending.state}#_"
        token = Token(access=Secret(SHAPES["threads"]), expires_at=clock.now() + timedelta(days=3))
        for attempt in (meta.complete(pending, pasted), meta.refresh(token), meta.adopt(SHAPES["threads"])):
            with pytest.raises(GatewayError) as caught:
                await attempt
            assert shows_nothing(caught.value)
        for wrong in (SHAPES["threads"], f"{MARK}-bare-code", f"https://x/?code={MARK}&state=other", f"{MARK}#{MARK}"):
            with pytest.raises(Invalid) as caught:
                await meta.complete(pending, wrong)
            assert shows_nothing(caught.value)


@pytest.mark.parametrize("said", SAID, ids=range(len(SAID)))
async def test_what_github_answers_with_is_not_repeated(said: dict) -> None:
    clock = FakeClock()
    async with ModelWorld(clock=clock) as world, HttpPool() as http:
        settings = CopilotOAuthSettings(login_base=world.github_base, api_base=world.github_api_base)
        copilot = CopilotOAuth(settings, http, clock=clock)
        pending = await copilot.begin()
        world.faults.add(Fault.model_validate({"upstream": "github", "op": "*", "nth": "*", **said}))
        token = Token(access=Secret(SHAPES["github"]), refresh=Secret(f"ghr_{MARK}"))
        for attempt in (copilot.begin(), copilot.poll(pending), copilot.refresh(token), copilot.account(token)):
            with pytest.raises(GatewayError) as caught:
                await attempt
            assert shows_nothing(caught.value)
        if said["body"] != {"message": MARK}:
            with pytest.raises(GatewayError) as caught:
                await GithubApi(settings, http).exchange(token.access)
            assert shows_nothing(caught.value)


async def test_an_address_with_a_secret_in_its_query_is_not_shown_when_it_cannot_be_reached() -> None:
    async with HttpPool() as http:
        for url in (f"http://127.0.0.1:1/?access_token={MARK}", f"ftp://127.0.0.1/?access_token={MARK}"):
            with logged() as stream:
                try:
                    await http.request("GET", url)
                except GatewayError as error:
                    get_logger("canary").exception("failed", detail=error.detail)
            assert "failed" in stream.getvalue()
            assert MARK not in stream.getvalue()


async def test_on_disk_a_secret_is_in_the_vault_alone_and_sealed(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "state", tmp_path / "run")
    vault = Vault.at(paths.gateway / "vault")
    token = Token(access=Secret(SHAPES["jwt"]), refresh=Secret(f"rt_{MARK}"), id_token=Secret(SHAPES["jwt"]))
    for tenant in ("openclaw", "nanoclaw"):
        await vault.put(tenant, "codex", f"{token.access.reveal()} {MARK}".encode())
        tokens = {"codex": token, "copilot": token, "threads": token, "instagram": token}
        assert write_views(paths, tenant, tokens) == []
    await vault.rotate()
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) >= 8
    assert [path for path in written if MARK.encode() in path.read_bytes()] == []


PROGRAM = """
import sys
from gateway.cli.secrets import cli
from shared.cli import guarded
sys.exit(guarded(lambda: cli(standalone_mode=False), prog="clawgate"))
"""


def command(tmp_path: Path, *argv: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *argv, "--state", str(tmp_path)],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={**os.environ, "CLAWGATE_LOG_LEVEL": "DEBUG", **environment},
    )


def test_the_command_repeats_no_value_in_any_failure(tmp_path: Path) -> None:
    env = tmp_path / "other.env"
    write_private(env, f"A_TOKEN={MARK}\nBROKEN LINE {MARK}\nX='{MARK}\n")
    runs = [
        command(tmp_path, "set", "A_TOKEN", stdin=MARK),
        command(tmp_path, "list"),
        command(tmp_path, "list", "--json"),
        command(tmp_path, "import-env", str(env), "--all"),
        command(tmp_path, "set", f"A_TOKEN={MARK}"),
        command(tmp_path, "set", "../up", stdin=MARK),
        command(tmp_path, "set", "A_TOKEN", stdin="x" * (2 << 20)),
        command(tmp_path, "list", CLAWGATE_VAULT_KEYS=f"k1:{MARK}"),
        command(tmp_path, "set", "B", stdin=MARK, CLAWGATE_VAULT_KEYS=f"{MARK}"),
        command(tmp_path, "rotate-key"),
    ]
    (tmp_path / "gateway" / "vault" / "keys").write_text(f"k1:{MARK}\n")
    runs.append(command(tmp_path, "list"))
    for done in runs:
        assert MARK not in done.stdout + done.stderr, done.args
        assert "Traceback" not in done.stderr
    assert [done.returncode for done in runs[:3]] == [0, 0, 0]
    assert all(done.returncode for done in runs[4:9])
