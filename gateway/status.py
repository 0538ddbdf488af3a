"""``clawgate status``: what the supervisor and each process say of themselves."""

from __future__ import annotations

from typing import Any

from shared.config.paths import Paths
from shared.errors import GatewayError, Unavailable
from shared.lifecycle.control import call


def collect_status(paths: Paths) -> dict[str, Any]:
    """Ask the supervisor, then each process; a process that does not answer is shown as such."""
    try:
        processes = call(paths.control_socket("up"), "status", timeout_s=5.0)
    except Unavailable:
        return {"ok": False, "state": str(paths.state), "processes": []}
    for process in processes:
        process["detail"], process["status"] = "", None
        if process["state"] != "ready":
            continue
        try:
            process["status"] = call(paths.control_socket(process["name"]), "status", timeout_s=5.0)
            process["detail"] = process["status"].get("summary", "")
        except GatewayError as error:
            process["detail"] = error.detail
    return {"ok": all(p["state"] == "ready" for p in processes), "state": str(paths.state), "processes": processes}
