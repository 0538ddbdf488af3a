"""Gathers what the checks look at: asks processes, the engine and the kernel, and reads policies. Blocks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Final, TypeVar

from gateway.audit.chain import Chain
from gateway.audit.containers import Seen, from_engine, moment, planned
from gateway.audit.facts import Asked, Facts, Knock, Machine, Running
from gateway.audit.policy import Deployment, Profile, load_advisories, load_audit
from gateway.audit.probes import forged_callers, unsigned_media
from gateway.backup.policy import load_backup
from gateway.backup.scan import live_secrets
from gateway.backup.store import read_records
from gateway.budget.policy import load_budgets
from gateway.credentials.vault import open_vault
from gateway.egress.policy import load_egress
from gateway.host.room import has_swap
from gateway.maintenance.report import jobs_of, processes_of
from gateway.settings import Settings, engine_address
from gateway.social.policy import SocialPolicy
from gateway.tunnel.policy import TunnelPolicy
from gateway.workers.instance import installation_id
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.paths import Paths
from shared.config.toml import load_policy
from shared.config.upstreams import Upstreams
from shared.errors import ConfigError, GatewayError, Unavailable
from shared.lifecycle.container import is_contained, published
from shared.lifecycle.control import call
from shared.lifecycle.listening import listening_on
from shared.secrets.files import Secret
from shared.storage import Database

T = TypeVar("T")

_PART_LIMIT_S: Final = 120.0
_PROGRAM: Final = Path(__file__).resolve().parents[2]
_LOCKS: Final = (_PROGRAM / "clawgate_lock.txt", _PROGRAM / "requirements" / "runtime.txt")
"""Beside an installed program, and in a checkout."""
_GATEWAY_UNIT: Final = "clawgate-gateway.service"


def gather(paths: Paths, *, clock: Clock = SYSTEM_CLOCK) -> Facts:
    """One look at an installation.

    Raises:
        ConfigError: a policy file cannot be used, so that nobody knows what should hold.
    """
    settings = _settings(paths)
    policy, social = load_audit(paths), load_policy("social", SocialPolicy, paths)
    tunnel = load_policy("tunnel", TunnelPolicy, paths)
    gateway = _ask(lambda: call(paths.control_socket("gateway"), "audit.part", timeout_s=_PART_LIMIT_S))
    parts = {
        name: _ask(lambda name=name: call(paths.control_socket(name), "audit.part", timeout_s=_PART_LIMIT_S))  # type: ignore[misc]
        for name in settings.enabled_tenants()
    }
    profile = Profile(
        deployment=_deployment(settings, policy.deployment, gateway),
        engine=settings.policy.engine.kind,
        tunnel=bool(tunnel.name),
        access=bool(tunnel.access.team),
        media=bool(social.media.public_base),
        posting=bool(social.tenants),
        backups=tuple(sorted(load_backup(paths).remotes)),
        model_api=settings.policy.model_api.enabled,
        nanoclaw=tuple(settings.tenants_of("nanoclaw")),
        openclaw=tuple(settings.tenants_of("openclaw")),
    )
    found = _engine(settings, paths, gateway) if profile.engine == "docker" else Asked(reason="there are no containers")
    return Facts(
        paths=paths,
        settings=settings,
        policy=policy,
        advisories=load_advisories(paths),
        profile=profile,
        now=clock.now(),
        budgets=load_budgets(paths),
        social=social,
        tunnel=tunnel,
        containers=Asked(found.answer[0] if found.answer else None, found.reason),
        engine=Asked(found.answer[1] if found.answer else None, found.reason),
        processes={name: _then(part, _running) for name, part in {"gateway": gateway, **parts}.items()},
        sign_ins=_ask(lambda: call(paths.control_socket("gateway"), "auth_status")),
        jobs={process.name: _ask(lambda process=process: jobs_of(process, paths)) for process in processes_of(paths)},  # type: ignore[misc]
        posts=_ask(lambda: call(paths.control_socket("gateway"), "posts_list", limit=200)["posts"]),
        backups=_ask(lambda: _backups(paths)),
        drill=_drill(gateway, parts),
        knocks=_ask(lambda: _knocks(settings)),
        tenants={name: _then(part, lambda answer: list(answer["findings"])) for name, part in parts.items()},
        shipped=frozenset(text for part in parts.values() if part.answer for text in part.answer.get("shipped", ())),
        live=_ask(lambda: _live(settings)),
        accepted=_ask(lambda: Chain(paths).accepted()),
        served=_ask(lambda: list(unsigned_media(social.media.host, gateway.get()["media_port"]))),
        listening=listening_on,
        published=published(),
        installed={dist.metadata["Name"].lower().replace("_", "-"): dist.version for dist in distributions()},
        machine=_ask(lambda: _machine(paths)),
        lock=_ask(lambda: read_lock(next((file for file in _LOCKS if file.exists()), _LOCKS[0]))),
    )


def _ask(question: Callable[[], T]) -> Asked[T]:
    try:
        return Asked(question())
    except GatewayError as error:
        return Asked(reason=error.detail)
    except OSError as error:
        return Asked(reason=f"{error.filename or 'a file'}: {error.strerror}")
    except (KeyError, ValueError, TypeError) as error:
        return Asked(reason=f"the answer cannot be read ({type(error).__name__})")


def _then(asked: Asked[Any], work: Callable[[Any], T]) -> Asked[T]:
    return _ask(lambda: work(asked.get()))


def _settings(paths: Paths) -> Settings:
    """As a start would load them; what a start would refuse for its secrets' sake is a finding here, not the end."""
    try:
        return Settings.load(paths)
    except ConfigError:
        policy = Settings.policy_of(paths)
        return Settings(
            paths,
            policy,
            load_policy("upstreams", Upstreams, paths),
            load_egress(paths, sandbox=policy.sandbox, search_key="-"),
            {},
        )


