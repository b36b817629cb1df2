"""The scripts that are measured: tables and nothing else."""

ENTER = "tracepoint:raw_syscalls:sys_enter"
EXIT = "tracepoint:raw_syscalls:sys_exit"

# System calls of twenty names, for tools of forty clauses.
CALLS = ("read write close poll lseek mmap mprotect munmap brk ioctl access pipe select mremap dup dup2 pause "
         "nanosleep getpid socket").split()


def _by_call(call):
    """Two clauses of a tool: how long one system call takes, by command, and what came of it."""
    return f"""
tracepoint:syscalls:sys_enter_{call} {{ @start[tid] = nsecs; @calls = count(); }}
tracepoint:syscalls:sys_exit_{call} /@start[tid]/ {{
  $us = (nsecs - @start[tid]) / 1000;
  @us["{call}", comm] = hist($us);
  if (args.ret < 0) {{ @failed["{call}", pid] = count(); }}
  if ($us > 1000000) {{ printf("%s[%d] %d us\\n", comm, pid, $us); }}
  delete(@start, tid);
}}
"""


# Measured from the start of the process to the attach notice and, after an interrupt, to the end.
STARTUP = {
    "BEGIN, exit": "BEGIN { exit(); }",
    "main job": f"{ENTER} {{ @[comm] = count(); }}",
    "latency by command": f"{ENTER} {{ @start[tid] = nsecs; }} {EXIT} /@start[tid]/ "
                          "{ @ns[comm] = hist(nsecs - @start[tid]); delete(@start, tid); }",
    "20 tracepoints": ", ".join(f"tracepoint:syscalls:sys_enter_{call}" for call in CALLS) + " { @[probe, comm] = count(); }",
    "tool of 40 clauses": "".join(map(_by_call, CALLS)),
    "every system call": "tracepoint:syscalls:sys_enter_* { @[probe] = count(); }",
}
# The peer needs half a minute for one run of these.
STARTUP_ONCE = {"every system call"}

# Measured at each of the load's system calls.
EMPTY = "nothing"
COST = {
    EMPTY: f"{ENTER} {{ }}",
    "@ = count()": f"{ENTER} {{ @ = count(); }}",
    "@[comm] = count()": f"{ENTER} {{ @[comm] = count(); }}",
    "@[pid, comm] = count()": f"{ENTER} {{ @[pid, comm] = count(); }}",
    "@ = hist(args.id)": f"{ENTER} {{ @ = hist(args.id); }}",
    "@ = lhist(args.id, ...)": f"{ENTER} {{ @ = lhist(args.id, 0, 400, 10); }}",
    "@[args.id] = count()": f"{ENTER} {{ @[args.id] = count(); }}",
    "@[args.id] = sum(1)": f"{ENTER} {{ @[args.id] = sum(1); }}",
    "@[args.id] = avg(...)": f"{ENTER} {{ @[args.id] = avg(args.id); }}",
    "@[args.id] = min(...)": f"{ENTER} {{ @[args.id] = min(args.id); }}",
    "@[args.id] = max(...)": f"{ENTER} {{ @[args.id] = max(args.id); }}",
    "@[args.id] = stats(...)": f"{ENTER} {{ @[args.id] = stats(args.id); }}",
    "@[args.id] = nsecs": f"{ENTER} {{ @[args.id] = nsecs; }}",
    "@++": f"{ENTER} {{ @++; }}",
    "/pid == 1/ @ = count()": f"{ENTER} /pid == 1/ {{ @ = count(); }}",
    "@[kstack] = count()": f"{ENTER} {{ @[kstack] = count(); }}",
    "@[ustack] = count()": f"{ENTER} {{ @[ustack] = count(); }}",
    "one named call": "tracepoint:syscalls:sys_enter_getppid { @[comm] = count(); }",
    "calls not named": "tracepoint:syscalls:sys_enter_swapon,tracepoint:syscalls:sys_enter_reboot { @[comm] = count(); } "
                       "tracepoint:syscalls:sys_exit_swapon,tracepoint:syscalls:sys_exit_reboot { @[comm] = count(); }",
    "printf of two values": f'{ENTER} {{ printf("%d %s\\n", pid, comm); }}',
    "latency, two probes": STARTUP["latency by command"],
    "nothing, two probes": f"{ENTER} {{ }} {EXIT} {{ }}",
}

# The hand-written programs of floor/ that do the same as a script above.
FLOOR = {
    EMPTY: "nothing",
    "@ = count()": "count",
    "@[comm] = count()": "count_by_comm",
    "@[pid, comm] = count()": "count_by_pid_comm",
    "@ = hist(args.id)": "hist",
    "@ = lhist(args.id, ...)": "lhist",
    "@[args.id] = count()": "count_by_id",
    "@[args.id] = sum(1)": "count_by_id",
    "@[args.id] = avg(...)": "avg_by_id",
    "@[args.id] = min(...)": "min_by_id",
    "@[args.id] = max(...)": "max_by_id",
    "@[args.id] = stats(...)": "stats_by_id",
    "@[args.id] = nsecs": "time_by_id",
    "@[kstack] = count()": "kstack",
    "@[ustack] = count()": "ustack",
    "@++": "increment",
    "/pid == 1/ @ = count()": "filter",
    "one named call": "one_call",
    "printf of two values": "print",
    "latency, two probes": "latency",
    "nothing, two probes": "nothing_twice",
}

# Lengths of the scripts whose compilation is timed.
CLAUSES = (10, 100, 1000, 10000)
# Those that both compilers are given; the peer needs minutes for more.
BESIDE = (10, 100, 1000)


def clauses(count):
    """A script of that many clauses, no two of them alike."""
    clause = ENTER + """ /pid == {n} && comm != "x{n}"/ {{
  @start{m}[tid] = nsecs;
  $x = args.id + {n};
  if ($x > 10) {{ @count[comm, $x] = count(); printf("%d %s %d\\n", pid, comm, $x); }}
  @us{m} = hist(nsecs - @start{m}[tid]);
}}
"""
    limits = "config = { max_probes = 100000; max_bpf_progs = 100000 }\n"
    return limits + "".join(clause.format(n=n, m=n % 7) for n in range(count))


# One line for each system call of the load.
PRINTF = f'{ENTER} {{ printf("%d %s\\n", pid, comm); }}'

# A key of its own for each system call of the load.
KEYS = ENTER + " {{ @[args.id, tid, nsecs] = count(); }}"

# Every stack of the load once.
STACKS = {word: "config = { max_map_keys = 20000; unstable_dw_ustack = enable } "
                f"tracepoint:syscalls:sys_enter_getpgid /args.pid == 77777/ {{ @[{word}] = count(); }}"
          for word in ("ustack", "dw_ustack")}

# What is attached to, filled in, as many as there are.
ATTACH = "config = { max_probes = 20000; max_bpf_progs = 20000 } %s { @ = count(); }"

# The same for functions of the kernel, which only a virtual machine may have probes of: about as
# many as their names say.
ATTACH_IN_GUEST = {
    "kprobe, 1": ATTACH % "kprobe:vfs_read",
    "kprobes, vfs_*": ATTACH.replace("@ =", "@[func] =") % "kprobe:vfs_*",
    "kprobes, 100": ATTACH % "kprobe:vfs_*",
    "kprobes, 1,000": ATTACH % "kprobe:tcp_*",
    "kprobes, 10,000": ATTACH % "kprobe:s*",
    "fentry, 1": ATTACH % "fentry:vfs_read",
}
