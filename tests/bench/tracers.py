"""The programs that are compared, and how each is started and stopped.

Takes the path of an rbt and the folder tests/peer/setup filled. Gives `Tracer`s whose runs
cost nothing but themselves: bpftrace's mounts are made once, in a mount namespace that
`enter_mounts` gives this whole process, so that no run pays for them.
"""
import contextlib
import dataclasses
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import threading

import bpf

ATTACHED = b"Attached "
_INSIDE = "RBT_BENCH_INSIDE_MOUNTS"


@dataclasses.dataclass
class Tracer:
    """`command` is run with `root` as its root folder; only /tmp is at the same place in both."""
    name: str
    root: str
    command: list

    def argv(self, *arguments):
        """The whole command line, for a run that needs no exact timing."""
        start = [] if self.root == "/" else ["chroot", self.root]
        return [*start, *self.command, *arguments]

    @contextlib.contextmanager
    def tracing(self, script, stdout=subprocess.DEVNULL):
        """The script attached and running; interrupted and waited for at the end."""
        run = Run(subprocess.Popen(self.argv("-e", script), stdin=subprocess.DEVNULL,
                                   stdout=stdout, stderr=subprocess.PIPE))
        try:
            run.wait_attached()
            yield run
        finally:
            run.stop()


class Run:
    """A tracer at work. `stderr` grows while it runs."""

    def __init__(self, process):
        self.process = process
        self.pid = process.pid
        self.stderr = b""
        self._attached = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while piece := self.process.stderr.read1(65536):
            self.stderr += piece
            if ATTACHED in self.stderr[-len(piece) - len(ATTACHED):]:
                self._attached.set()
        self._attached.set()

    def wait_attached(self):
        """Raises RuntimeError, with what the tracer said, if it ended instead."""
        self._attached.wait(60)
        if ATTACHED not in self.stderr:
            said = self.stderr.decode(errors="replace").strip().splitlines()
            raise RuntimeError(said[-1] if said else f"ended with status {self.process.poll()}")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(2)

    def programs(self):
        """The BPF programs at work, by id."""
        return bpf.programs(self.pid)

    def memory_kib(self, field="VmRSS"):
        """A memory figure of /proc/PID/status, or 0 when the process is gone."""
        try:
            with open(f"/proc/{self.pid}/status") as status:
                found = re.search(rf"^{field}:\s+(\d+)", status.read(), re.MULTILINE)
        except OSError:
            found = None
        return int(found.group(1)) if found else 0

    def cpu_seconds(self):
        """CPU time of the tracer so far."""
        with open(f"/proc/{self.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Floor:
    """Hand-written programs, which stand where a tracer stands: built with clang, loaded and
    attached by the bpftool beside the peer, as older ones cannot attach. What is called a script
    is here the name of a program of floor/."""
    name = "C"
    _PINS = "/sys/fs/bpf/rbt-bench-floor"

    def __init__(self, source, folder, root):
        self.source = source
        self.folder = folder
        self.bpftool = ["chroot", root, "bpftool"]

    @contextlib.contextmanager
    def tracing(self, name):
        """The program attached; gone at the end. Raises RuntimeError when it cannot be had."""
        target = os.path.join(self.folder, f"{name}.o")
        headers = f"-I/usr/include/{platform.machine()}-linux-gnu"
        build = ["clang", "-O2", "-g", "-target", "bpf", "-mcpu=v3", headers, f"-DFLOOR_{name}",
                 "-c", self.source, "-o", target]
        maps = self._PINS + "-maps"
        load = [*self.bpftool, "prog", "loadall", target, self._PINS, "pinmaps", maps, "autoattach"]
        reader = None
        try:
            for command in (build, load):
                done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                if done.returncode:
                    raise RuntimeError((done.stdout.strip().splitlines() or [f"{command[0]} failed"])[-1])
            if os.path.exists(os.path.join(maps, "events")):
                reader = subprocess.Popen([os.path.join(self.folder, "drain"), os.path.join(maps, "events")],
                                          stdout=subprocess.DEVNULL)
            yield self
        finally:
            if reader:
                reader.kill()
                reader.wait()
            for pins in (self._PINS, maps):
                shutil.rmtree(pins, ignore_errors=True)

    def programs(self):
        """The BPF programs at work, by id."""
        links = subprocess.run([*self.bpftool, "--json", "--bpffs", "link"],
                               stdout=subprocess.PIPE, text=True, check=True)
        ids = [link["prog_id"] for link in json.loads(links.stdout)
               if any(pin.startswith(self._PINS) for pin in link.get("pinned", []))]
        return {number: bpf.program(number) for number in ids}


def rbt(path):
    return Tracer("rbt", "/", [os.path.abspath(path)])


def peer(folder):
    return Tracer("peer", os.path.join(folder, "root"), ["bpftrace"])


def enter_mounts(folder):
    """Starts this program over in a mount namespace in which the peer finds /proc, /sys, /dev
    and /tmp. Returns only there."""
    if os.environ.get(_INSIDE) != "1":
        os.environ[_INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--mount", sys.executable, *sys.argv])
    root = os.path.join(folder, "root")
    if not os.path.ismount("/sys/fs/bpf"):
        subprocess.run(["mount", "-t", "bpf", "bpf", "/sys/fs/bpf"], check=True)
    for shared in ("proc", "sys", "dev", "tmp"):
        subprocess.run(["mount", "--rbind", f"/{shared}", os.path.join(root, shared)], check=True)
    for kind, place in (("tracefs", "tracing"), ("debugfs", "debug")):
        target = os.path.join(root, "sys/kernel", place)
        if not os.path.isdir(os.path.join(target, "events")) and not os.path.isdir(os.path.join(target, "tracing")):
            subprocess.run(["mount", "-t", kind, kind, target], check=True)
