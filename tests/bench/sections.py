"""One function a section: it measures both tracers in turn and prints one table.

Takes a `Bench`. Each table begins with ratios, rbt to peer. What could not be measured is
printed as `-` with the reason below the table; it is never left out.
"""
import collections
import contextlib
import os
import re
import signal
import statistics
import subprocess
import tempfile
import time

import bpf
import scripts


class Bench:
    """The two tracers, the hand-written programs if wanted, the compiled tools, and what was
    asked for."""

    def __init__(self, ours, peer, floor, folder, chosen):
        self.tracers = [ours, peer]
        self.floor = floor
        self.folder = folder
        self.rounds = chosen.rounds
        self.calls = chosen.calls
        self.seconds = chosen.seconds
        self.only = chosen.only
        self.plot = chosen.plot
        self.kernel = chosen.kernel
        # The last CPU: interrupts and the machine's own work tend to be on the first.
        self.cpu = os.cpu_count() - 1
        self.notes = []

    def tool(self, name):
        return os.path.join(self.folder, name)

    def chosen(self, table):
        return [name for name in table if not self.only or any(word in name for word in self.only)]

    def in_turn(self, number):
        """The tracers, the first one changing from round to round."""
        return self.tracers[number % 2:] + self.tracers[:number % 2]

    def contenders(self, name, number=0):
        """Who is measured for a script of the cost table, each with what it is to run."""
        all_of_them = [(tracer, scripts.COST[name]) for tracer in self.in_turn(number)]
        if self.floor and name in scripts.FLOOR:
            all_of_them.append((self.floor, scripts.FLOOR[name]))
        return all_of_them

    def load(self, bursts):
        """Nanoseconds of CPU one call of the load takes: the lower quartile of some bursts, as
        whatever else happens on a machine only ever adds."""
        out = subprocess.run([self.tool("calls"), str(self.cpu), str(self.calls), str(bursts)],
                             stdout=subprocess.PIPE, text=True, check=True).stdout
        return sorted(map(float, out.split()))[bursts // 4]

    def note(self, what, tracer, error):
        self.notes.append(f"{tracer.name}, {what}: {error}")

    def finish(self, head, rows):
        """Prints a table and, below it, why anything is missing from it."""
        texts = [head] + [[cell if isinstance(cell, str) else figure(cell) for cell in row] for row in rows]
        widths = [max(len(row[column]) for row in texts) for column in range(len(head))]
        for row in texts:
            print("  ".join(cell.ljust(width) if column == 0 else cell.rjust(width)
                            for column, (cell, width) in enumerate(zip(row, widths))))
        for text in dict.fromkeys(self.notes):
            print(f"- {text}")
        self.notes.clear()


def figure(value):
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
    return f"{value:,}"


def median(values):
    return statistics.median(values) if values else None


def ratio(ours, peer):
    """Ours to the peer's; None where that says nothing."""
    return ours / peer if ours is not None and peer else None


def pairs(table, head, bench):
    """A row a script: for each figure its ratio first, then for each figure both values.
    `table` holds, by script and tracer, lists of tuples of figures, one a round; `head` names
    the figures and their units. With hand-written programs among them their figures come last,
    and their ratio to ours after the others."""
    names = [tracer.name for tracer in bench.tracers]
    ratios = [title for title, _ in head]
    if bench.floor and any(by_tracer[bench.floor.name] for by_tracer in table.values()):
        names.append(bench.floor.name)
        ratios += [f"{title} to {bench.floor.name}" for title, _ in head]
    rows = []
    for name, by_tracer in table.items():
        values = [[median(column) for column in zip(*by_tracer[one])] or [None] * len(head) for one in names]
        together = list(zip(*values))
        rows.append([name, *(ratio(ours, other[place]) for place in range(len(names) - 1)
                             for ours, *other in together),
                     *(" : ".join(map(figure, figures)) for figures in together)])
    print(f"ratios are {names[0]} : {names[1]}, figures {' : '.join(names)}")
    bench.finish(["", *ratios, *(f"{title}, {unit}" for title, unit in head)], rows)


def startup(bench):
    table = {name: collections.defaultdict(list) for name in bench.chosen(scripts.STARTUP)}
    for number in range(bench.rounds):
        for name in table:
            if number and name in scripts.STARTUP_ONCE:
                continue
            for tracer in bench.in_turn(number):
                script = scripts.STARTUP[name]
                # A script that exits by itself is not interrupted.
                stop = 0 if "exit()" in script else int(signal.SIGINT)
                out = subprocess.run([bench.tool("launch"), tracer.root, str(stop), "Attached ",
                                      *tracer.command, "-e", script], stdout=subprocess.PIPE, text=True).stdout
                attached, wall, cpu, memory, status = map(float, out.split())
                if attached < 0 or status != 0:
                    bench.note(name, tracer, f"ended with status {status:.0f}")
                else:
                    table[name][tracer.name].append((attached, cpu, memory / 1024, wall - attached))
    pairs(table, [("attached", "ms"), ("CPU", "ms"), ("memory", "MiB"), ("end", "ms")], bench)


def size(bench):
    rows = []
    figures = {}
    for tracer in bench.tracers:
        program = tracer.command[0]
        if not program.startswith("/"):
            program = f"/usr/bin/{program}"
        ldd = ["ldd", program] if tracer.root == "/" else ["chroot", tracer.root, "ldd", program]
        listing = subprocess.run(ldd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        libraries = re.findall(r"^\s+(?:\S+ => )?(/\S+) \(0x", listing, re.MULTILINE)
        inside = [os.stat(_in_root(tracer.root, path)).st_size for path in libraries]
        own = os.stat(_in_root(tracer.root, program)).st_size
        figures[tracer.name] = (own, len(libraries), sum(inside))
        print(f"{tracer.name}: {', '.join(sorted(map(os.path.basename, libraries))) or 'no shared library'}")
    ours, peer = (figures[tracer.name] for tracer in bench.tracers)
    for title, a, b in (("program, bytes", ours[0], peer[0]), ("shared libraries", ours[1], peer[1]),
                        ("libraries, bytes", ours[2], peer[2]),
                        ("all, bytes", ours[0] + ours[2], peer[0] + peer[2])):
        rows.append([title, ratio(a, b), a, b])
    bench.finish(["", "rbt:peer", "rbt", "peer"], rows)


def _in_root(root, path):
    """Where a path inside a root is from outside it, symbolic links followed inside."""
    if root == "/":
        return path
    out = subprocess.run(["chroot", root, "readlink", "-f", path], stdout=subprocess.PIPE, text=True).stdout
    return root + out.strip()


@contextlib.contextmanager
def _attached(bench, tracer, name, script):
    """A run that is attached, or None with a note why not."""
    try:
        with tracer.tracing(script) as run:
            yield run
    except RuntimeError as error:
        bench.note(name, tracer, error)
        yield None


def code(bench):
    table = {name: collections.defaultdict(list) for name in bench.chosen(scripts.COST)}
    for name in table:
        for tracer, script in bench.contenders(name):
            with _attached(bench, tracer, name, script) as run:
                held = run.programs().values() if run else ()
                if held:
                    table[name][tracer.name].append((sum(one.instructions for one in held),
                                                     sum(one.jited_bytes for one in held)))
    pairs(table, [("BPF", "instructions"), ("jited", "bytes")], bench)


def cost(bench):
    names = bench.chosen(scripts.COST)
    if scripts.EMPTY not in names:
        names.insert(0, scripts.EMPTY)  # what the figures of a run are net of
    table = {name: collections.defaultdict(list) for name in names}
    untraced = []
    for number in range(bench.rounds):
        for name in names:
            for tracer, script in bench.contenders(name, number):
                # Right before, each time: what a call takes changes with what else happens.
                base = bench.load(7)
                untraced.append(base)
                with _attached(bench, tracer, name, script) as run:
                    if run is None:
                        continue
                    added = bench.load(7) - base
                    before = run.programs()
                    with bpf.timing():
                        bench.load(1)
                    after = run.programs()
                # Programs that the load does not run, of BEGIN for instance, do not count.
                each = [(after[one].run_ns - before[one].run_ns) / runs for one in after if one in before
                        if (runs := after[one].runs - before[one].runs) > bench.calls // 2]
                table[name][tracer.name].append((added, sum(each)))
    # The kernel's own timing is in every run: an empty program reads some 60 ns.
    overhead = {name: median([run for _, run in rounds]) or 0.0
                for name, rounds in table[scripts.EMPTY].items()}
    for name in names:
        if name != scripts.EMPTY:
            programs = 2 if "two probes" in name else 1
            for tracer, rounds in table[name].items():
                table[name][tracer] = [(added, max(run - programs * overhead.get(tracer, 0.0), 0.0))
                                       for added, run in rounds]
    print(f"one untraced call: {figure(median(untraced))} ns; program ns are net of an empty program's")
    pairs(table, [("added", "ns"), ("program", "ns")], bench)


def printf(bench):
    table = collections.defaultdict(lambda: collections.defaultdict(list))
    for number in range(bench.rounds):
        for threads in sorted({1, os.cpu_count()}):
            name = f"{threads} thread{'s' * (threads > 1)}"
            for tracer in bench.in_turn(number):
                path = bench.tool("lines")
                with open(path, "wb") as sink:
                    try:
                        with tracer.tracing(scripts.PRINTF, stdout=sink) as run:
                            began = time.monotonic()
                            load = subprocess.Popen([bench.tool("calls"), "-1", "10000", "1000000000", str(threads)],
                                                    stdout=subprocess.DEVNULL)
                            time.sleep(bench.seconds)
                            load.kill()
                            load.wait()
                            took = time.monotonic() - began
                            busy = run.cpu_seconds() / took
                    except RuntimeError as error:
                        bench.note(name, tracer, error)
                        continue
                lines = 0
                with open(path, "rb") as text:
                    for line in text:
                        lines += line[:1].isdigit()
                os.unlink(path)
                lost = sum(map(int, re.findall(rb"Total lost event count: (\d+)", run.stderr)))
                table[name][tracer.name].append((lines / took, lost / took, busy))
    pairs(table, [("lines", "a second"), ("lost", "a second"), ("busy", "CPUs")], bench)


def keys(bench):
    table = collections.defaultdict(lambda: collections.defaultdict(list))
    for limit in (None, 200_000, 1_000_000):
        name = f"{limit:,} keys" if limit else "default limit"
        config = f"config = {{ max_map_keys = {limit} }} " if limit else ""
        for tracer in bench.tracers:
            path = bench.tool("keys")
            with open(path, "wb") as sink:
                try:
                    with tracer.tracing(config + scripts.KEYS.format(), stdout=sink) as run:
                        subprocess.run([bench.tool("calls"), str(bench.cpu), str(max(300_000, limit or 0)), "1"],
                                       stdout=subprocess.DEVNULL, check=True)
                        began = time.monotonic()
                        run.process.send_signal(signal.SIGINT)
                        peak = 0
                        while run.process.poll() is None and time.monotonic() - began < 60:
                            peak = max(peak, run.memory_kib("VmHWM"))
                            time.sleep(0.005)
                        took = time.monotonic() - began
                except RuntimeError as error:
                    bench.note(name, tracer, error)
                    continue
            with open(path, "rb") as text:
                shown = sum(line.startswith(b"@[") for line in text)
            os.unlink(path)
            table[name][tracer.name].append((peak / 1024, took * 1000, float(shown)))
    pairs(table, [("peak", "MiB"), ("end", "ms"), ("keys", "shown")], bench)


def stacks(bench):
    """A script that counts 10,000 different stacks of a program and shows them by name: the
    whole run beside that of a single stack, with the command as the traced process."""
    table = collections.defaultdict(lambda: collections.defaultdict(list))
    path = bench.tool("stacks")
    for number in range(bench.rounds):
        for word in scripts.STACKS:
            for count in (1, 10_000):
                name = f"{count:,} of {word}"
                for tracer in bench.in_turn(number):
                    argv = tracer.argv("-q", "-e", scripts.STACKS[word], "-c", f"{bench.tool('paths')} {count}")
                    began = time.monotonic()
                    with open(path, "wb") as sink:
                        run = subprocess.Popen(argv, stdout=sink, stderr=subprocess.DEVNULL)
                        _, status, used = os.wait4(run.pid, 0)
                    wall = time.monotonic() - began
                    run.returncode = os.waitstatus_to_exitcode(status)
                    with open(path, "rb") as text:
                        shown = sum(line.startswith(b"]: ") for line in text)
                    if run.returncode or not shown:
                        bench.note(name, tracer, f"ended with status {run.returncode}, {shown} stacks")
                        continue
                    busy = (used.ru_utime + used.ru_stime) * 1000
                    figures = (used.ru_maxrss / 1024, busy, wall * 1000, float(shown))
                    table[name][tracer.name].append(figures)
    pairs(table, [("peak", "MiB"), ("CPU", "ms"), ("wall", "ms"), ("stacks", "shown")], bench)


def stages(bench, tracer, text):
    """Microseconds of each stage of rbt's compiler, the quickest of many rounds; empty if it
    refuses the script."""
    path = bench.tool("compiled.bt")
    with open(path, "w") as script:
        script.write(text)
    run = subprocess.run(tracer.argv("--mode", "compiler-bench", path), stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
    found = re.findall(r"^(.+): ([\d.]+) us$", run.stdout, re.MULTILINE)
    if run.returncode or not found:
        bench.note("compile", tracer, run.stderr.strip()[:200] or "no stages")
        return {}
    return {name: float(micros) for name, micros in found}


def process(argv):
    """Milliseconds of CPU and of wall time of a whole run, and what it said if it failed."""
    with tempfile.TemporaryFile() as said:
        began = time.monotonic()
        run = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=said)
        _, status, used = os.wait4(run.pid, 0)
        wall = time.monotonic() - began
        run.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        lines = said.read().decode(errors="replace").splitlines()
    wrong = [line for line in lines if "ERROR" in line] or lines or [f"ended with status {run.returncode}"]
    figures = ((used.ru_utime + used.ru_stime) * 1000, wall * 1000)
    return figures, run.returncode and wrong[0][:200]


def compile_(bench):
    """From text to object: each stage for a tool of a hundred lines, both compilers from start
    to end, and how the time grows with the script."""
    ours, peer = bench.tracers
    tool = open(os.path.join(os.path.dirname(__file__), "tool.bt")).read()
    bench.finish([f"{ours.name}, {len(tool.splitlines())} lines", "us"],
                 [[name, micros] for name, micros in stages(bench, ours, tool).items()])

    # The whole process, which loads nothing: what remains beside the start is the compiler.
    runs = {"start alone": ["--version"], f"{len(tool.splitlines())} lines": tool}
    runs.update((f"{count:,} clauses", scripts.clauses(count)) for count in scripts.BESIDE)
    table = {name: collections.defaultdict(list) for name in runs}
    path = bench.tool("compiled.bt")
    for number in range(bench.rounds):
        for name, wanted in runs.items():
            arguments = wanted
            if isinstance(wanted, str):
                with open(path, "w") as script:
                    script.write(wanted)
                arguments = ["--mode", "codegen", path]
            for tracer in bench.in_turn(number):
                took, why = process(tracer.argv(*arguments))
                if why:
                    bench.note(name, tracer, why)
                else:
                    table[name][tracer.name].append(took)
    pairs(table, [("CPU", "ms"), ("wall", "ms")], bench)

    rows = []
    before = None
    for count in scripts.CLAUSES:
        micros = stages(bench, ours, scripts.clauses(count)).get("all")
        each = micros / count if micros else None
        rows.append([f"{count:,} clauses", micros / 1000 if micros else None, each,
                     each / before if each and before else None])
        before = each
    bench.finish([f"{ours.name}, growth", "ms", "us a clause", "to the row above"], rows)


ALL = {"startup": startup, "compile": compile_, "size": size, "code": code, "cost": cost, "printf": printf, "keys": keys,
       "stacks": stacks}
