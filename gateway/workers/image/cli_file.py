"""The Claude command line, taken out of the ``claude-agent-sdk`` wheel of the version this product is pinned to.

The wheel is a download of 168 MB and the program in it 381 MB; both stay in the cache. Our own environment has the SDK
from its source distribution, which carries no program.
"""

from __future__ import annotations

import fcntl
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from shared.config.process import environment
from shared.errors import ConfigError, Unavailable

Architecture = Literal["x86_64", "aarch64"]
Progress = Callable[[str], object]

_PACKAGE = "claude-agent-sdk"
_MEMBER = "claude_agent_sdk/_bundled/claude"
_NAMES: dict[str, Architecture] = {"amd64": "x86_64", "x86_64": "x86_64", "arm64": "aarch64", "aarch64": "aarch64"}


def architecture(name: str) -> Architecture:
    """Our name for a machine type as Docker, Debian or the kernel call it.

    Raises:
        ConfigError: there is no command line for it.
    """
    try:
        return _NAMES[name]
    except KeyError:
        raise ConfigError(
            f"the Claude command line is not made for {name!r}: use an x86-64 or ARM64 machine",
            code="image.architecture",
        ) from None


def cache_folder() -> Path:
    """``CLAWGATE_CACHE``, else ``~/.cache/clawgate``."""
    return Path(environment("CLAWGATE_CACHE") or Path.home() / ".cache" / "clawgate")


def sdk_version() -> str:
    """The version of the SDK we run, which decides the command line's."""
    return version(_PACKAGE)


@contextmanager
def cache_lock() -> Iterator[Path]:
    """The cache folder, for one process at a time."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield folder


def fetch_cli(cache: Path, arch: Architecture, progress: Progress) -> Path:
    """The command line's file, downloaded and unpacked unless the cache has it.

    Args:
        cache: folder held with `cache_lock`.
        arch: machine type to fetch it for.
        progress: told what happens.

    Raises:
        Unavailable: the package index cannot be reached, or has no such wheel.
    """
    name = f"{_PACKAGE.replace('-', '_')}-{sdk_version()}"
    target = cache / "cli" / f"{name}-{arch}" / "claude"
    if target.exists():
        return target
    wheels = cache / "wheels"
    wheel = next(wheels.glob(f"{name}-*manylinux*{arch}.whl"), None)
    if wheel is None:
        progress(f"downloading {_PACKAGE} {sdk_version()} for {arch} (168 MB)")
        wheel = _download(wheels, name, arch)
    progress("unpacking the Claude command line")
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_suffix(".new")
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(_MEMBER) as source, fresh.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1024 * 1024)
    except (zipfile.BadZipFile, KeyError) as error:
        wheel.unlink()
        raise Unavailable(f"{wheel} is damaged ({error}) and was removed: run this again", code="image.wheel") from None
    fresh.chmod(0o755)
    fresh.replace(target)
    return target


def _download(wheels: Path, name: str, arch: Architecture) -> Path:
    wheels.mkdir(parents=True, exist_ok=True)
    result = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"),
            *("--platform", f"manylinux_2_17_{arch}", "--dest", str(wheels), f"{_PACKAGE}=={sdk_version()}"),
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    wheel = next(wheels.glob(f"{name}-*manylinux*{arch}.whl"), None)
    if result.returncode or wheel is None:
        said = "\n".join(result.stderr.strip().splitlines()[-3:])
        raise Unavailable(
            f"{_PACKAGE} {sdk_version()} could not be downloaded for {arch}: check the network and pip's settings. "
            f"pip said:\n{said}",
            code="image.wheel",
        )
    return wheel


def local_cli() -> Path:
    """The command line for this machine, fetched when it is not in the cache.

    Raises:
        Unavailable: it is not here and cannot be downloaded.
    """
    with cache_lock() as cache:
        return fetch_cli(cache, architecture(platform.machine()), lambda _: None)
