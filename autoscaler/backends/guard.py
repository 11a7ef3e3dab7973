"""The program between fromzero and its replicas: nothing they start outlives it.

A stand-alone script (`python -I -S guard.py FD FILES`), started once by each backend,
small so that a replica is forked from 10 MB and not from fromzero's heap:

    fromzero --- guard               forks a keeper for each order it receives
        \\
         +------ keeper --- replica   one keeper for each replica
                    |
                    +------ whatever lost its parent

A keeper is the subreaper of all that its replica starts, so a grandchild that forked
twice and called setsid still is its descendant. It stops them when fromzero says so,
and kills them when fromzero's end of their socket closes, however that came about.
A keeper that is killed leaves its orphans to the guard, which kills them. What no
order of deaths but one escapes: guard, keeper and fromzero killed together, with a
grandchild that had already left its parent.

Where there is no /proc and no prctl (macOS) the replica's process group stands for
its descendants; one that leaves the group leaves the keeper too.

An order is one byte on FD with three descriptors beside it: the keeper's socket, the
replica's output and a file with the marshalled (argv, env, cwd, grace_s). The keeper
says `started PID`, or `unable ERRNO STEP`, then `ended STATUS` (a negative one is a
signal), each on a line, and closes when nothing is left. It hears `t` (SIGTERM, the
grace, SIGKILL) and `k` (SIGKILL).
"""

from __future__ import annotations

import _socket
import ctypes
import errno
import marshal
import os
import resource
import select
import signal
import sys

Order = tuple[list[str], dict[str, str], str, float]

_LINUX = sys.platform == "linux"
_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG, <linux/prctl.h>
_SET_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER
_DESCRIPTORS = 3
_AGAIN_MS = 50  # While killing: look again even if no death was told.
_FREEZES = 32  # A tree that still grows after so many looks is killed as it is.
_LIBC = ctypes.CDLL(None)


def main(link: int, files: int) -> None:
    """Fork a keeper for each order from *link*; end once it closes and all is gone.

    What they start may have *files* open without asking for more.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
    channel = _socket.socket(fileno=link)
    _become_subreaper()
    deaths = _Deaths()
    keepers: set[int] = set()
    poll = select.poll()
    poll.register(link, select.POLLIN)
    poll.register(deaths.fileno, select.POLLIN)
    open_ = True
    left = False
    while open_ or left:
        for fd, _ in poll.poll(None if open_ else _AGAIN_MS):
            if fd == link:
                if fds := _receive(channel):
                    keepers.add(_fork_keeper(fds, link, deaths))
                else:
                    poll.unregister(link)
                    open_ = False
        deaths.clear()
        dead, left = _reap()
        keepers.difference_update(dead)
        if dead or not open_:
            for stray in _children():
                if stray not in keepers:
                    _kill((stray, *_descendants(stray)))


def keep(channel: _socket.socket, output: int, order: Order, deaths: _Deaths) -> None:
    """Run one replica; return once it and all that it started are gone."""
    argv, env, cwd, grace_s = order
    replica, unable = _start(argv, env, cwd, output)
    os.close(output)
    _say(channel, unable or f"started {replica}")
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    poll.register(deaths.fileno, select.POLLIN)
    stopping = killing = False
    alive = True
    while True:
        for fd, _ in poll.poll(_AGAIN_MS if killing else None):
            if fd != channel.fileno():
                continue
            said = _hear(channel)
            if said == b"t" and not stopping:
                stopping = True
                signal.setitimer(signal.ITIMER_REAL, max(grace_s, 1e-3))
                if alive:  # Once reaped, its number may be another's.
                    _signal_group(replica, signal.SIGTERM)
            elif said != b"t":
                killing = True
            if not said:
                poll.unregister(channel)
        if signal.SIGALRM in deaths.clear():
            killing = True
        dead, left = _reap()
        if replica in dead:
            alive = False
            if not unable:
                _say(channel, f"ended {os.waitstatus_to_exitcode(dead[replica])}")
        if not alive:
            if not stopping:
                killing = True  # As in a container: the first process ends them all.
            elif not killing:
                _ask_to_end(replica)
        if killing:
            _kill_all()
            if alive or not _LINUX:
                _signal_group(replica, signal.SIGKILL)
        if not left and not alive:
            return


class _Deaths:
    """Wakes a poll when a child died or a grace is over."""

    def __init__(self) -> None:
        self.fileno, self._write = os.pipe()
        os.set_blocking(self.fileno, False)
        os.set_blocking(self._write, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for each in (signal.SIGCHLD, signal.SIGALRM):
            signal.signal(each, lambda number, frame: None)
        # Its life is fromzero's; a ^C or a service's stop is for fromzero to answer.
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(each, signal.SIG_IGN)

    def clear(self) -> bytes:
        """Return the numbers of the signals since the last call."""
        try:
            return os.read(self.fileno, 4096)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        signal.set_wakeup_fd(-1)
        os.close(self.fileno)
        os.close(self._write)


def _receive(channel: _socket.socket) -> list[int]:
    """Return an order's descriptors, or none when the other end has closed."""
    size = _DESCRIPTORS * 4
    try:
        _, beside, _, _ = channel.recvmsg(1, _socket.CMSG_SPACE(size))
    except OSError:
        return []
    fds: list[int] = []
    for _, _, data in beside:
        whole = len(data) - len(data) % 4
        fds += [
            int.from_bytes(data[at : at + 4], sys.byteorder)
            for at in range(0, whole, 4)
        ]
    return fds


