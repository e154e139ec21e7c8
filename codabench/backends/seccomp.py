"""A filter for system calls: what no scoring or prediction program needs, and what past break-outs began with.

The filter is a list of what is refused, so it is a second wall and not the first: namespaces and missing capabilities
hold without it. It takes away what they leave to everybody: further user namespaces, kernel keyrings, io_uring, bpf,
perf, sockets that lead to the hypervisor, typing into the caller's terminal.
"""

from __future__ import annotations

import errno
import platform
import struct

REFUSED: dict[str, tuple[int, int]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "delete_module": (176, 106),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pivot_root": (155, 41),
    "quotactl": (179, 60),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setns": (308, 268),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}
"""Name -> number on x86_64 and on aarch64; refused with EPERM whatever the arguments."""

CLONE3 = 435
"""Refused with ENOSYS: its flags lie in memory, where a filter cannot look, and libraries then use `clone`."""

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""Where the numbers above are known; the values are the kernel's AUDIT_ARCH."""

_CLONE = {"x86_64": 56, "aarch64": 220}
_IOCTL = {"x86_64": 16, "aarch64": 29}
_SOCKET = {"x86_64": 41, "aarch64": 198}
_NEW_NAMESPACE = 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000 | 0x00020000
_TERMINAL = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
_VSOCK = 40
_X32 = 0x40000000

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND = 0, 4, 16, 24  # offsets in what the kernel shows; arguments' low halves
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000


def program(machine: str | None = None) -> bytes | None:
    """The filter as the kernel takes it, or None for a processor whose numbers are not known here."""
    machine = machine or platform.machine()
    if machine not in ARCHITECTURES:
        return None
    column = list(ARCHITECTURES).index(machine)
    refuse, unknown = _ERROR | errno.EPERM, _ERROR | errno.ENOSYS
    # Programs for another processor (32 bits on 64) have other numbers for everything.
    lines = [_op(_LOAD, _ARCHITECTURE), _op(_EQUAL, ARCHITECTURES[machine], 1), _op(_RETURN, unknown)]
    lines.append(_op(_LOAD, _NUMBER))
    if machine == "x86_64":
        lines += [_op(_AT_LEAST, _X32, 0, 1), _op(_RETURN, unknown)]
    lines += [_op(_EQUAL, CLONE3, 0, 1), _op(_RETURN, unknown)]
    for numbers in REFUSED.values():
        lines += [_op(_EQUAL, numbers[column], 0, 1), _op(_RETURN, refuse)]
    lines += _by_argument(_CLONE[machine], _FIRST, [_op(_ANY_BIT, _NEW_NAMESPACE, 0, 1), _op(_RETURN, refuse)])
    typing = [each for request in _TERMINAL for each in (_op(_EQUAL, request, 0, 1), _op(_RETURN, refuse))]
    lines += _by_argument(_IOCTL[machine], _SECOND, typing)
    lines += _by_argument(_SOCKET[machine], _FIRST, [_op(_EQUAL, _VSOCK, 0, 1), _op(_RETURN, refuse)])
    lines.append(_op(_RETURN, _ALLOW))
    return b"".join(lines)


def _by_argument(number: int, argument: int, tests: list[bytes]) -> list[bytes]:
    """Look at an argument of one call; every other call skips the tests with its number still loaded."""
    return [_op(_EQUAL, number, 0, len(tests) + 2), _op(_LOAD, argument), *tests, _op(_RETURN, _ALLOW)]


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
