"""The admin port: health, metrics, status, explanations and orders, on aiohttp.

aiohttp takes 12 MB and a fifth of a second to import, so this module is imported when
somebody first connects (fromzero/admin.py), not when fromzero starts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CollectorRegistry

from autoscaler import answers, health
from autoscaler.answers import Known, Remark
from autoscaler.core.commands import Order, Status
from autoscaler.core.domain import RevisionKey

_HERE = ("127.0.0.1", "::1", "::ffff:127.0.0.1")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminParts:
    """What the admin API is made of."""

    loop: Known
    registry: CollectorRegistry
    ready: Callable[[], str]
    """Why requests are not served now; empty: they are."""
    logs: Callable[[RevisionKey], tuple[str, ...]]
    """Last lines of output of a revision's replicas."""
    remarks: Callable[[], tuple[Remark, ...]] = tuple
    """What a person should know of a cluster."""
    release: Callable[[RevisionKey], str] | None = None
    """Let go of a revision, or say why not; None: nobody is there to leave it to."""
    local: bool = False
    """Orders are taken from this machine alone, wherever the port listens."""


def build_app(parts: AdminParts) -> web.Application:
    """Return the admin API."""
    guards = [_from_here] if parts.local else []
    app = web.Application(client_max_size=1024, middlewares=guards)
    api = _Api(parts)
    app.add_routes(health.routes(parts.registry, parts.ready))
    app.router.add_get("/status", api.status)
    app.router.add_get("/explain/{namespace}/{name}", api.explain)
    for order in Order:
        app.router.add_post(f"/{order.value}/{{namespace}}/{{name}}", api.order(order))
    app.router.add_post("/release/{namespace}/{name}", api.release)
    return app


@web.middleware
async def _from_here(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse orders of others: anybody in a cluster may reach a pod."""
    if request.method == "POST" and request.remote not in _HERE:
        error = "orders are taken from this machine alone"
        return web.json_response({"error": error}, status=403)
    return await handler(request)


class _Api:
    def __init__(self, parts: AdminParts) -> None:
        self._parts = parts

    async def status(self, _: web.Request) -> web.Response:
        shown = [answers.revision(each) for each in self._parts.loop.statuses()]
        remarks = [answers.remark(each) for each in self._parts.remarks()]
        return web.json_response({"revisions": shown, "remarks": remarks})

    async def explain(self, request: web.Request) -> web.Response:
        key = _key(request)
        try:
            status = self._parts.loop.status(key)
        except KeyError:
            return _unknown(key)
        moments = self._parts.loop.moments(key)
        answer = answers.revision(status) | {
            "moments": [answers.moment(each) for each in moments],
            "logs": list(self._parts.logs(key)),
        }
        return web.json_response(answer)

    def order(self, order: Order) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            key = _key(request)
            try:
                before = self._parts.loop.status(key)
            except KeyError:
                return _unknown(key)
            self._parts.loop.order(key, order)
            return self._after(before)

        return handle

    async def release(self, request: web.Request) -> web.Response:
        key = _key(request)
        if self._parts.release is None:
            why = "there is nobody to release it to: this is no cluster"
            return web.json_response({"error": why}, status=409)
        try:
            before = self._parts.loop.status(key)
        except KeyError:
            return _unknown(key)
        if why := self._parts.release(key):
            return web.json_response({"error": why}, status=409)
        return self._after(before)

    def _after(self, before: Status) -> web.Response:
        """Answer with the revision as it is now, or as it was if that made it go."""
        try:
            now = self._parts.loop.status(before.key)
        except KeyError:
            now = before
        return web.json_response(answers.revision(now))


def _key(request: web.Request) -> RevisionKey:
    return RevisionKey(request.match_info["namespace"], request.match_info["name"])


def _unknown(key: RevisionKey) -> web.Response:
    return web.json_response({"error": f"there is no revision {key}"}, status=404)
