"""`fromzero activator`: hold and forward requests, as a cluster's autoscalers say.

It has no credentials of the cluster's: all that it knows comes over its links, and it
goes on with what it last heard while no autoscaler is there.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

import uvloop
from prometheus_client import CollectorRegistry

from activator.files import raise_limit
from activator.link import Link
from activator.server import Activator
from autoscaler.errors import BadInput, Problem
from fromzero import access, config, doors, logs, secret
from fromzero.config import Settings
from fromzero.doors import Doors
from fromzero.flags import Flags
from fromzero.front import Front
from fromzero.records import Files, recording
from fromzero.signals import ending_by_signals

LINGER_S = 15.0
"""What kube-proxies take to hear that no slice names an activator any more."""

_log = logging.getLogger(__name__)


def run(flags: Flags) -> None:
    """Serve until told to stop; raise BadInput with all problems before that."""
    logs.begin(flags.log_format)
    settings = settings_of(flags, os.environ)
    most = raise_limit()
    with (
        doors.opened(settings) as opened,
        access.opened(settings) as log,
        recording(flags.records) as files,
        # The second signal is one not to wait for anything.
        suppress(asyncio.CancelledError),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        _log.info(
            "serving address=%s admin=%s name=%s files=%d",
            opened.activator, opened.administration, settings.name, most,
        )  # fmt: skip
        runner.run(_serve(settings, opened, replace(files, access=log)))


def settings_of(flags: Flags, environ: Mapping[str, str]) -> Settings:
    """Return what *flags* and *environ* say; raise BadInput if that is not enough."""
    name = environ.get("POD_NAME") or socket.gethostname()
    defaults = Settings(host="*", admin_host="*", name=name, linger_s=LINGER_S)
    settings = config.resolve(flags.settings, environ, flags.config, defaults)
    if problems := tuple(_missing(settings)):
        raise BadInput(problems)
    return settings


def _missing(settings: Settings) -> Iterator[Problem]:
    if not settings.autoscaler:
        rule = "must be given: HOST:PORT at which the autoscalers are found"
        yield Problem(field="--autoscaler", rule=rule)
    yield from secret.problems(settings.secret, "autoscalers")


async def _serve(settings: Settings, opened: Doors, files: Files) -> None:
    assert settings.secret is not None
    known = secret.reading(settings.secret)

    def link(activator: Activator, registry: CollectorRegistry) -> Link:
        return Link(settings.name, (settings.autoscaler,), known, activator, registry)

    stop = ending_by_signals()
    access.reopening(files.access)
    await Front(settings, link, files.access, files.trace).run(opened, stop)
