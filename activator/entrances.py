"""Ports of its own for each revision: listened on for as long as its view has them."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from activator.http1 import Http1
from activator.listening import BACKLOG, listen
from activator.opening import Opening
from activator.plane import Plane
from activator.splice import Splice
from autoscaler.core.domain import RevisionKey
from autoscaler.core.messages import View

_log = logging.getLogger(__name__)

Opened = Callable[[RevisionKey, int, str], None]
"""Told that all entrances of a revision's view of a version are listened on, or why one
is not; empty: they are."""

_AGAIN_S: Final = 1.0
"""What could not be listened on is tried again so often."""


@dataclass(slots=True, kw_only=True)
class _Revision:
    """What one revision's newest view says, and how far it is true."""

    version: int = -1
    openings: dict[int, Opening] = field(default_factory=dict)
    """By port."""
    refused: str | None = ""
    """What was told of this version last; None: nothing."""


class Entrances:
    """All listeners for entrances; made with the activator, `run` beside it.

    *most* is how many at most: each costs a file, and connections need some too.
    """

    def __init__(
        self, plane: Plane, host: str, opened: Opened | None, most: int
    ) -> None:
        self._plane = plane
        self._host = host
        self._opened = opened
        self._most = most
        self._revisions: dict[RevisionKey, _Revision] = {}
        self._servers: dict[int, tuple[Opening, asyncio.Server]] = {}
        self._due: dict[RevisionKey, None] = {}
        """Revisions with something to open, first come first."""
        self._failed: dict[RevisionKey, None] = {}
        self._stirred = asyncio.Event()
        plane.listening = lambda: len(self._servers)

    def see(self, view: View) -> None:
        """Listen where *view* says, and nowhere else for its revision."""
        revision = self._revisions.get(view.key)
        if revision is None:
            if not view.entrances:
                return
            revision = self._revisions[view.key] = _Revision()
        elif view.version < revision.version:
            return
        revision.version, revision.refused = view.version, None
        wanted = {each.port: each for each in view.entrances}
        for port in revision.openings.keys() - wanted.keys():
            self._close(revision.openings.pop(port))
        for port, entrance in wanted.items():
            opening = revision.openings.get(port)
            if opening is None:
                opening = revision.openings[port] = Opening(view.key, entrance)
            opening.become(entrance)
            opening.last = view.aside
        if not wanted:
            self._forget(view.key)
        elif all(self._is_open(each) for each in revision.openings.values()):
            self._tell(view.key, revision, "")
        else:
            self._due[view.key] = None
            self._stirred.set()

    def gone(self, key: RevisionKey) -> None:
        """Listen nowhere for *key*; what is under way may end."""
        revision = self._revisions.get(key)
        if revision is not None:
            for opening in revision.openings.values():
                self._close(opening)
            self._forget(key)

    async def run(self) -> None:
        """Open what is to be opened, one after the other, until cancelled.

        What could not be is tried again each second, and whenever a port is let go.
        """
        while True:
            while self._due:
                key = next(iter(self._due))
                del self._due[key]
                await self._open(key)
            self._stirred.clear()
            try:
                async with asyncio.timeout(_AGAIN_S if self._failed else None):
                    await self._stirred.wait()
            except TimeoutError:
                self._try_again()

    def close(self) -> None:
        """Listen nowhere any more; connections stay."""
        for _, server in self._servers.values():
            server.close()
        self._servers.clear()

    async def _open(self, key: RevisionKey) -> None:
        revision = self._revisions[key]
        self._failed.pop(key, None)
        version, refused = revision.version, ""
        for port, opening in tuple(revision.openings.items()):
            if not self._is_open(opening):
                said = self._why_not(port) or await self._listen(opening)
                refused = refused or said
        if self._revisions.get(key) is not revision or revision.version != version:
            return  # While it waited a newer view came, and is due.
        if refused:
            self._failed[key] = None
        if refused != revision.refused:
            self._tell(key, revision, refused)

    def _why_not(self, port: int) -> str:
        """Say what keeps *port* from being opened, as far as we know without trying."""
        if port in self._servers:
            return f"port {port} is listened on for {self._servers[port][0].key}"
        if len(self._servers) >= self._most:
            return (
                f"port {port} would be more than {self._most}, half of the files that "
                "the activator may have open (RLIMIT_NOFILE)"
            )
        return ""

    async def _listen(self, opening: Opening) -> str:
        """Listen for *opening*; return why that is not possible."""
        plane, port = self._plane, opening.entrance.port
        loop = asyncio.get_running_loop()

        def accepted() -> asyncio.Protocol:
            if opening.entrance.tunnel:
                return Splice(plane, opening)
            return Http1(plane, opening)

        try:
            # Others have their turn: what follows does not really wait.
            await asyncio.sleep(0)
            sock = listen(self._host, port)
            server = await loop.create_server(accepted, sock=sock, backlog=BACKLOG)
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else error
            return f"port {port} cannot be listened on: {why}"
        revision = self._revisions.get(opening.key)
        if revision is None or revision.openings.get(port) is not opening:
            server.close()
        else:
            self._servers[port] = opening, server
        return ""

    def _is_open(self, opening: Opening) -> bool:
        found = self._servers.get(opening.entrance.port)
        return found is not None and found[0] is opening

    def _close(self, opening: Opening) -> None:
        if self._is_open(opening):
            self._servers.pop(opening.entrance.port)[1].close()
            self._try_again()
        opening.close()

    def _try_again(self) -> None:
        """Somebody may have waited for a port that is free now."""
        self._due.update(self._failed)
        self._failed.clear()
        self._stirred.set()

    def _forget(self, key: RevisionKey) -> None:
        del self._revisions[key]
        self._due.pop(key, None)
        self._failed.pop(key, None)

    def _tell(self, key: RevisionKey, revision: _Revision, refused: str) -> None:
        revision.refused = refused
        if refused:
            _log.warning("entrance refused revision=%s reason=%s", key, refused)
        if self._opened is None:
            return
        try:
            self._opened(key, revision.version, refused)
        except Exception:
            # Who hears it must not be able to stop the others' entrances.
            _log.exception("failed to tell of entrances revision=%s", key)
