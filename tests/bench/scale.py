"""How cost grows: with the script's length, its probes, the keys of a map, CPUs, event rate.

Takes a `Bench`; prints one table for each and, if a file is named, plots them into it. What
happens past a limit is in the tables: lost events are counted, keys that do not fit are not.
"""
import collections
import os
import re
import signal
import subprocess
import time

import plot
import sections

ENTER = "tracepoint:raw_syscalls:sys_enter"
CALLS = ("read write open close stat fstat lstat poll lseek mmap mprotect munmap brk ioctl access pipe select "
         "mremap msync mincore madvise dup dup2 pause nanosleep getitimer alarm setitimer getpid sendfile64 socket "
         "connect accept sendto recvfrom sendmsg recvmsg shutdown bind listen").split()


def scale(bench):
    panels = []
    for measure in (_length, _probes, _keys, _cpus, _rate):
        print(flush=True)
        panels += measure(bench)
    if bench.plot:
        with open(bench.plot, "w") as file:
            file.write(plot.svg(panels))
        print(f"\nplotted into {bench.plot}")


def _table(bench, title, label, xs, table, head):
    """`table` holds by x and tracer lists of tuples of figures. Prints it and gives a panel for
    each figure."""
    print(f"### {title}")
    sections.pairs({f"{x:,} {label}": table[x] for x in xs}, head, bench)
    panels = []
    for place, (name, unit) in enumerate(head):
        lines = {tracer.name: [sections.median([row[place] for row in table[x][tracer.name]]) for x in xs]
                 for tracer in bench.tracers}
        panels.append((title, label, f"{name}, {unit}", [f"{x:,}" for x in xs], lines))
    return panels


def _rounds(bench, xs, measure):
    table = {x: collections.defaultdict(list) for x in xs}
    for number in range(bench.rounds):
        for x in xs:
            for tracer in bench.in_turn(number):
                try:
                    row = measure(tracer, x)
                except RuntimeError as error:
                    bench.note(f"{x:,}", tracer, error)
                    continue
                table[x][tracer.name].append(row)
    return table


def _start(bench, tracer, script):
    out = subprocess.run([bench.tool("launch"), tracer.root, str(int(signal.SIGINT)), "Attached ",
                          *tracer.command, "-e", script], stdout=subprocess.PIPE, text=True).stdout
    attached, wall, _, memory, status = map(float, out.split())
    if attached < 0 or status != 0:
        raise RuntimeError(f"ended with status {status:.0f}")
    return attached, wall - attached, memory / 1024


def _length(bench):
    def measure(tracer, statements):
        body = " ".join(f"if (pid == {n}) {{ @m{n % 8}[comm, {n}] = count(); }}" for n in range(statements))
        attached, _, memory = _start(bench, tracer, f"{ENTER} {{ {body} }}")
        return attached, memory

    xs = (1, 10, 40, 100)
    return _table(bench, "the script's length", "statements", xs, _rounds(bench, xs, measure),
                  [("attached", "ms"), ("memory", "MiB")])


def _probes(bench):
    def measure(tracer, probes):
        names = ", ".join(f"tracepoint:syscalls:sys_enter_new{name}" if name in ("stat", "fstat", "lstat")
                          else f"tracepoint:syscalls:sys_enter_{name}" for name in CALLS[:probes])
        attached, end, _ = _start(bench, tracer, f"{names} {{ @[probe] = count(); }}")
        return attached, end

    xs = (1, 4, 10, 40)
    return _table(bench, "probes", "probes", xs, _rounds(bench, xs, measure), [("attached", "ms"), ("end", "ms")])


def _added(bench, tracer, script, threads=1):
    """Nanoseconds added to a call of the load while the script runs."""
    def load():
        out = subprocess.run([bench.tool("calls"), str(bench.cpu), str(bench.calls // 2), "5", str(threads)],
                             stdout=subprocess.PIPE, text=True, check=True).stdout
        values = sorted(map(float, out.split()))
        return values[len(values) // 4]

    base = load()
    with tracer.tracing(script):
        return (load() - base,)


def _keys(bench):
    def measure(tracer, keys):
        config = f"config = {{ max_map_keys = {max(keys, 4096)} }} "
        return _added(bench, tracer, f"{config}{ENTER} {{ @[nsecs % {keys}] = count(); }}")

    xs = (1, 100, 10_000, 100_000)
    return _table(bench, "keys of a map", "keys", xs, _rounds(bench, xs, measure), [("added", "ns")])


def _cpus(bench):
    def measure(tracer, threads):
        return _added(bench, tracer, f"{ENTER} {{ @[comm] = count(); }}", threads)

    xs = tuple(range(1, os.cpu_count() + 1)) if os.cpu_count() <= 4 else (1, os.cpu_count() // 2, os.cpu_count())
    return _table(bench, "CPUs", "CPUs", xs, _rounds(bench, xs, measure), [("added", "ns")])


def _rate(bench):
    def measure(tracer, rate):
        path = bench.tool("lines")
        with open(path, "wb") as sink:
            with tracer.tracing(f'{ENTER} /comm == "calls"/ {{ printf("%d %s\\n", pid, comm); }}',
                                stdout=sink) as run:
                load = subprocess.Popen([bench.tool("calls"), "-1", "100", "1000000000", "1", str(rate)],
                                        stdout=subprocess.DEVNULL)
                began, before = time.monotonic(), run.cpu_seconds()
                time.sleep(bench.seconds)
                load.kill()
                load.wait()
                took = time.monotonic() - began
                time.sleep(0.3)
                busy = (run.cpu_seconds() - before) / took
        with open(path, "rb") as text:
            lines = sum(line[:1].isdigit() for line in text)
        os.unlink(path)
        lost = sum(map(int, re.findall(rb"Total lost event count: (\d+)", run.stderr)))
        return lines / took, lost / took, busy

    xs = (10_000, 50_000, 200_000, 500_000, 2_000_000)
    return _table(bench, "lines of printf", "wanted a second", xs, _rounds(bench, xs, measure),
                  [("printed", "a second"), ("lost", "a second"), ("busy", "CPUs")])
