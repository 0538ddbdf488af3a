"""Landlock: what a process and its children may do with files, ports and signals. Standard library only.

Source: the kernel's userspace-api/landlock documentation; ABI 1 to 7. The three system calls have the same numbers on
x86-64 and ARM64.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Sequence
from enum import IntFlag

from shared.containment import kernel

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_RULE_PATH, _RULE_PORT = 1, 2
_CONNECT_TCP, _BIND_TCP = 2, 1
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1, 2


class Right(IntFlag):
    """File rights; the numbers are the kernel's."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


READ = Right.READ_FILE | Right.READ_DIR
RUN = READ | Right.EXECUTE
WRITE = (
    READ
    | Right.WRITE_FILE
    | Right.REMOVE_DIR
    | Right.REMOVE_FILE
    | Right.MAKE_DIR
    | Right.MAKE_REG
    | Right.REFER
    | Right.TRUNCATE
)
"""A scratch folder: files and folders, but nothing that could be executed, linked or connected to."""

_ON_FILES = Right.EXECUTE | Right.WRITE_FILE | Right.READ_FILE | Right.TRUNCATE | Right.IOCTL_DEV
_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}


def abi() -> int:
    """The kernel's Landlock version; 0 when there is none."""
    try:
        return kernel.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG))
    except OSError:
        return 0


def gaps(version: int) -> tuple[str, ...]:
    """What a kernel of this version cannot contain, in words, for the audit."""
    found = []
    if version < 1:
        found.append("no Landlock: commands can read whatever this user can read")
    if version < 3:
        found.append("files outside the scratch folder can be truncated")
    if version < 4:
        found.append("TCP connections are not limited to the egress proxy")
    if version < 6:
        found.append("signals to other processes of this user are possible")
    return tuple(found)


def restrict(rules: Sequence[tuple[str, Right]], *, connect_ports: Sequence[int] = ()) -> int:
    """Restrict this process for good to what the rules name, with every right the kernel knows handled.

    Args:
        rules: paths and what is permitted beneath them; a path that does not exist permits nothing.
        connect_ports: TCP ports that may be connected to, at any address.

    Returns:
        The kernel's version.

    Raises:
        OSError: the kernel has no Landlock, or refused.
    """
    version = abi()
    if version < 1:
        raise OSError(38, "this kernel has no Landlock")
    handled = (1 << _RIGHTS_BY_ABI[min(version, 5)]) - 1
    fields = [handled]
    if version >= 4:
        fields.append(_CONNECT_TCP | _BIND_TCP)
    if version >= 6:
        fields.append(_SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS)
    attributes = struct.pack(f"={len(fields)}Q", *fields)
    ruleset = kernel.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    try:
        for path, rights in rules:
            _permit_path(ruleset, path, int(rights) & handled)
        for port in connect_ports if version >= 4 else ():
            rule = struct.pack("=QQ", _CONNECT_TCP, port)
            kernel.syscall(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_RULE_PORT), rule, ctypes.c_uint32(0))
        kernel.give_up_new_privileges()
        kernel.syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)
    return version


def _permit_path(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= int(_ON_FILES)
        rule = struct.pack("=Qi", rights, descriptor)
        kernel.syscall(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_RULE_PATH), rule, ctypes.c_uint32(0))
    finally:
        os.close(descriptor)
