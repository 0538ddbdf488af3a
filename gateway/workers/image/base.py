"""The image under the worker's: a minimal Debian with the tools an agent expects.

It is made on this machine with ``mmdebstrap`` from the distribution's own package servers, since a registry may be out
of reach. Where that tool is missing, the registry's slim Debian has to do, without git and curl.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import docker
import requests
from docker import errors as docker_errors

from gateway.workers.image.cli_file import Progress
from shared.errors import Unavailable

SUITE = "bookworm"
PACKAGES = ("ca-certificates", "curl", "git", "jq", "procps", "ripgrep", "tzdata")
_UNWANTED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
_SLIM = f"debian:{SUITE}-slim"
_ENVIRONMENT = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_HOST_SOURCES = (
    "/etc/apt/sources.list",
    "/etc/apt/sources.list.d/debian.sources",
    "/etc/apt/sources.list.d/ubuntu.sources",
)


def base_recipe(packages: Sequence[str] = PACKAGES) -> str:
    """Changes when the base would come out differently."""
    return hashlib.sha256(repr((SUITE, tuple(packages), _UNWANTED)).encode()).hexdigest()[:12]


def ensure_base(client: docker.APIClient, progress: Progress, packages: Sequence[str] = PACKAGES) -> str:
    """The name of a base image that is in the engine afterwards.

    Args:
        client: the engine.
        progress: told each step.
        packages: what is in it.

    Raises:
        Unavailable: it can neither be made here nor pulled; says what was tried.
    """
    recipe = base_recipe(packages)
    name = f"clawgate-base:{recipe}"
    if _present(client, name):
        return name
    problems = []
    if shutil.which("mmdebstrap"):
        for words in _attempts():
            with tempfile.TemporaryDirectory(prefix="clawgate-base-") as folder:
                archive = Path(folder) / "base.tar"
                progress(f"making the base image with mmdebstrap ({words[0]})")
                problem = _bootstrap(words, archive, packages)
                if problem is None:
                    with archive.open("rb") as data:
                        client.import_image_from_data(
                            data, repository="clawgate-base", tag=recipe, changes=[_ENVIRONMENT]
                        )
                    return name
                problems.append(problem)
    else:
        problems.append("mmdebstrap is not installed")
    progress(f"pulling {_SLIM}")
    try:
        client.pull("debian", tag=f"{SUITE}-slim")
        client.inspect_image(_SLIM)  # type: ignore[no-untyped-call]
    except (docker_errors.DockerException, requests.exceptions.RequestException) as error:
        tried = "\n".join(problems)
        raise Unavailable(
            f"there is no base for the worker image: {tried}\nand {_SLIM} could not be pulled ({error}): "
            "install mmdebstrap and check the network",
            code="image.base",
        ) from None
    return _SLIM


def _present(client: docker.APIClient, name: str) -> bool:
    try:
        client.inspect_image(name)  # type: ignore[no-untyped-call]
    except docker_errors.ImageNotFound:
        return False
    return True


def _attempts() -> Iterator[tuple[str, ...]]:
    """Debian from its usual servers, then this machine's own release from the servers it is set up with."""
    yield (SUITE,)
    sources = [path for path in _HOST_SOURCES if Path(path).is_file()]
    release = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines() if "=" in line
    )
    if sources and (codename := release.get("VERSION_CODENAME", "").strip('"')):
        yield (codename, *sources)


def _bootstrap(words: tuple[str, ...], archive: Path, packages: Sequence[str]) -> str | None:
    suite, *sources = words
    result = subprocess.run(
        [
            *("mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(packages)}"),
            *(f"--dpkgopt=path-exclude={path}" for path in _UNWANTED),
            *(suite, str(archive), *sources),
        ],
        check=False,
        capture_output=True,
        text=True,
        cwd=archive.parent,
    )
    if result.returncode == 0:
        return None
    return "mmdebstrap: " + " / ".join(result.stderr.strip().splitlines()[-3:])
