"""Memory, swap and disk against what our services may take (row G12)."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Mapping
from typing import Final

from gateway.maintenance.disk import DiskUse
from shared.doctor.rows import Row

GB: Final = 1 << 30
SYSTEM_SHARE: Final = 4 * GB
"""What the system and its page cache need of 24 GB; source: reference notes on Compose, budget."""
SWAP_WANTED: Final = 2 * GB
"""The policy's own figure."""
_ROUNDING: Final = 64 << 20


class _SysInfo(ctypes.Structure):
    """The kernel's ``struct sysinfo`` up to the field that we read; the rest is room for it to write into."""

    _fields_ = (
        ("uptime", ctypes.c_long),
        ("loads", ctypes.c_ulong * 3),
        ("memory", ctypes.c_ulong * 4),
        ("total_swap", ctypes.c_ulong),
        ("rest", ctypes.c_char * 256),
    )


def has_swap() -> bool:
    """Whether the machine has swap, asked by sysinfo(2): our unit sees neither /proc/swaps nor /proc/meminfo.

    Raises:
        OSError: the kernel does not say.
    """
    found = _SysInfo()
    if ctypes.CDLL(None, use_errno=True).sysinfo(ctypes.byref(found)) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "sysinfo(2)")
    return bool(found.total_swap)


def parse_meminfo(text: str) -> dict[str, int]:
    """``/proc/meminfo`` in bytes by name."""
    return {name: int(number) * 1024 for name, number in re.findall(r"^(\w+):\s+(\d+) kB$", text, flags=re.MULTILINE)}


def examine_swap(memory: Mapping[str, int]) -> Row:
    """Whether there is swap, so that a burst slows the machine down and kills nothing."""
    total = memory.get("SwapTotal", 0)
    if total + _ROUNDING >= SWAP_WANTED:
        return Row("HOST-SWAP", "ok", f"{total / GB:.1f} GB of swap")
    return Row(
        "HOST-SWAP",
        "warn",
        f"{total / GB:.1f} GB of swap, and 2 GB are wanted" if total else "there is no swap",
        "sudo fallocate -l 2G /swapfile && sudo chmod 600 /swapfile && sudo mkswap /swapfile && sudo swapon /swapfile,"
        " then add '/swapfile none swap sw 0 0' to /etc/fstab",
    )


def examine_disk(use: DiskUse, warn_percent: int) -> Row:
    """Whether the disk with the state has room."""
    detail = (
        f"{use.percent} % of {use.total / 1e9:.0f} GB are used where {use.path} lies, {use.free / 1e9:.1f} GB are free"
    )
    if use.percent < warn_percent:
        return Row("HOST-DISK", "ok", detail)
    return Row("HOST-DISK", "warn", detail, "clawgate maintenance run docker.prune; then look for what is large")


def examine_memory(limits: Mapping[str, int], workers: int, worker_bytes: int, total: int) -> Row:
    """Whether all may reach their limits at once without the kernel having to kill one.

    Args:
        limits: bytes each service may take, by name.
        workers: how many agents may run at once.
        worker_bytes: what each may take.
        total: memory of the machine.
    """
    asked = sum(limits.values()) + workers * worker_bytes
    parts = [f"{name} {size / GB:g}" for name, size in limits.items()] + [
        f"{workers} agents {worker_bytes / GB:g} each"
    ]
    detail = f"limits add up to {asked / GB:.1f} GB ({', '.join(parts)}) of {total / GB:.1f} GB"
    if asked + SYSTEM_SHARE <= total + GB // 2:
        return Row("HOST-MEMORY", "ok", detail)
    fits = max(1, (total - SYSTEM_SHARE - sum(limits.values())) // worker_bytes)
    return Row(
        "HOST-MEMORY",
        "warn",
        f"{detail}, and the system itself needs {SYSTEM_SHARE // GB} GB",
        f"set workers.max_workers = {fits} or a smaller workers.memory_mb in policies/gateway.toml",
    )