def _live(settings: Settings) -> dict[str, Secret]:
    if not settings.env:
        settings = Settings.load(settings.paths)  # says why there is nothing
    stored = open_vault(settings.paths).values(lambda _tenant, _name: True)
    return {what: Secret(value) for what, value in live_secrets(settings.env, stored).items()}


def _deployment(settings: Settings, declared: Deployment, gateway: Asked[Any]) -> Deployment:
    """What is seen to run goes before what is declared."""
    if settings.policy.sandbox:
        return "sandbox"
    seen: str = gateway.answer.get("deployment", "") if gateway.answer else ""
    return "systemd" if seen == "systemd" else "compose" if seen == "compose" else declared


def observed_deployment() -> str:
    """How this very process is run: by our unit, in a container, or otherwise (empty)."""
    try:
        if _GATEWAY_UNIT in Path("/proc/self/cgroup").read_text(encoding="ascii"):
            return "systemd"
    except OSError:
        return ""
    # `init: true` of compose.yaml makes the engine's own init our parent.
    return "compose" if os.getppid() == 1 and is_contained() else ""


def _engine(settings: Settings, paths: Paths, gateway: Asked[Any]) -> Asked[tuple[Sequence[Seen], str]]:
    from gateway.workers.inspection import inspect_all

    def look() -> tuple[Sequence[Seen], str]:
        address = gateway.answer["engine"] if gateway.answer else engine_address(settings)
        instance = installation_id(paths)
        found, image, version = inspect_all(address, instance, settings.policy.workers.image)
        created, image_id = moment(image.get("Created")), str(image["Id"])
        plans = [replace(plan, image_created=created) for plan in planned(settings, instance, image_id)]
        return [*(from_engine(facts) for facts in found), *plans], version

    return _ask(look)


def _running(answer: Mapping[str, Any]) -> Running:
    process = answer["process"]
    return Running(int(process["pid"]), frozenset(process["variables"]), holds_lock=bool(process["holds_lock"]))


def _drill(gateway: Asked[Any], parts: Mapping[str, Asked[Any]]) -> Asked[Mapping[str, str]]:
    def join() -> dict[str, str]:
        answers: dict[str, str] = dict(gateway.get()["drill"])
        for part in parts.values():
            for what, came in (part.get().get("drill") or {}).items():
                answers[what] = came if answers.get(what, "refused") == "refused" else answers[what]
        return answers

    return _ask(join)


def _knocks(settings: Settings) -> list[Knock]:
    return [
        knock
        for name in settings.enabled_tenants()
        for knock in forged_callers(name, settings.paths.tenant_socket(name))
    ]


def _backups(paths: Paths) -> dict[str, dict[str, Any]]:
    rows = Database(paths.gateway_db, migrations="gateway.migrations").read_at_rest(read_records)
    return {row.tenant: row.as_json() for row in rows}


def _machine(paths: Paths) -> Machine:
    use = shutil.disk_usage(paths.state)
    main = Path("/etc/ssh/sshd_config")
    files = [main, *sorted(Path("/etc/ssh/sshd_config.d").glob("*.conf"))] if main.exists() else []
    sshd = "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files)
    return Machine(100 * use.used // use.total, has_swap=has_swap(), sshd=sshd)


def read_lock(file: Path) -> dict[str, str]:
    """Locked versions by name.

    Raises:
        Unavailable: there is no lock beside the program, or something in it has no hash.
    """
    if not file.exists():
        raise Unavailable(f"{file} is not there, so nothing can be compared with it")
    found = {}
    for line in file.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        requirement = line.partition("--hash")[0].strip()
        if not requirement or requirement.startswith(("#", "-")):
            continue
        name, _, rest = requirement.partition("==")
        if "--hash=sha256:" not in line or not rest:
            raise Unavailable(f"{file}: {name.strip()} is not locked by hash")
        found[name.partition("[")[0].strip().lower().replace("_", "-")] = rest.partition(";")[0].strip()
    return found
