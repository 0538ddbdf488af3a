"""A seccomp filter: no sockets but TCP, no way around Landlock, no reading of other processes. Standard library only.

Landlock lets a process connect to any unix socket whose path it can name; this filter closes that.
Source: the kernel's seccomp_filter documentation; numbers of the x86-64 and ARM64 system call tables.
"""

from __future__ import annotations

import ctypes
import platform
import struct
from dataclasses import dataclass

from shared.containment import kernel

_LOAD, _JEQ, _JGE, _JSET, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_AT_NUMBER, _AT_ARCHITECTURE, _AT_ARGUMENT_0, _AT_ARGUMENT_1 = 0, 4, 16, 24
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_EPERM, _ENOSYS = 0x00050001, 0x00050026
_X32_BIT = 0x40000000
_NEW_NAMESPACES = 0x7E020000  # CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}
_AF_INET, _AF_INET6, _SOCK_STREAM, _SOCK_TYPE_MASK = 2, 10, 1, 0xF


@dataclass(frozen=True, slots=True)
class _Numbers:
    architecture: int
    socket: int
    clone: int
    refused: tuple[int, ...]
    has_x32: bool = False


_CLONE3 = 435
# io_uring_{setup,enter,register}, open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, pidfd_getfd, mount_setattr,
# memfd_secret
_REFUSED_EVERYWHERE = (425, 426, 427, 428, 429, 430, 431, 432, 433, 438, 442, 447)
_BY_MACHINE = {
    # ptrace, process_vm_{readv,writev}, unshare, setns, mount, umount2, pivot_root, chroot, {add_,request_}key, keyctl,
    # bpf, perf_event_open, userfaultfd, kexec_load, {init,finit,delete}_module, reboot, swapon, swapoff,
    # name_to_handle_at, open_by_handle_at, quotactl, acct, settimeofday, clock_settime, kcmp, execveat
    "x86_64": _Numbers(
        0xC000003E,
        socket=41,
        clone=56,
        refused=(
            *(101, 310, 311, 272, 308, 165, 166, 155, 161, 248, 249, 250, 321, 298, 323, 246, 175, 313, 176, 169),
            *(167, 168, 303, 304, 179, 163, 164, 227, 312, 322),
        ),
        has_x32=True,
    ),
    "aarch64": _Numbers(
        0xC00000B7,
        socket=198,
        clone=220,
        refused=(
            *(117, 270, 271, 97, 268, 40, 39, 41, 51, 217, 218, 219, 280, 241, 282, 104, 105, 273, 106, 142),
            *(224, 225, 264, 265, 60, 89, 170, 112, 272, 281),
        ),
    ),
}


def is_supported(machine: str = "") -> bool:
    """Whether the filter knows this machine's system calls."""
    return (machine or platform.machine()) in _BY_MACHINE


def build_filter(machine: str, *, tcp: bool) -> bytes:
    """The BPF program, eight bytes an instruction.

    Args:
        machine: ``x86_64`` or ``aarch64``.
        tcp: TCP sockets may be made; all others never.

    Raises:
        KeyError: the machine is not known.
    """
    numbers = _BY_MACHINE[machine]
    program = [_jump_or(_JEQ, numbers.architecture, _KILL, at=_AT_ARCHITECTURE)]
    program.append(_instruction(_LOAD, _AT_NUMBER))
    if numbers.has_x32:
        program.append(_instruction(_JGE, _X32_BIT, 0, 1) + _instruction(_RETURN, _EPERM))
    refuse = _instruction(_RETURN, _EPERM)
    program += [_instruction(_JEQ, number, 0, 1) + refuse for number in (*_REFUSED_EVERYWHERE, *numbers.refused)]
    # The C library falls back to clone, whose flags can be looked at.
    program.append(_instruction(_JEQ, _CLONE3, 0, 1) + _instruction(_RETURN, _ENOSYS))
    clone = _instruction(_LOAD, _AT_ARGUMENT_0) + _instruction(_JSET, _NEW_NAMESPACES, 0, 1)
    clone += _instruction(_RETURN, _EPERM) + _instruction(_RETURN, _ALLOW)
    program.append(_instruction(_JEQ, numbers.clone, 0, len(clone) // 8) + clone)
    sockets = _sockets() if tcp else _instruction(_RETURN, _EPERM)
    program.append(_instruction(_JEQ, numbers.socket, 0, len(sockets) // 8) + sockets)
    program.append(_instruction(_RETURN, _ALLOW))
    return b"".join(program)


def _sockets() -> bytes:
    """IPv4 or IPv6, and streams only."""
    refuse = _instruction(_RETURN, _EPERM)
    family = _instruction(_LOAD, _AT_ARGUMENT_0)
    family += _instruction(_JEQ, _AF_INET, 2, 0) + _instruction(_JEQ, _AF_INET6, 1, 0) + refuse
    kind = _instruction(_LOAD, _AT_ARGUMENT_1) + _instruction(_AND, _SOCK_TYPE_MASK)
    return family + kind + _instruction(_JEQ, _SOCK_STREAM, 1, 0) + refuse + _instruction(_RETURN, _ALLOW)


def _jump_or(code: int, value: int, otherwise: int, *, at: int) -> bytes:
    return _instruction(_LOAD, at) + _instruction(code, value, 1, 0) + _instruction(_RETURN, otherwise)


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def restrict(*, tcp: bool) -> None:
    """Install the filter in this process for good.

    Raises:
        OSError: the kernel refused.
        KeyError: this machine's system calls are not known.
    """
    code = build_filter(platform.machine(), tcp=tcp)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    kernel.give_up_new_privileges()
    kernel.install_seccomp(ctypes.byref(program))
