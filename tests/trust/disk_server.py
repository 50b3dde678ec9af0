"""A process whose calls to the disk pass through `faults.c`: it runs writers, in children, and says what they left.

A line of JSON in, `{"writer": ..., "mode": ..., "most": ...}`, a line of JSON out: how many faults there were, and what
is wrong. Each run is a child of its own, so that it may be killed, and so that nothing of it is left in memory.
"""

import ctypes
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import warnings
from fnmatch import fnmatch
from itertools import count
from pathlib import Path

from disk_writers import ENOUGH, SOURCES, WRITERS, greedy, make_sources

SHIM = ctypes.CDLL(None)
MODES = {"once": 1, "full": 2, "short": 3, "kill": 4, "slow": 5}  # as in faults.c
HOME = SOURCES.parent / "home"
SMALL = SOURCES.parent / "small"  # a file system of its own in memory, where it may be mounted
LIMITS = (0, 1, 100, 1000, 4000, 16_000, 64_000, 256_000, 1_000_000)  # bytes of a file
SPARE = 2**28  # bytes of memory beyond what a process has when its memory is limited
PAGES = (0, 1, 2, 3, 4, 6, 8, 16, 32, 64, 256)  # of room on the small file system


def snapshot(home):
    """By path the bytes of each file."""
    files = sorted(path for path in home.rglob("*") if path.is_file())
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in files}


def begin(action, home, mode="", step=0):
    """Run the action in a child; returns its process and where its words come out."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # later Pythons warn that other threads do not come along
        process = os.fork()
    if process:
        os.close(writer)
        return process, reader
    said = {"error": None}
    try:
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        strike(mode, step, home)
        action(home)
    except BaseException as error:
        said["error"] = f"{type(error).__name__}: {error}"
    said["fired"] = SHIM.faults_fired() or greedy["calls"] >= greedy["from"]
    said["count"] = SHIM.faults_count()
    SHIM.faults_arm(b"/", 0, 0)
    if mode in ("limit", "memory"):
        lift = resource.RLIMIT_AS if mode == "memory" else resource.RLIMIT_FSIZE
        resource.setrlimit(lift, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    os.write(writer, json.dumps(said).encode())
    os._exit(0)


def strike(mode, step, home):
    """Let the disk or the memory of this process end."""
    if mode in MODES:
        SHIM.faults_arm(f"{home}/".encode(), MODES[mode], step)
    most = resource.RLIM_INFINITY
    if mode == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMITS[step - 1], most))
    if mode == "memory":
        greedy.update({"calls": 0, "from": step})
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + SPARE, most))


def end(child):
    """Wait for a child: its words, or by which signal it was killed."""
    process, reader = child
    with os.fdopen(reader) as words:
        text = words.read()
    _, status = os.waitpid(process, 0)
    if os.WIFSIGNALED(status):
        return {"error": None, "fired": 1, "signal": os.WTERMSIG(status)}
    return json.loads(text)


def matches(name, patterns):
    return any(fnmatch(name, pattern) for pattern in patterns)


class Trial:
    """A writer, the files before and after a run of it that nothing disturbs, and what was found wrong."""

    def __init__(self, name):
        self.writer = WRITERS[name]
        self.begin_anew()
        self.old, self.new = {}, {}
        self.prepare()
        # in this process, so that what is imported at first use is there for all children
        self.writer.before(self.home)
        self.old = snapshot(self.home)
        self.writer.write(self.home)
        self.new = snapshot(self.home)

    def begin_anew(self):
        self.home = HOME
        self.complaints = []
        self.faults = self.kills = 0

    def prepare(self):
        """Lay out the files as they are before the run."""
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)
        for name, content in self.old.items():
            path = self.home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def require_well(self, said, where):
        if said["error"] or said.get("signal"):
            self.complaints.append(f"{where}: {said}")

    def look(self, said, where):
        """What was whole before is whole, drafts are gone, and the error names the file."""
        left = snapshot(self.home)
        killed = "signal" in said
        for name in self.old.keys() | left.keys():
            old, new, now = (files.get(name) for files in (self.old, self.new, left))
            is_draft = Path(name).name.startswith(".") or name.startswith(".")
            passing = now is not None and (matches(name, self.writer.passing) or (killed and is_draft))
            passing |= matches(name, self.writer.growing)
            if now not in (old, new) and not passing:
                self.complaints.append(f"{where}: {name} is neither as before nor as after")
        if not killed and said["error"] is None and not self.is_after(left):
            self.complaints.append(f"{where}: ended without an error, and lacks something")
        if said["error"] and not self.names_file(said["error"]):
            self.complaints.append(f"{where}: the error names no file: {said['error'][:200]}")
        self.require_well(end(begin(self.writer.read, self.home)), f"{where}, read")

    def look_at_memory(self, said, step):
        """The end of memory is none of a file: it is told in words of its own."""
        clear = said["error"] and ("MemoryError" in said["error"] or "can't allocate memory" in said["error"])
        if not clear:
            self.complaints.append(f"memory {step}: {said}"[:300])
        said["error"] = f"{self.home}: {said['error']}"

    def is_after(self, left):
        """Whether these are the files of a run that ended well; what it could not remove may be left."""
        return all(left.get(name) == content for name, content in self.new.items())

    def names_file(self, error):
        known = {Path(name).name for name in self.new.keys() | self.old.keys()}
        return str(self.home) in error or any(name in error for name in known)

    def go_on(self, where, mode="", step=0):
        """A day later the same call is made again, and nothing disturbs it."""
        for draft in self.home.rglob(".*"):
            os.utime(draft, (time.time() - 100_000,) * 2)
        self.require_well(end(begin(self.writer.write, self.home)), f"{where}, next run")
        left = snapshot(self.home)
        if left != self.new:
            names = sorted(name for name in left.keys() | self.new.keys() if left.get(name) != self.new.get(name))
            self.complaints.append(f"{where}, next run: other files than of an undisturbed run: {names[:4]}")

    def answer(self):
        return {"complaints": self.complaints, "faults": self.faults, "kills": self.kills}


def disturb(trial, mode, most):
    """A fault at every step, until a run passes without one; or at so many steps, from the first to the last."""
    for step in count(1) if most is None else choose_steps(trial, mode, most):
        trial.prepare()
        said = end(begin(trial.writer.write, trial.home, mode, step))
        if not said["fired"]:
            break
        trial.faults += 1
        if mode == "memory":
            trial.look_at_memory(said, step)
        trial.kills += said.get("signal") == signal.SIGKILL
        trial.look(said, f"{mode} {step}")
        trial.go_on(f"{mode} {step}")
    return trial


def choose_steps(trial, mode, most):
    trial.prepare()
    steps = end(begin(trial.writer.write, trial.home, mode, ENOUGH))["count"]
    return sorted({1 + round(i * (steps - 1) / most) for i in range(most + 1)})


def limit(trial, mode, most):
    """Files of at most so many bytes, until a run passes."""
    for step in range(1, len(LIMITS) + 1):
        trial.prepare()
        said = end(begin(trial.writer.write, trial.home, mode, step))
        if said["error"] is None and "signal" not in said:
            break
        trial.faults += 1
        trial.look(said, f"{mode} {step}")
        trial.go_on(f"{mode} {step}")
    return trial


def fill(trial, mode, most):
    """A file system with so many pages of room."""
    for pages in PAGES:
        trial.home = SMALL / "home"
        trial.prepare()
        fill_up(SMALL / "ballast", pages)
        said = end(begin(trial.writer.write, trial.home))
        (SMALL / "ballast").unlink()
        if said["error"] is None:
            break
        trial.faults += 1
        trial.look(said, f"{pages} pages")
        trial.go_on(f"{pages} pages")
    return trial


def fill_up(ballast, pages):
    """Take all room of a file system but so many pages."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            file.truncate(max(0, file.tell() - 4096 * pages) // 4096 * 4096)


