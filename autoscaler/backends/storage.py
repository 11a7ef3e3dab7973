"""Where a model is on this machine, and how it gets there."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autoscaler.backends import download
from autoscaler.backends.process import Ended, Guard, Order, Process
from autoscaler.backends.reasons import why

_DOWNLOAD = str(Path(__file__).with_name("download.py"))
_REMOTE = re.compile(
    r"(?:s3|gs|hf|https?|hdfs|webhdfs|oci|modelscope)://", re.IGNORECASE
)
_VOLUME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip")
_STOP_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings:
    """Where models are looked for and kept."""

    cache: Path
    """Directory of downloaded models; grows until somebody empties it."""
    environ: Mapping[str, str]
    """What a download sees: credentials, endpoints, proxies."""
    volumes: Path | None = None
    """Directory whose folders stand for volume claims; None: there are none."""
    base: Path = Path()
    """What a relative path is relative to."""
    limit_s: float = 6 * 3600.0
    """A download is killed after so long: it hangs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """A model that is not here, and why."""

    reason: str
    final: bool
    """True: asking again at once cannot help."""


Fetched = Callable[[Path | Absent], None]


class Store:
    """Find models on this machine; fetch the others once, whoever asks."""

    def __init__(self, settings: StorageSettings, guard: Guard) -> None:
        self._settings = settings
        self._guard = guard
        self._fetching: dict[str, tuple[Process, list[Fetched]]] = {}

    def locate(self, uri: str) -> Path | Absent | None:
        """Return the directory that stands for *uri*; None: it must be fetched."""
        try:
            return self._find(uri)
        except OSError as error:
            return Absent(reason=f"storage: {uri}: {error.strerror}", final=True)

    def _find(self, uri: str) -> Path | Absent | None:
        if _REMOTE.match(uri):
            whole = self._place(uri)
            return whole / download.MODEL if whole.is_dir() else None
        path = self._local(uri)
        if isinstance(path, Absent):
            return path
        if path.is_dir():
            return path
        if not path.exists():
            return Absent(reason=f"storage: {uri}: there is no {path}", final=True)
        if path.name.endswith(_ARCHIVES):
            whole = self._place(self._stamp(path))
            return whole / download.MODEL if whole.is_dir() else None
        return self._alone(path)

    def fetch(self, uri: str, done: Fetched) -> None:
        """Fetch *uri*, which `locate` did not find; *done* is told where it is."""
        if under_way := self._fetching.get(uri):
            under_way[1].append(done)
            return
        source, place = uri, self._place(uri)
        if not _REMOTE.match(uri) and isinstance(path := self._local(uri), Path):
            source, place = f"file://{path}", self._place(self._stamp(path))
        order = Order(
            argv=(sys.executable, "-P", _DOWNLOAD, source, str(place)),
            env=self._settings.environ,
            grace_s=_STOP_S,
        )
        loop = asyncio.get_running_loop()

        def ended(end: Ended) -> None:
            limit.cancel()
            answer = self._answer(uri, place, order, end)
            for each in self._fetching.pop(uri)[1]:
                each(answer)

        process = self._guard.start(order, lambda line: None, ended)
        limit = loop.call_later(self._settings.limit_s, process.kill)
        self._fetching[uri] = (process, [done])

    def forget(self, uri: str) -> None:
        """Give up fetching *uri*: nobody is left who could use it."""
        if under_way := self._fetching.get(uri):
            under_way[0].kill()

    @property
    def fetching(self) -> tuple[str, ...]:
        """What is being fetched."""
        return tuple(self._fetching)

    def _answer(self, uri: str, place: Path, order: Order, end: Ended) -> Path | Absent:
        if end.status == download.DONE and place.is_dir():
            return place / download.MODEL
        if end.status in (download.FINAL, download.TRANSIENT):
            for line in reversed(end.tail):  # A library may babble as it ends.
                if line.startswith("storage: "):
                    return Absent(reason=line, final=end.status == download.FINAL)
        return Absent(reason=f"storage: {why(order, end)} for {uri}", final=False)

    def _place(self, source: str) -> Path:
        name = re.sub(r"[^A-Za-z0-9.-]+", "-", source.rstrip("/").rpartition("/")[2])
        digest = hashlib.sha256(source.encode()).hexdigest()[:20]
        return self._settings.cache / f"{name[:40].strip('.-')}-{digest}"

    def _stamp(self, path: Path) -> str:
        status = path.stat()
        return f"{path}@{status.st_mtime_ns}.{status.st_size}"

    def _local(self, uri: str) -> Path | Absent:
        scheme, found, rest = uri.partition("://")
        if not found:
            return self._settings.base / os.path.expanduser(uri)
        match scheme.lower():
            case "file":
                return self._settings.base / rest.removeprefix("localhost")
            case "pvc":
                return self._on_volume(uri, rest)
            case _:
                return Absent(
                    reason=f"storage: {uri}: scheme {scheme} is not known; use a path, "
                    "file, pvc, s3, gs, hf, http or https",
                    final=True,
                )

    def _on_volume(self, uri: str, rest: str) -> Path | Absent:
        name, _, inside = rest.partition("/")
        if self._settings.volumes is None:
            return Absent(
                reason=f"storage: {uri}: no directory stands for volumes; name one "
                "(--pvc-root)",
                final=True,
            )
        if not _VOLUME.fullmatch(name) or ".." in name:
            return Absent(
                reason=f"storage: {uri}: {name!r} is not the name of a volume claim",
                final=True,
            )
        volume = (self._settings.volumes / name).resolve()
        path = (volume / inside.lstrip("/")).resolve()
        if not path.is_relative_to(volume):
            return Absent(
                reason=f"storage: {uri} leads out of its volume {volume}", final=True
            )
        return path

    def _alone(self, path: Path) -> Path | Absent:
        """Return a directory with nothing but *path* in it, as KServe mounts a file."""
        path = path.absolute()
        place = self._place(str(path))
        link = place / download.MODEL / path.name
        try:
            link.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                link.symlink_to(path)
        except OSError as error:
            return Absent(
                reason=f"storage: cannot write {place}: {error.strerror}", final=False
            )
        return link.parent
