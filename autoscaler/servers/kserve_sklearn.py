"""Serve one scikit-learn model over V1 and V2 with KServe's Python SDK.

KServe's own image for scikit-learn runs a program that is on no package index; this
one takes the same arguments. It imports nothing of fromzero's, so that any Python that
has `kserve`, `scikit-learn` and `joblib` can run it.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

_ENDINGS = (".joblib", ".pkl", ".pickle")

kserve: Any = import_module("kserve")
_utils: Any = import_module("kserve.utils.utils")


class SKLearnModel(kserve.Model):  # type: ignore[misc]  # Only its own Python has it.
    """The one model file of a directory."""

    def __init__(self, name: str, directory: Path) -> None:
        super().__init__(name)
        self._directory = directory
        self._estimator: Any = None

    def load(self) -> bool:
        """Load the model; the server listens when this has returned."""
        self._estimator = import_module("joblib").load(model_file(self._directory))
        self.ready = True
        return True

    def predict(self, payload: Any, headers: Any = None) -> Any:
        """Answer a V1 or V2 request; rows that the model cannot use are a 400."""
        rows = _utils.get_predict_input(payload)
        try:
            found = self._estimator.predict(rows)
        except (TypeError, ValueError) as error:
            raise import_module("kserve.errors").InvalidInput(str(error)) from error
        return _utils.get_predict_response(payload, found, self.name)


def model_file(directory: Path) -> Path:
    """Return the model in *directory*; exit with a reason unless there is just one."""
    found = sorted(each for each in directory.iterdir() if each.suffix in _ENDINGS)
    if len(found) != 1:
        names = ", ".join(each.name for each in found) or "none"
        raise SystemExit(
            f"{directory} must have one file that ends in {', '.join(_ENDINGS)}, "
            f"has {names}"
        )
    return found[0]


def main() -> None:
    """Load, listen, serve until SIGTERM."""
    sdk = import_module("kserve.model_server").parser
    parser = argparse.ArgumentParser(parents=[sdk], conflict_handler="resolve")
    parser.add_argument("--model_dir", type=Path, required=True)
    parser.add_argument("--model_name", default="model")
    given = parser.parse_args()
    model = SKLearnModel(given.model_name, given.model_dir)
    model.load()
    kserve.ModelServer().start([model])


if __name__ == "__main__":
    main()
