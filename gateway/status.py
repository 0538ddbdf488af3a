"""``clawgate status``: what the supervisor and each process say of themselves."""

from __future__ import annotations

from typing import Any

from gateway.settings import Settings
from shared.config.paths import Paths
from shared.errors import GatewayError, Unavailable
from shared.lifecycle.control import call

_PATIENCE_S = 5.0


def collect_status(paths: Paths) -> dict[str, Any]:
    """Ask the supervisor, then each process; a process that does not answer is shown as such.

    Without a supervisor, as under systemd, every process that there should be is asked.
    """
    try:
        processes = call(paths.control_socket("up"), "status", timeout_s=_PATIENCE_S)
    except Unavailable:
        names = ["gateway", *(name for name, tenant in Settings.policy_of(paths).tenants.items() if tenant.enabled)]
        processes = [_unsupervised(paths, name) for name in names]
        if all(process["state"] == "stopped" for process in processes):
            return {"ok": False, "state": str(paths.state), "processes": []}
        return _report(paths, processes)
    for process in processes:
        process["detail"], process["status"] = "", None
        if process["state"] == "ready":
            _ask(paths, process)
    return _report(paths, processes)


def _unsupervised(paths: Paths, name: str) -> dict[str, Any]:
    process: dict[str, Any] = {
        "name": name,
        "state": "ready",
        "pid": None,
        "restarts": None,
        "reason": "",
        "detail": "",
    }
    if (error := _ask(paths, process)) is not None:
        process["state"] = "stopped" if error.code == "control.not_running" else "starting"
    elif process["status"]:
        process["pid"] = process["status"].get("pid")
    return process


def _ask(paths: Paths, process: dict[str, Any]) -> GatewayError | None:
    process["status"] = None
    try:
        process["status"] = call(paths.control_socket(process["name"]), "status", timeout_s=_PATIENCE_S)
        process["detail"] = process["status"].get("summary", "")
    except GatewayError as error:
        process["detail"] = error.detail
        return error
    return None


def _report(paths: Paths, processes: list[dict[str, Any]]) -> dict[str, Any]:
    return {"ok": all(p["state"] == "ready" for p in processes), "state": str(paths.state), "processes": processes}
