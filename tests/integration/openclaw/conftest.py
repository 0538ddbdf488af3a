"""Folders of one installation, and the command line that speaks to it."""

from __future__ import annotations

import asyncio
import io
import secrets
import shutil
import sys
from pathlib import Path

import click
import pytest

from openclaw.cli import cli
from shared.cli import guarded
from shared.config.paths import Paths


@pytest.fixture
def paths(tmp_path):
    runtime = Path("/tmp") / f"oc-{secrets.token_hex(4)}"
    runtime.mkdir(mode=0o700)
    yield Paths(state=tmp_path, runtime=runtime)
    shutil.rmtree(runtime)


@pytest.fixture
def openclaw(paths, monkeypatch):
    """Runs a command line in this process, as the installed command would; gives exit code, output, errors."""
    monkeypatch.setenv("CLAWGATE_STATE", str(paths.state))
    monkeypatch.setenv("CLAWGATE_RUNTIME", str(paths.runtime))

    def run(line, stdin):
        arguments = line.split() if isinstance(line, str) else list(line)
        monkeypatch.setattr(sys, "argv", ["openclaw", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        said = {False: io.StringIO(), True: io.StringIO()}

        def echo(message="", *, err=False, **_style):  # the tenant in this process writes its log to standard output
            print(message, file=said[err])

        monkeypatch.setattr(click, "echo", echo)
        monkeypatch.setattr(click, "secho", echo)
        code = guarded(lambda: cli.main(arguments, prog_name="openclaw", standalone_mode=False), prog="openclaw")
        return code, said[False].getvalue(), said[True].getvalue()

    async def call(line, stdin=""):
        return await asyncio.to_thread(run, line, stdin)

    return call
