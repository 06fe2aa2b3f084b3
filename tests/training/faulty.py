"""Trains a run whose disk fails in the middle of a save: `python faulty.py FOLDER KIND-CALL ...`.

A process for each fault, which strikes just before the given call that touches the disk. What is
left lies in `FOLDER/KIND-CALL/left`; the run is then gone on with, and ends in `.../ended`.
"""

import contextlib
import ctypes
import json
import os
import resource
import shutil
import signal
import struct
import sys
from pathlib import Path

import torchvision.utils

from jemstone.checkpoints import checkpoints, newest_checkpoint
from jemstone.cli import main, train
from jemstone.data import load
from jemstone.training import read_record

STEPS, EVERY, DISK = 8, 2, 32 * 2**20
TINY = {
    "network.width": 1,
    "walk.steps": 1,
    "chains.size": 40,
    "optimisation.batch_size": 16,
    "steps": STEPS,
    "checkpoint_every": EVERY,
    "precision": "fp32",
}
ARGV = ["train", "jempp", *(f"--{name}={value}" for name, value in TINY.items())]
TOUCHES = ((os, "fsync"), (os, "replace"), (Path, "rename"))  # 16 or so in each save
assert train
assert torchvision.utils

libc = ctypes.CDLL(None, use_errno=True)


def succeed(result):
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def obey_permissions():
    """Give up root's right to write whatever the permissions say (Linux)."""
    header, capabilities = struct.pack("Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
    succeed(libc.capget(header, capabilities))
    sets = list(struct.unpack("6I", capabilities.raw))  # effective, permitted, inheritable; twice
    overriding = 1 << 1 | 1 << 2
    sets[:3] = [bits & ~overriding for bits in sets[:3]]
    succeed(libc.capset(header, struct.pack("6I", *sets)))


def small_disk(folder):
    """Mount a small file system that this process alone sees; tell whether it could be done."""
    user, group = os.getuid(), os.getgid()
    try:
        succeed(libc.unshare(0x10000000 | 0x00020000))  # users and mounts of its own
        for file, line in (("uid_map", f"0 {user} 1"), ("setgroups", "deny")):
            Path("/proc/self", file).write_text(line)
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
        succeed(libc.mount(b"none", os.fsencode(folder), b"tmpfs", 0, b"size=%d" % DISK))
    except (OSError, AttributeError):  # not allowed here, or not Linux
        return False
    return True


def fill(disk):
    """Write until nothing fits, to the last byte."""
    with open(disk / "ballast", "wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


def forbid(run):
    for folder in (run, *(path for path in run.rglob("*") if path.is_dir())):
        folder.chmod(0o555)


def limit(size):
    """Let no file grow beyond so many bytes: where no small file system can be had."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))


def suffer(home, kind, call):
    """Train, with a fault before the given call; leave what there then is."""
    disk, left = home / "disk", home / "left"
    disk.mkdir(parents=True)
    run = disk / "run"
    small = kind == "full" and small_disk(disk)
    if kind == "forbidden" and os.geteuid() == 0:
        obey_permissions()
    calls, unlimited = [], resource.getrlimit(resource.RLIMIT_FSIZE)[0]

    def strike():
        newest = read_record(newest_checkpoint(run))["step"] if checkpoints(run) else 0
        (home / "before").write_text(str(newest))
        if kind == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        elif kind == "full":
            fill(disk) if small else limit(1000)
        elif kind == "forbidden":
            forbid(run)
        else:
            os.rename(run, left)

    def failing(function):
        def wrapped(*args, **options):
            calls.append(function)
            if len(calls) == call:
                strike()
            return function(*args, **options)

        return wrapped

    whole = [(module, name, getattr(module, name)) for module, name in TOUCHES]
    for module, name, function in whole:
        setattr(module, name, failing(function))
    code = main([*ARGV, "--out", str(run)])
    for module, name, function in whole:
        setattr(module, name, function)
    if kind == "full" and not small:
        limit(unlimited)
    (home / "about").write_text(json.dumps({"small": small}))
    if kind != "vanished":
        shutil.copytree(run, left)
    return code


def apart(home, work, *arguments):
    """Do it in a process of its own; return its exit code, and keep what it says."""
    child = os.fork()
    if not child:
        with open(home / f"{work.__name__}.told", "w") as told:
            os.dup2(told.fileno(), 1)
            os.dup2(told.fileno(), 2)
            code = 99
            try:
                code = work(*arguments)
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def resume(home):
    for folder in (home / "left", *(home / "left").rglob("*")):
        if folder.is_dir():
            folder.chmod(0o755)
    shutil.copytree(home / "left", home / "ended")
    return main(["train", "--resume", str(home / "ended")])


def whole(home):
    return main([*ARGV, "--out", str(home / "ended")])


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    load("digits")  # what is imported once serves all processes
    (folder / "whole").mkdir()
    codes = {"whole": apart(folder / "whole", whole, folder / "whole")}
    for fault in sys.argv[2:]:
        home, (kind, call) = folder / fault, fault.split("-")
        home.mkdir()
        codes[fault] = apart(home, suffer, home, kind, int(call))
        if kind == "killed":
            (home / "disk/run").rename(home / "left")
        codes[f"{fault} resumed"] = apart(home, resume, home)
    (folder / "codes.json").write_text(json.dumps(codes))
