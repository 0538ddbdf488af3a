"""Supervises one installation: the gateway first, then every tenant, each for itself."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.broker.auth import hash_key
from gateway.settings import Settings
from gateway.supervisor.child import Child, ChildSpec
from gateway.supervisor.sources import POLL_S, watch
from gateway.tenants.names import TenantKind
from gateway.workers.development import NAME as DEV_MOUNT
from gateway.workers.settings import CONTAINER_SETTINGS
from shared.config.process import environment as environment_of
from shared.config.process import program_version
from shared.errors import Conflict, ExitCode, GatewayError, Invalid, NotFound, Unavailable
from shared.lifecycle.control import ControlServer, call, required_text
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger
from shared.secrets.files import Secret
from shared.secrets.keyring import KEYS_VARIABLE

_log = get_logger(__name__)

GATEWAY = "gateway"
UP = "up"
_READY_TIMEOUT_S = 60.0
ENTRY_POINTS = {"nanoclaw": "nanoclaw.cli", "openclaw": "openclaw.cli"}


class Supervisor:
    """Runs the gateway and its tenants; one tenant's crash leaves the others untouched.

    Args:
        settings: read by the caller, so that bad input is refused before anything starts.
        environment: added to every child's environment.
        log_dir: children's output goes to ``<name>.log`` in it; None leaves it on our standard error.
        patient: a process may die as often as it likes and is started again at once, for tests that kill it.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        environment: dict[str, str] | None = None,
        log_dir: Path | None = None,
        patient: bool = False,
    ) -> None:
        self._settings = settings
        self._paths = settings.paths
        self._environment = {
            "CLAWGATE_STATE": str(self._paths.state),
            "CLAWGATE_RUNTIME": str(self._paths.runtime),
            **(environment or {}),
        }
        self._log_dir = log_dir
        self._patient = patient
        self._tasks = TaskPool("supervisor")
        self._children: dict[str, Child] = {}
        self._control = ControlServer(
            self._paths.control_socket(UP),
            {
                "status": self._op_status,
                "restart": self._op_restart,
                "stop": self._op_stop,
                "tenants_changed": self._op_tenants_changed,
                "about": self._op_about,
                "succeed": self._op_succeed,
            },
        )
        self._changing = asyncio.Lock()
        self.stop_requested = asyncio.Event()
        self.successor: Path | None = None

    async def start(self) -> None:
        """Start the gateway, wait until it serves, then start the tenants and wait for each.

        Raises:
            Unavailable: the gateway did not come up; the message says with which exit.
        """
        await self._control.start()
        gateway = self._add(
            ChildSpec(
                GATEWAY,
                self._command("gateway.cli.main", "gateway"),
                {**self._environment, **_for_the_gateway_alone()},
                log_file=self._log_file(GATEWAY),
            )
        )
        if not await gateway.wait_ready(_READY_TIMEOUT_S):
            code = gateway.status.last_exit
            await self.stop()
            raise _not_started(GATEWAY, code)
        for name, tenant in self._settings.enabled_tenants().items():
            self._add_tenant(name, tenant.kind)
        await asyncio.gather(*(child.wait_ready(_READY_TIMEOUT_S) for child in self._children.values()))
        if (checkout := self._settings.checkout) is not None:
            sources = {
                name: (checkout / tenant.kind, checkout / "shared")
                for name, tenant in self._settings.enabled_tenants().items()
            }
            self._tasks.start(watch(sources, self._restart), name="sources")
            _log.warning("development.watching", checkout=str(checkout), every_s=POLL_S)

    def _add_tenant(self, name: str, kind: TenantKind) -> Child:
        user = self._settings.user_of(name)
        home = {"HOME": str(self._paths.tenant(name))} if user else {}
        return self._add(
            ChildSpec(
                name,
                self._command(ENTRY_POINTS[kind], "run", "--tenant", name),
                {**self._environment, **home},
                before_start=lambda: self._issue_key(name),
                user=(user.uid, user.gid) if user else None,
                log_file=self._log_file(name),
            )
        )

    def _add(self, spec: ChildSpec) -> Child:
        if self._patient:
            spec = replace(spec, first_delay_s=0.05, stable_after_s=0.0)
        child = Child(spec, self._paths.runtime)
        self._children[spec.name] = child
        self._tasks.start(child.run(), name=spec.name)
        return child

    def _command(self, module: str, *arguments: str) -> list[str]:
        return [sys.executable, "-m", module, *arguments]

    def _log_file(self, name: str) -> Path | None:
        return self._log_dir / f"{name}.log" if self._log_dir else None

    async def _issue_key(self, tenant: str) -> Secret:
        """Make the tenant's key for this start; the gateway keeps only its hash."""
        key = secrets.token_urlsafe(32)
        user = self._settings.user_of(tenant)
        params: dict[str, Any] = {"tenant": tenant, "sha256": hash_key(key), "uid": user.uid if user else os.geteuid()}
        deadline = asyncio.get_running_loop().time() + _READY_TIMEOUT_S
        while True:
            try:
                await asyncio.to_thread(call, self._paths.control_socket(GATEWAY), "tenant_key", **params)
                return Secret(key)
            except Unavailable:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(0.1)  # the gateway is being restarted

    async def stop(self, *, end_workers: bool = False) -> None:
        """End the tenants, then the gateway.

        Args:
            end_workers: also end the agents' containers, which otherwise survive for the next start to adopt.
        """
        tenants = [child for name, child in self._children.items() if name != GATEWAY]
        await asyncio.gather(*(child.stop() for child in tenants))
        if gateway := self._children.get(GATEWAY):
            if end_workers and gateway.status.state == "ready":
                try:
                    await asyncio.to_thread(call, self._paths.control_socket(GATEWAY), "end_workers")
                except GatewayError as error:
                    _log.warning("supervisor.workers_left", reason=error.detail)
            await gateway.stop()
        await self._tasks.drain(5.0)
        await self._tasks.close()
        await self._control.stop()

    def status(self) -> list[dict[str, str | int | None]]:
        """Every process's state."""
        return [child.status.as_json() for child in self._children.values()]

    async def _op_status(self, _params: dict[str, Any]) -> list[dict[str, str | int | None]]:
        return self.status()

    async def _op_restart(self, params: dict[str, Any]) -> dict[str, str]:
        name = str(params.get("name", ""))
        if name not in self._children:
            raise NotFound(f"no process {name!r}; there are: {', '.join(self._children)}")
        await self._restart(name)
        return {"restarted": name}

    async def _restart(self, name: str) -> None:
        child = self._children.get(name)
        if child is None:
            return  # a tenant that was removed meanwhile
        if child.ended:
            self._tasks.start(child.run(), name=name)  # a person has fixed what it failed of
        else:
            await child.restart()

    async def _op_tenants_changed(self, _params: dict[str, Any]) -> dict[str, list[str]]:
        """Stop tenants that policy has no more, start those that are new; the others go on undisturbed."""
        async with self._changing:
            found = await asyncio.to_thread(Settings.load, self._paths)
            before, wanted = self._settings.enabled_tenants(), found.enabled_tenants()
            running = {name for name in self._children if name != GATEWAY}
            gone = [name for name in running if name not in wanted or before[name].kind != wanted[name].kind]
            await asyncio.gather(*(self._children.pop(name).stop() for name in gone))
            await asyncio.to_thread(call, self._paths.control_socket(GATEWAY), "tenants_changed", timeout_s=60.0)
            self._settings = found
            new = {name: tenant for name, tenant in wanted.items() if name not in self._children}
            added = [self._add_tenant(name, tenant.kind) for name, tenant in new.items()]
            await asyncio.gather(*(child.wait_ready(_READY_TIMEOUT_S) for child in added))
            _log.info("supervisor.tenants_changed", added=sorted(new), removed=gone)
            return {"added": sorted(new), "removed": sorted(gone)}

    async def _op_about(self, _params: dict[str, Any]) -> dict[str, Any]:
        return {"version": program_version(), "pid": os.getpid(), "program": sys.executable}

    async def _op_succeed(self, params: dict[str, Any]) -> dict[str, bool]:
        """End everything in order; whoever runs us goes on as the program that is named."""
        program = Path(required_text(params, "program"))
        if not os.access(program, os.X_OK):
            raise Invalid(f"{program} is no program", code="upgrade.program")
        if self._settings.policy.sandbox:
            raise Conflict("a sandbox is started anew by hand", code="upgrade.sandbox")
        self.successor = program
        self.stop_requested.set()
        return {"stopping": True}

    async def _op_stop(self, _params: dict[str, Any]) -> dict[str, bool]:
        self.stop_requested.set()
        return {"stopping": True}


class NotStarted(Unavailable):
    """A process did not come up; its exit code is ours."""

    def __init__(self, detail: str, exit_code: int) -> None:
        super().__init__(detail, code="supervisor.not_started")
        self.remote_exit_code = exit_code


def _for_the_gateway_alone() -> dict[str, str]:
    """Where the engine is, how workers are made, and the vault's keys where the operator gives them from outside."""
    names = (KEYS_VARIABLE, "CREDENTIALS_DIRECTORY", DEV_MOUNT, *CONTAINER_SETTINGS)
    given = {name: environment_of(name) for name in names}
    return {"DOCKER_HOST": environment_of("DOCKER_HOST"), **{name: value for name, value in given.items() if value}}


def _not_started(name: str, code: int | None) -> NotStarted:
    why = f"exit {code}" if code is not None else f"not ready within {_READY_TIMEOUT_S:.0f} s"
    return NotStarted(f"{name} did not start ({why}); the line above says what to fix", code or ExitCode.UNAVAILABLE)
