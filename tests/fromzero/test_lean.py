from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from fromzero.flags import Flags, dumps

ROOT = Path(__file__).parents[2]
LEAN = ROOT / "fromzero" / "lean.py"


def run(*command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={**os.environ, **environ},
    )


def test_the_command_line_becomes_another_process_with_what_was_said():
    flags = dumps(Flags(paths=(Path("no-such-file"),), settings={"port": "0"}))
    code = f"from fromzero.lean import become; become({flags!r})"

    done = run("-c", code)

    assert done.returncode == 2
    assert done.stderr == "no-such-file: is not there\n"


def test_what_serves_has_loaded_nothing_of_the_command_line_nor_of_the_admin_api():
    heavy = ("typer", "rich", "pydantic", "aiohttp")
    code = f"import sys, fromzero.up; print([m for m in {heavy} if m in sys.modules])"

    assert run("-c", code).stdout == "[]\n"


def test_a_module_in_the_directory_it_is_started_in_is_not_taken_for_ours(tmp_path):
    (tmp_path / "yaml.py").write_text("raise SystemExit('not yours')\n")
    flags = dumps(Flags(paths=(tmp_path / "none",), settings={"port": "0"}))

    done = subprocess.run(
        [sys.executable, "-P", str(LEAN)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "FROMZERO_FLAGS": flags},
    )

    assert "not yours" not in done.stderr
    assert "none: is not there" in done.stderr
