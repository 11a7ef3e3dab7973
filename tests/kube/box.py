"""Runs one container: ``python -I -S box.py SPEC.json``, alone in its namespaces.

The root is made of the machine's own programs, read-only, the folders that the image
shows, and the pod's volumes at their mountPaths; processes, mounts, host name and IPC
are the container's own, and so is process 1, which hears only signals that it handles.
Not honoured: limits of cpu and memory, seccomp, AppArmor, SELinux, user namespaces.
Imports nothing but the standard library, so that it is up in some milliseconds.
"""

import ctypes
import json
import os
import signal
import sys
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)
NEW = 0x00020000 | 0x20000000 | 0x08000000 | 0x04000000  # mounts, pids, IPC, host name
READ_ONLY, REMOUNT, BIND, RECURSIVE, PRIVATE = 1, 32, 4096, 16384, 1 << 18
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 24, 38
LAST_CAPABILITY = 40
CANNOT_START = 128

PROGRAMS = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "opt")
EMPTY = ("var", "run", "mnt", "home", "root", "srv", "proc", "dev", "sys", "etc")
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


def call(function: str, *arguments: object) -> None:
    if getattr(LIBC, function)(*arguments) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}{arguments}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    call(
        "mount",
        source.encode(),
        target.encode(),
        kind.encode(),
        flags,
        options.encode(),
    )


def bind(source: str, target: str, read_only: bool) -> None:
    """Show *source* at *target*, which is made where it is not there."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    elif not os.path.exists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o666))
    mount(source, target, "", BIND | RECURSIVE)
    if read_only:
        mount("", target, "", BIND | REMOUNT | READ_ONLY)


def entries(root: str) -> None:
    """Show the machine's programs and its /etc, entry by entry: volumes may go there."""
    for name in PROGRAMS:
        copy(f"/{name}", f"{root}/{name}")
    for name in EMPTY:
        os.makedirs(f"{root}/{name}", exist_ok=True)
    os.makedirs(f"{root}/tmp", exist_ok=True)
    os.chmod(f"{root}/tmp", 0o1777)
    for name in os.listdir("/etc"):
        if name not in ("resolv.conf", "hosts", "hostname"):
            copy(f"/etc/{name}", f"{root}/etc/{name}")
    for name in DEVICES:
        bind(f"/dev/{name}", f"{root}/dev/{name}", False)
    os.makedirs(f"{root}/dev/shm")
    os.chmod(f"{root}/dev/shm", 0o1777)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"{root}/dev/{name}")
    os.symlink("/proc/self/fd", f"{root}/dev/fd")


def copy(source: str, target: str) -> None:
    if os.path.islink(source):
        os.symlink(os.readlink(source), target)
    elif os.path.exists(source):
        bind(source, target, True)


def furnish(spec: dict[str, Any]) -> None:
    """Make the root of the container."""
    root = spec["root"]
    mount("", "/", "", RECURSIVE | PRIVATE)
    mount("tmpfs", root, "tmpfs", 0, "mode=755")
    entries(root)
    show(root, spec["shows"])
    for source, target, read_only in spec["mounts"]:
        bind(source, f"{root}{target}", read_only)
    # What a volume has covered, as one at the path of a temporary folder does.
    show(root, spec["shows"])


def show(root: str, paths: list[str]) -> None:
    for path in paths:
        there = f"{root}{path}"
        if not os.path.exists(there) or not os.path.samefile(path, there):
            bind(path, f"{root}{path}", True)


def become(spec: dict[str, Any]) -> None:
    """Be process 1 of the container; returns only by an error."""
    call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    root = spec["root"]
    mount("proc", f"{root}/proc", "proc", 0)
    call("sethostname", spec["host"].encode(), len(spec["host"]))
    if spec["read_only"]:
        mount("", root, "", BIND | REMOUNT | READ_ONLY)
    os.chroot(root)
    os.chdir(spec["folder"])
    if spec["drop"]:
        for number in range(LAST_CAPABILITY + 1):
            call("prctl", PR_CAPBSET_DROP, number, 0, 0, 0)
    os.setgroups(spec["groups"])
    os.setgid(spec["gid"])
    os.setuid(spec["uid"])
    # A new user forgets it.
    call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if spec["no_new_privileges"]:
        call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.execvpe(spec["command"][0], spec["command"], spec["env"])


def main() -> int:
    call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    with open(sys.argv[1], "rb") as given:
        spec = json.load(given)
    call("unshare", NEW)
    furnish(spec)
    held = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1]
    signal.pthread_sigmask(signal.SIG_BLOCK, held)
    child = os.fork()
    if child == 0:
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, held)
            become(spec)
        except OSError as error:
            os.write(2, f"cannot start {spec['command'][0]}: {error}\n".encode())
        finally:
            os._exit(CANNOT_START)
    for number in held:
        signal.signal(number, lambda number, _: os.kill(child, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, held)
    with open(f"{sys.argv[1]}.pid", "w") as told:
        told.write(str(child))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    try:
        code = main()
    except OSError as error:
        os.write(2, f"cannot make the container: {error}\n".encode())
        code = CANNOT_START
    os._exit(code)
