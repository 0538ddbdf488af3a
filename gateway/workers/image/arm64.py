"""Shows that everything the product and its worker image are made of exists for 64-bit ARM, without downloading it.

    python -m gateway.workers.image.arm64 [requirements file]

Two resolutions, both dry: every pinned Python package must have a wheel for it (the Claude command line comes out of
one of them), and every Debian package of the base image must be installable on it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.workers.image.base import PACKAGES, SUITE
from gateway.workers.image.cli_file import sdk_version

ARCHITECTURE = "aarch64"
_LIMIT_S = 300


@dataclass(frozen=True, slots=True)
class Check:
    """One resolution and what came of it."""

    name: str
    ok: bool
    detail: str


def wheel_command(requirements: Path, target: Path) -> list[str]:
    """Resolve pinned packages to wheels of the other machine type; metadata only."""
    return [
        *(sys.executable, "-m", "uv", "pip", "install", "--dry-run", "--no-deps", "--only-binary", ":all:"),
        *("--python-platform", f"{ARCHITECTURE}-manylinux_2_28", "--python-version", "3.11"),
        *("--target", str(target), "-r", str(requirements)),
    ]


def debian_command(archive: Path) -> list[str]:
    """Let apt resolve the base image's packages for the other machine type; package lists only."""
    return [
        *("mmdebstrap", "--simulate", "--skip=check/qemu", "--architectures=arm64", "--variant=minbase"),
        *(f"--include={','.join(PACKAGES)}", SUITE, str(archive)),
    ]


def check_wheels(requirements: Path) -> Check:
    """Every Python package, the SDK with the command line in it among them."""
    with tempfile.TemporaryDirectory() as folder:
        ok, said = _run(wheel_command(requirements, Path(folder)))
    found = [line.strip("+ ") for line in said.splitlines() if line.strip().startswith("+ ")]
    has_cli = f"claude-agent-sdk=={sdk_version()}" in found
    if ok and has_cli:
        return Check("wheels", ok=True, detail=f"{len(found)} packages resolve for {ARCHITECTURE}")
    return Check("wheels", ok=False, detail=_end_of(said) or "claude-agent-sdk is not among them")


def check_debian() -> Check:
    """Every Debian package of the base image."""
    if shutil.which("mmdebstrap") is None:
        return Check("debian", ok=False, detail="mmdebstrap is not installed: run scripts/setup.sh")
    with tempfile.TemporaryDirectory() as folder:
        ok, said = _run(debian_command(Path(folder) / "base.tar"))
    return Check("debian", ok=ok, detail=f"{', '.join(PACKAGES)} resolve for arm64" if ok else _end_of(said))


def _run(words: Sequence[str]) -> tuple[bool, str]:
    try:
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=_LIMIT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, str(error)
    return done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def _end_of(said: str) -> str:
    return " / ".join(line for line in said.strip().splitlines()[-3:] if line.strip())


def main(argv: Sequence[str] | None = None) -> int:
    """Print both checks; 0 when everything resolves."""
    words = list(sys.argv[1:] if argv is None else argv)
    requirements = Path(words[0]) if words else Path("requirements/runtime.txt")
    checks = (check_wheels(requirements), check_debian())
    for check in checks:
        sys.stdout.write(f"{check.name}: {'ok' if check.ok else 'FAILED'}, {check.detail}\n")
    return 0 if all(check.ok for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
