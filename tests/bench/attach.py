"""The section `attach`: attaching to many places, and letting go of them.

Takes a `Bench`. User functions and tracepoints are attached to here; kernel functions in a
virtual machine of tests/vm, which has kprobes whatever this machine has, with both tracers in
it. A machine that is emulated is slow: its ratios count, its figures say little.
"""
import collections
import os
import re
import shutil
import signal
import subprocess

import scripts
import sections

# Functions of the program whose functions are attached to.
MOST = 10_000
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Libraries of the peer take that much.
GUEST_MEMORY = "4096"
GUEST_LIMIT = "1500"

HEAD = [("attached", "ms"), ("end", "ms"), ("CPU", "ms"), ("memory", "MiB")]


def attach(bench):
    program = _program(bench)
    rounds = bench.rounds
    here = {f"uprobes, {count:,}": scripts.ATTACH % f"uprobe:{program}:f_{prefix}"
            for count, prefix in ((1, "00000"), (100, "000*"), (1_000, "00*"), (10_000, "0*"))}
    events = _tracepoints(bench)
    for count in (1, 100, 300):
        here[f"tracepoints, {count}"] = scripts.ATTACH % ",".join(events[:count])
    table = {name: collections.defaultdict(list) for name in bench.chosen(here)}
    for number in range(rounds):
        for name in table:
            # The kernel needs half a minute to let go of as many perf events.
            if number and name == "tracepoints, 300":
                continue
            for tracer in bench.in_turn(number):
                _take(bench, table, name, tracer, subprocess.run(
                    [bench.tool("launch"), tracer.root, str(int(signal.SIGINT)), "Attached ",
                     *tracer.command, "-e", here[name]], stdout=subprocess.PIPE, text=True).stdout)
    sections.pairs(table, HEAD, bench)
    in_guest = bench.chosen(scripts.ATTACH_IN_GUEST)
    if in_guest:
        print(f"\nin a virtual machine, Linux {bench.kernel}:")
        _guest(bench, in_guest)


def _take(bench, table, name, tracer, line):
    """What tools/launch.c said of a run."""
    words = line.split()
    if len(words) != 5:
        bench.note(name, tracer, "not run")
        return
    attached, wall, cpu, memory, status = map(float, words)
    if attached < 0 or status != 0:
        bench.note(name, tracer, f"ended with status {status:.0f}")
    else:
        table[name][tracer.name].append((attached, wall - attached, cpu, memory / 1024))


def _program(bench):
    source, program = bench.tool("many.c"), bench.tool("many")
    with open(source, "w") as file:
        file.writelines(f"int f_{number:05}(int x) {{ return x + {number}; }}\n" for number in range(MOST))
        file.write("int main(void) { return 0; }\n")
    subprocess.run([os.environ.get("CC", "gcc"), "-O0", "-o", program, source], check=True)
    return program


def _tracepoints(bench):
    """System calls' tracepoints: every machine has some hundreds, and nothing waits in them."""
    ours = bench.tracers[0]
    listing = subprocess.run(ours.argv("-l", "tracepoint:syscalls:sys_enter_*"), stdout=subprocess.PIPE, text=True)
    return listing.stdout.split()


def _guest(bench, names):
    """Both tracers in one boot. The peer goes along with its libraries and nothing else."""
    ours, peer = bench.tracers
    small = _smaller_root(bench, peer)
    lines = ["mount -t proc proc /rbt/root/proc", "mount -t sysfs sysfs /rbt/root/sys",
             "mount --bind /sys/kernel/tracing /rbt/root/sys/kernel/tracing",
             "mount --bind /sys/kernel/debug /rbt/root/sys/kernel/debug",
             "mount --bind /tmp /rbt/root/tmp", "mount --bind /dev /rbt/root/dev"]
    for number in range(min(bench.rounds, 2)):
        for name in names:
            for tracer in bench.in_turn(number):
                root, command = ("/rbt/root", "/usr/bin/bpftrace") if tracer is peer else ("/", "/rbt/rbt")
                lines.append(f"echo '{name}|{tracer.name}|'$(/rbt/launch {root} 2 'Attached ' {command} -e "
                             f"'{scripts.ATTACH_IN_GUEST[name]}')")
    script = bench.tool("guest.sh")
    with open(script, "w") as file:
        file.write("\n".join(lines) + "\n")
    out = subprocess.run(
        [os.path.join(ROOT, "tests", "vm", "run"), "-m", GUEST_MEMORY, "-t", GUEST_LIMIT,
         "-f", f"{ours.command[0]}:rbt", "-f", f"{bench.tool('launch')}:launch", "-f", f"{small}:root",
         "-f", f"{script}:guest.sh", bench.kernel, "--", "sh", "/rbt/guest.sh"],
        stdout=subprocess.PIPE, text=True).stdout
    table = {name: collections.defaultdict(list) for name in names}
    by_name = {tracer.name: tracer for tracer in bench.tracers}
    for line in out.splitlines():
        name, tracer, said = line.split("|")
        _take(bench, table, name, by_name[tracer], said)
    sections.pairs(table, HEAD, bench)


def _smaller_root(bench, peer):
    """The peer's program and the libraries it is linked to, in a folder of their own."""
    root = bench.tool("root")
    program = "/usr/bin/bpftrace"
    listing = subprocess.run(["chroot", peer.root, "ldd", program], stdout=subprocess.PIPE, text=True).stdout
    for path in [program, *re.findall(r"(/\S+) \(0x", listing)]:
        real = subprocess.run(["chroot", peer.root, "readlink", "-f", path], stdout=subprocess.PIPE, text=True).stdout
        target = root + path
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy2(peer.root + real.strip(), target)
    for folder in ("proc", "sys", "tmp", "dev"):
        os.makedirs(os.path.join(root, folder), exist_ok=True)
    return root
