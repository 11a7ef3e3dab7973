"""`fromzero autoscaler`: decide for a cluster's revisions, leading or ready to lead."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

import uvloop

from autoscaler.backends.kubernetes.api import Api
from autoscaler.backends.kubernetes.space import Settings as CensusSettings
from autoscaler.errors import BadInput, Problem
from fromzero import config, doors, logs, secret
from fromzero.config import Settings
from fromzero.control import Control
from fromzero.flags import Flags
from fromzero.place import Place, Ports
from fromzero.signals import ending_by_signals

_log = logging.getLogger(__name__)

_NAMESPACE = "fromzero-system"


def run(flags: Flags) -> None:
    """Serve until told to stop; raise BadInput with all problems before that."""
    logs.begin(flags.log_format)
    settings = settings_of(flags, os.environ)
    place = Place(
        namespace=os.environ.get("POD_NAMESPACE") or _NAMESPACE,
        name=settings.name,
        only=settings.namespace,
    )
    with (
        doors.listening(
            "admin-port", settings.admin_host, settings.admin_port
        ) as admin,
        doors.listening("link-port", "*", settings.link_port) as link,
        # The second signal is one not to wait for anything.
        suppress(asyncio.CancelledError),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        _log.info(
            "serving link=%d admin=%d name=%s namespace=%s",
            link.getsockname()[1], admin.getsockname()[1], place.name, place.namespace,
        )  # fmt: skip
        runner.run(_serve(settings, place, Ports(admin=admin, link=link)))


def settings_of(flags: Flags, environ: Mapping[str, str]) -> Settings:
    """Return what *flags* and *environ* say; BadInput: that is not enough."""
    name = environ.get("POD_NAME") or socket.gethostname()
    census = CensusSettings()
    defaults = Settings(
        admin_host="*", name=name, domain=census.domain, spec=census.defaults
    )
    settings = config.resolve(flags.settings, environ, flags.config, defaults)
    problems = list(secret.problems(settings.secret, "activators"))
    if settings.kubeconfig is not None and not settings.kubeconfig.is_file():
        where = str(settings.kubeconfig)
        problems.append(Problem(field="--kubeconfig", value=where, rule="is no file"))
    if problems:
        raise BadInput(problems)
    return settings


async def _serve(settings: Settings, place: Place, ports: Ports) -> None:
    stop = ending_by_signals()
    api = (
        Api.in_cluster()
        if settings.kubeconfig is None
        else Api.from_kubeconfig(settings.kubeconfig)
    )
    census = replace(CensusSettings(), defaults=settings.spec, domain=settings.domain)
    assert settings.secret is not None
    control = Control(api, place, census, secret.reading(settings.secret))
    await control.run(ports, stop)
