"""What an operator may set about workers (table ``[workers]`` of ``policies/gateway.toml``)."""

from __future__ import annotations

from pydantic import Field

from shared.config.strict import Strict


class WorkerPolicy(Strict):
    """Limits of every worker. There is no setting that widens the containment itself.

    Attributes:
        image: engine image whose command is the Claude command line; built by ``clawgate setup``.
        max_workers: containers alive at once, of all tenants together (operator policy: MAX_CONCURRENT_CONTAINERS).
        idle_timeout_s: seconds without a run after which a worker ends (operator policy: IDLE_TIMEOUT).
        pause_after_s: seconds without a run and without output after which a worker is frozen, which takes its load off
            the processors but keeps its memory; it goes on within 20 ms. 0 never does.
        standby_memory_mb: what all standby workers may hold together: paused containers, started ahead, whose agent is
            ready. Counted from what the engine measured when it paused them, 160 MB for one that was not measured
            yet. 0 refuses them all.
        stop_grace_s: seconds between SIGTERM and SIGKILL.
        start_deadline_s: seconds a container may take from creation to running.
        memory_mb: hard memory limit; swap is not allowed on top of it.
        cpus: processor shares; 2 is two whole cores.
        pids: processes and threads together.
        timezone: ``TZ`` of the container (policy N6).
        scratch_mb: size of each of the two in-memory folders, ``/tmp`` and the home folder.
        log_max_mb: size at which the engine turns over a worker's log; twice this much is kept, and it is as far
            back as a restarted gateway can catch up.
        ring_mb: recent output kept in our memory for each worker, so that re-attaching needs no log.
        group_disk_mb: what a group's folder and its conversations may take on disk. Above it no worker is started for
            the group, and one that works is ended at twice as much. No single file may grow beyond it.
        uid_when_root: user of the worker when its tenant runs as root. Never 0.
        debug_log: let the command line write its own log (``docker exec NAME cat /home/node/.claude/debug/latest``).
        max_retries: how often the command line itself retries a model call; few, so that the host decides.
    """

    image: str = Field(default="nanoclaw-agent:latest", pattern=r"^[a-z0-9][A-Za-z0-9._/:@-]{0,200}$")
    max_workers: int = Field(default=5, ge=1, le=64)
    idle_timeout_s: float = Field(default=1800.0, ge=1, le=7 * 86_400)
    pause_after_s: float = Field(default=60.0, ge=0, le=86_400)
    standby_memory_mb: int = Field(default=640, ge=0, le=65_536)
    stop_grace_s: int = Field(default=10, ge=1, le=120)
    start_deadline_s: float = Field(default=60.0, ge=1, le=600)
    memory_mb: int = Field(default=2048, ge=256, le=65_536)
    cpus: float = Field(default=2.0, gt=0, le=64)
    pids: int = Field(default=512, ge=64, le=8192)
    scratch_mb: int = Field(default=512, ge=16, le=16_384)
    log_max_mb: int = Field(default=32, ge=1, le=1024)
    ring_mb: float = Field(default=1.0, gt=0, le=256)
    group_disk_mb: int = Field(default=2048, ge=16, le=1 << 20)
    uid_when_root: int = Field(default=1000, ge=1, le=2**31 - 2)
    timezone: str = Field(default="Asia/Seoul", pattern=r"^[A-Za-z0-9_+/-]{1,64}$")
    debug_log: bool = True
    max_retries: int = Field(default=2, ge=0, le=10)
