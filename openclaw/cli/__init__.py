"""The ``openclaw`` command: what an operator asks a running OpenClaw."""

from openclaw.cli.root import cli, main

__all__ = ["cli", "main"]
