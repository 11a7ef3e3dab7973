"""A search by Optuna, for `fromzero tune --search optuna`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fromzero.errors import CommandError
from simulations.sweep import Choice, Seen

if TYPE_CHECKING:
    from optuna.trial import Trial

_TOGETHER = 8
"""Trials that are asked for before any of them is told: the same however many
processes there are, so that they find the same."""


class Study:
    """Asks Optuna's multi-objective TPE for choices, by cost and mean wait."""

    def __init__(self, wide: int, points: int, seed: int) -> None:
        try:
            import optuna
        except ImportError as error:
            raise CommandError(
                f"--search optuna: {error}; pip install 'fromzero[optuna]'"
            ) from error
        optuna.logging.set_verbosity(logging.WARNING)
        self._study = optuna.create_study(
            directions=["minimize", "minimize"],
            sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True),
        )
        within = optuna.distributions.FloatDistribution(0.0, 1.0 - 1e-9)
        self._space = {f"x{n}": within for n in range(wide)}
        self._left = points
        self._trials: list[Trial] = []

    def ask(self) -> list[Choice]:
        """Return the next choices."""
        count = min(_TOGETHER, self._left)
        self._left -= count
        self._trials = [self._study.ask(dict(self._space)) for _ in range(count)]
        return [
            tuple(trial.params[name] for name in self._space) for trial in self._trials
        ]

    def tell(self, seen: Sequence[Seen]) -> None:
        """Tell what they came to; those that were not run stay open."""
        for trial, each in zip(self._trials, seen, strict=False):
            self._study.tell(trial, [each.cost_s, each.wait_s])
