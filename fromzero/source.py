"""Documents as they are now, read against what was served before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autoscaler import versions
from autoscaler.documents import load
from autoscaler.kserve import Defaults, Plan, plan, require
from autoscaler.signature import signature


class Source:
    """Files, what holds where they say nothing, and which versions were promoted.

    Making one reads them: what is wrong in them is raised as BadInput.
    """

    def __init__(
        self, paths: Sequence[Path], defaults: Defaults, state_dir: Path
    ) -> None:
        self.seen = signature(map(str, paths))
        """What the last reading looked at: a change since is a reason for the next."""
        self._paths = tuple(paths)
        self._defaults = defaults
        self._directory = versions.directory_of(state_dir, paths)
        self._memory = versions.load(self._directory)
        self.served = self.read()
        """The plan that was last kept."""
        self._save(self.served)

    def read(self) -> Plan:
        """Return what the documents mean now; raise BadInput with all problems."""
        documents = load(self._paths)
        self.seen = documents.seen or self.seen
        return require(plan(documents, self._defaults, self._memory))

    def keep(self, plan: Plan) -> None:
        """Serve *plan* from now on; raise BadInput if it cannot be remembered."""
        self._save(plan)
        self.served = plan

    def _save(self, plan: Plan) -> None:
        if plan.memory != self._memory:
            versions.save(self._directory, plan.memory)
            self._memory = plan.memory
