"""What the kernel says about the BPF programs a process holds.

Takes process numbers; asks through bpf(2) and /proc. Never loads or changes a program; the
only thing it turns on is the kernel's own timing of programs, for as long as it is asked to.
Needs root.
"""
import contextlib
import ctypes
import dataclasses
import os
import platform

SYS_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
PROG_GET_FD_BY_ID, OBJ_GET_INFO_BY_FD, ENABLE_STATS = 13, 15, 32

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _ProgramInfo(ctypes.Structure):
    """struct bpf_prog_info of linux/bpf.h, as far as it is read here."""
    _fields_ = [(name, kind) for kind, names in [
        (ctypes.c_uint32, "type id"), (ctypes.c_uint64, "tag"),
        (ctypes.c_uint32, "jited_prog_len xlated_prog_len"),
        (ctypes.c_uint64, "jited_prog_insns xlated_prog_insns load_time"),
        (ctypes.c_uint32, "created_by_uid nr_map_ids"), (ctypes.c_uint64, "map_ids"),
        (ctypes.c_char * 16, "name"), (ctypes.c_uint32, "ifindex gpl"),
        (ctypes.c_uint64, "netns_dev netns_ino"),
        (ctypes.c_uint32, "nr_jited_ksyms nr_jited_func_lens"),
        (ctypes.c_uint64, "jited_ksyms jited_func_lens"),
        (ctypes.c_uint32, "btf_id func_info_rec_size"), (ctypes.c_uint64, "func_info"),
        (ctypes.c_uint32, "nr_func_info nr_line_info"),
        (ctypes.c_uint64, "line_info jited_line_info"),
        (ctypes.c_uint32, "nr_jited_line_info line_info_rec_size jited_line_info_rec_size nr_prog_tags"),
        (ctypes.c_uint64, "prog_tags run_time_ns run_cnt recursion_misses"),
        (ctypes.c_uint32, "verified_insns attach_btf_obj_id"),
    ] for name in names.split()]


@dataclasses.dataclass
class Program:
    """One loaded program. Sizes in instructions and bytes, times in nanoseconds."""
    name: str
    instructions: int
    jited_bytes: int
    verified_instructions: int
    runs: int
    run_ns: int


def _bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes.ljust(128, b"\0"), 128)
    result = _libc.syscall(SYS_BPF, command, buffer, len(buffer))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _words(*values):
    return b"".join(value.to_bytes(size, "little") for value, size in values)


def program_ids(pid):
    """The programs whose descriptors, or whose links' descriptors, the process holds."""
    ids = set()
    folder = f"/proc/{pid}/fdinfo"
    for entry in os.listdir(folder):
        with contextlib.suppress(OSError), open(os.path.join(folder, entry)) as lines:
            ids.update(int(line.split()[1]) for line in lines if line.startswith("prog_id:"))
    return sorted(ids - {0})


def program(number):
    """The program of that id, or None when it is gone."""
    try:
        descriptor = _bpf(PROG_GET_FD_BY_ID, _words((number, 4)))
    except OSError:
        return None
    try:
        info = _ProgramInfo()
        _bpf(OBJ_GET_INFO_BY_FD, _words((descriptor, 4), (ctypes.sizeof(info), 4), (ctypes.addressof(info), 8)))
    finally:
        os.close(descriptor)
    return Program(info.name.decode(), info.xlated_prog_len // 8, info.jited_prog_len,
                   info.verified_insns, info.run_cnt, info.run_time_ns)


def programs(pid):
    """Every program the process holds, by id."""
    held = {number: program(number) for number in program_ids(pid)}
    return {number: one for number, one in held.items() if one}


@contextlib.contextmanager
def timing():
    """The kernel counts and times every program's runs inside this block."""
    descriptor = _bpf(ENABLE_STATS, _words((0, 4)))
    try:
        yield
    finally:
        os.close(descriptor)
