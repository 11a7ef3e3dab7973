"""Who is meant where a head names nobody: a model in the body, or we ourselves."""

from __future__ import annotations

from typing import Final

from activator.answers import Own, error, is_openai
from activator.bodies import model_of
from activator.checks import Checks
from activator.core.exchange import Exchange
from activator.core.routes import Routes
from activator.lobby import for_nobody, not_served
from autoscaler.core.domain import Route

_FIRST_LOOK: Final = 4096
"""Bytes of a body in which `model` is looked for first; then in twice as many."""


class Searched:
    """Bytes of all bodies that are searched now, and how many they may be."""

    __slots__ = ("bytes", "most")

    def __init__(self, most: int) -> None:
        self.bytes = 0
        self.most = most


class Search:
    """One search, for a request that *routes* missed because of *reason*.

    What it has read is among *searched* until it is closed.
    """

    __slots__ = (
        "_bound",
        "_exchange",
        "_looked",
        "_mine",
        "_reason",
        "_routes",
        "_sum",
    )

    def __init__(
        self,
        routes: Routes,
        exchange: Exchange,
        reason: str,
        bound: int,
        searched: Searched,
    ) -> None:
        self._routes = routes
        self._exchange = exchange
        self._reason = reason
        self._bound = bound
        """Bytes of body that are looked at, at most."""
        self._looked = 0
        self._sum = searched
        self._mine = 0

    def begin(self, is_check: Checks) -> Route | Own | None:
        """Return the route, or an answer; None: its body has to be read."""
        exchange = self._exchange
        if exchange.method == b"POST" and is_openai(exchange.target):
            return self.go_on()
        own = None
        if is_check(exchange, exchange.target):
            own = for_nobody(self._routes, exchange.target)
        return own or not_served(self._routes, exchange.target, self._reason)

    def go_on(self) -> Route | Own | None:
        """Look again, as more of the body is here; None: that is not enough."""
        exchange, path = self._exchange, self._exchange.target
        self._sum.bytes += exchange.received - self._mine
        self._mine = exchange.received
        if self._sum.bytes > self._sum.most:
            reason = (
                f"bodies of {self._sum.most} bytes are searched for `model` already"
            )
            return error(path, 429, f"{reason}: try again, or name the model's host")
        full = exchange.received >= self._bound
        enough = max(_FIRST_LOOK, 2 * self._looked)
        if not exchange.complete and not full and exchange.received < enough:
            return None
        self._looked = exchange.received
        name = model_of(b"".join(exchange.pieces))
        if name is not None:
            unknown = f"there is no model {name[:100]!r}"
            return self._routes.by_model(name) or not_served(
                self._routes, path, unknown
            )
        if exchange.complete:
            reason = f"{self._reason}, and the body has no field `model`"
            return not_served(self._routes, path, reason)
        if full:
            reason = f"no field `model` in the first {self._bound} bytes of the body"
            return error(path, 413, reason)
        return None

    def close(self) -> None:
        """Be over: what it has read is somebody else's, or nobody's."""
        self._sum.bytes -= self._mine
        self._mine = 0