def _fork_keeper(fds: list[int], link: int, deaths: _Deaths) -> int:
    control, output, orders = fds
    try:
        pid = os.fork()
    except OSError:
        pid = -1  # No process is free; the closed socket says that nothing came of it.
    if pid:
        for fd in fds:
            os.close(fd)
        return pid
    status = 1
    try:
        os.close(link)
        deaths.close()
        with open(orders, "rb") as file:
            file.seek(0)
            order = marshal.load(file)
        for fd in (control, output):
            os.set_inheritable(fd, False)
        _become_subreaper()
        keep(_socket.socket(fileno=control), output, order, _Deaths())
        status = 0
    finally:
        os._exit(status)


def _start(
    argv: list[str], env: dict[str, str], cwd: str, output: int
) -> tuple[int, str]:
    """Fork and exec; return the process and, if that failed, what the keeper says."""
    keeper = os.getpid()
    read, write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(write)
        told = b""
        while chunk := os.read(read, 64):
            told += chunk
        os.close(read)
        return pid, told.decode()
    step = "setsid"
    try:
        os.setsid()
        if _LINUX:
            # Cleared by exec of a set-user-id program, like any other such promise.
            _LIBC.prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
            if os.getppid() != keeper:
                os._exit(1)
        signal.set_wakeup_fd(-1)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            if signal.getsignal(number) is not None:
                signal.signal(number, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        if cwd:
            step = "chdir"
            os.chdir(cwd)
        step = "exec"
        os.execvpe(argv[0], argv, env)
    except (OSError, ValueError) as error:
        # A ValueError: there is a NUL in a text.
        why = error.errno if isinstance(error, OSError) else errno.EINVAL
        os.write(write, f"unable {why} {step}".encode())
    finally:
        os._exit(127)


def _hear(channel: _socket.socket) -> bytes:
    try:
        return channel.recv(1)
    except OSError:
        return b""


def _say(channel: _socket.socket, line: str) -> None:
    try:
        channel.send(line.encode() + b"\n")
    except OSError:
        pass  # fromzero is gone; the poll says so next.


def _reap() -> tuple[dict[int, int], bool]:
    """Return the wait status of each child that has died, and whether any is left."""
    dead: dict[int, int] = {}
    try:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return dead, True
            dead[pid] = status
    except ChildProcessError:
        return dead, False


def _become_subreaper() -> None:
    if _LINUX:
        _LIBC.prctl(_SET_SUBREAPER, 1)


def _processes() -> dict[int, tuple[int, int]]:
    """Return (parent, group) of every process; nothing where there is no /proc."""
    found: dict[int, tuple[int, int]] = {}
    if not _LINUX:
        return found
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    # The command, in parentheses, may hold spaces and parentheses.
                    rest = file.read().rpartition(b")")[2].split()
            except OSError:
                continue  # It ended meanwhile.
            found[int(name)] = (int(rest[1]), int(rest[2]))
    return found


def _children() -> list[int]:
    me = os.getpid()
    return [pid for pid, (parent, _) in _processes().items() if parent == me]


def _descendants(root: int) -> list[int]:
    """Return all below *root*, parents first."""
    below: dict[int, list[int]] = {}
    for pid, (parent, _) in _processes().items():
        below.setdefault(parent, []).append(pid)
    found: list[int] = []
    look = [root]
    while look:
        children = below.get(look.pop(), [])
        found += children
        look += children
    return found


def _ask_to_end(replica: int) -> None:
    """SIGTERM those left behind by *replica* that its group's did not reach, once."""
    known = _processes()
    for pid in _descendants(os.getpid()):
        if known.get(pid, (0, replica))[1] != replica and pid not in _ASKED:
            _ASKED.add(pid)
            _kill((pid,), signal.SIGTERM)


_ASKED: set[int] = set()


def _kill_all() -> None:
    """Freeze the tree until it no longer grows, so none is missed, then kill it."""
    frozen: set[int] = set()
    for _ in range(_FREEZES):
        new = [pid for pid in _descendants(os.getpid()) if pid not in frozen]
        if not new:
            break
        _kill(new, signal.SIGSTOP)
        frozen.update(new)
    _kill(frozen)


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        pass


def _kill(
    pids: list[int] | tuple[int, ...] | set[int], number: int = signal.SIGKILL
) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            pass  # Gone already, or another user's by set-user-id.


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
