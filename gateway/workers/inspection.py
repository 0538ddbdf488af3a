"""What the engine says of this installation's containers, for the audit. Blocks; asks and changes nothing."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import docker
import requests
from docker import errors as docker_errors

from gateway.workers.docker_engine import open_client
from gateway.workers.spec import LABEL
from shared.errors import Unavailable

_LIMIT_S = 10.0


def inspect_all(address: str, instance: str, image: str) -> tuple[list[dict[str, Any]], dict[str, Any], str]:
    """Every running container of an installation, the image of the next ones, and the engine's version.

    Args:
        address: the engine's.
        instance: the installation's id, as in the label.
        image: what workers are made from.

    Returns:
        Containers with ``inspect``, ``image``, ``uids`` of their processes and ``execs`` (user, privileged); the
        image; the version.

    Raises:
        Unavailable: the engine does not answer, or refuses to say.
    """
    try:
        client = open_client(address, limit_s=_LIMIT_S)
        try:
            found = client.containers(filters={"label": f"{LABEL}instance={instance}", "status": ["running", "paused"]})
            version = str(client.version().get("Version", ""))
            return [_look(client, row["Id"]) for row in found], _image(client, image), version
        finally:
            client.close()
    except (docker_errors.DockerException, requests.exceptions.RequestException, OSError) as error:
        raise Unavailable(
            f"the Docker engine at {address} did not tell about its containers ({type(error).__name__})",
            code="engine.down",
        ) from None


def _look(client: docker.APIClient, container_id: str) -> dict[str, Any]:
    inspected = client.inspect_container(container_id)
    return {
        "inspect": inspected,
        "image": _image(client, inspected["Image"]),
        "uids": _uids(client, container_id),
        "execs": [_exec(client, exec_id) for exec_id in inspected.get("ExecIDs") or ()],
    }


def _image(client: docker.APIClient, image: str) -> dict[str, Any]:
    facts: dict[str, Any] = client.inspect_image(image)  # type: ignore[no-untyped-call]
    return facts


def _uids(client: docker.APIClient, container_id: str) -> list[int] | None:
    """Users of its processes as the kernel has them; None when the engine cannot say (an engine without ``ps``)."""
    with suppress(docker_errors.APIError, ValueError, KeyError):
        table = client.top(container_id, ps_args="-eo pid,uid")
        column = [title.upper() for title in table["Titles"]].index("UID")
        return sorted({int(row[column]) for row in table["Processes"]})
    return None


def _exec(client: docker.APIClient, exec_id: str) -> tuple[str, bool]:
    process = client.exec_inspect(exec_id).get("ProcessConfig") or {}
    return str(process.get("user") or ""), bool(process.get("privileged"))