def lock(trial, mode, most):
    """A file system on which nothing may be written."""
    trial.home = SMALL / "home"
    trial.prepare()
    remount("ro")
    said = end(begin(trial.writer.write, trial.home))
    trial.faults += 1
    trial.look(said, "read-only")
    if said["error"] is None:
        trial.complaints.append("read-only: no error")
    remount("rw")
    trial.go_on("read-only")
    return trial


def remount(how):
    subprocess.run(["mount", "-o", f"remount,{how}", str(SMALL)], check=True)


def meet(trial, mode, most):
    """Two runs at once: both end well, or one of them in words that say what to do, and the next run has all."""
    for number in range(1, 13):
        trial.prepare()
        both = [begin(trial.writer.write, trial.home, "slow", number) for _ in range(2)]
        for said in map(end, both):
            if said["error"] or "signal" in said:
                trial.complaints.append(f"two at once: {said['error'] or said}"[:300])
        trial.faults += 1
        trial.go_on(f"two at once {number}")
    return trial


ACTIONS = dict.fromkeys((*MODES, "memory"), disturb) | {
    "limit": limit,
    "full disk": fill,
    "read-only": lock,
    "two": meet,
}


def main():
    make_sources()
    print(json.dumps({"mounted": os.path.ismount(SMALL)}), flush=True)
    trials = {}
    for line in sys.stdin:
        asked = json.loads(line)
        name, mode = asked["writer"], asked["mode"]
        try:
            trial = trials[name] = trials.get(name) or Trial(name)
            trial.begin_anew()
            answer = ACTIONS[mode](trial, mode, asked["most"]).answer()
        except Exception as error:
            answer = {"complaints": [f"{type(error).__name__}: {error}"], "faults": 0, "kills": 0}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
