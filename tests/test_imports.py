"""The arrows of the architecture, read from the sources themselves."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("activator", "autoscaler", "fromzero", "simulations")
SOURCES = sorted(
    path.relative_to(ROOT) for name in PACKAGES for path in (ROOT / name).rglob("*.py")
)

# A module of the first may import from those of the second, and nothing else of ours.
# The longest prefix that fits counts.
ARROWS = {
    "autoscaler.core": ("autoscaler.core",),
    "activator.core": ("activator.core", "autoscaler.core"),
    "autoscaler": ("autoscaler",),
    "activator": ("activator", "autoscaler.core", "autoscaler.clock"),
    "simulations": ("simulations", "activator.core", "autoscaler.core"),
    "fromzero": PACKAGES,
}
PURE = ("autoscaler.core", "activator.core")

# Of the standard library, what reads a clock, waits, draws chance or does I/O.
IMPURE = {
    "asyncio", "concurrent", "datetime", "io", "logging", "multiprocessing", "os",
    "pathlib", "random", "secrets", "select", "selectors", "signal", "socket",
    "subprocess", "sys", "tempfile", "threading", "time",
}  # fmt: skip
VIRTUAL = IMPURE - {"io", "pathlib", "sys", "os"}
"""What simulations keep away from: they may read files, but no clock and no chance."""

# Names of the machines that this was built on; what runs must not depend on them.
PLACES = re.compile(r"(?<![\w.])/(work|tmp|root|home)/|\.\./shared")
TEXTS = (
    *SOURCES,
    *(p.relative_to(ROOT) for p in sorted((ROOT / "tests").rglob("*.py"))),
    *(p.relative_to(ROOT) for p in sorted((ROOT / "benchmarks").rglob("*.py"))),
    *(p.relative_to(ROOT) for p in sorted((ROOT / "examples").rglob("*.py"))),
)

LONGEST = 400


def dotted(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in packages)


def imported(path: Path) -> list[tuple[int, str]]:
    """Return every module that *path* imports, with its line."""
    found = []
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            found += [(node.lineno, name.name) for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            module = node.module or ""
            found.append((node.lineno, module))
            # `from autoscaler import clock` names a module too.
            found += [
                (node.lineno, f"{module}.{name.name}")
                for name in node.names
                if (ROOT / module.replace(".", "/") / f"{name.name}.py").exists()
            ]
    return found


def allowed(path: Path) -> tuple[str, ...]:
    fits = [name for name in ARROWS if within(dotted(path), (name,))]
    return ARROWS[max(fits, key=len)]


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_imports_follow_the_arrows(path):
    for line, module in imported(path):
        ours = module.split(".")[0] in PACKAGES
        package = ours and (ROOT / module.replace(".", "/")).is_dir()
        names_a_package_on_the_way = package and any(
            name.startswith(f"{module}.") for name in allowed(path)
        )
        assert (
            not ours or within(module, allowed(path)) or names_a_package_on_the_way
        ), f"{path}:{line} imports {module}; allowed are {', '.join(allowed(path))}"


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if within(dotted(path), PURE)], ids=str
)
def test_the_cores_import_the_standard_library_only_and_nothing_impure_of_it(path):
    for line, module in imported(path):
        top = module.split(".")[0]
        assert top in PACKAGES or top in sys.stdlib_module_names, f"{path}:{line}"
        assert top not in IMPURE, f"{path}:{line}: {module} in a pure core"


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if within(dotted(path), PURE)], ids=str
)
def test_the_cores_neither_wait_nor_open_nor_print(path):
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        where = f"{path}:{getattr(node, 'lineno', 0)}"
        assert not isinstance(node, ast.AsyncFunctionDef | ast.Await), where
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"open", "print", "input", "exec", "eval"}, where


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if path.parts[0] == "simulations"], ids=str
)
def test_simulations_know_no_clock_no_chance_and_no_event_loop(path):
    for line, module in imported(path):
        assert module.split(".")[0] not in VIRTUAL, f"{path}:{line}: {module}"


def test_only_the_kubernetes_backend_knows_kubernetes():
    knows = [
        path
        for path in SOURCES
        for _, module in imported(path)
        if module.split(".")[0] == "kubernetes_asyncio"
    ]

    here = "autoscaler/backends/kubernetes"
    assert {str(path) for path in knows} <= {f"{here}/api.py", f"{here}/sockets.py"}


@pytest.mark.parametrize("path", TEXTS, ids=str)
def test_nothing_names_the_machine_it_was_written_on(path):
    for number, line in enumerate((ROOT / path).read_text().splitlines(), 1):
        # The one line here that has to name them.
        if "re.compile" not in line or path.name != Path(__file__).name:
            assert not PLACES.search(line), f"{path}:{number}: {line.strip()}"


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_a_module_fits_in_one_head(path):
    lines = len((ROOT / path).read_text().splitlines())

    assert lines <= LONGEST, f"{path} has {lines} lines, at most {LONGEST}"


def declares_only(path: Path) -> bool:
    """Say whether a module only declares: no function of it does anything."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if any(not isinstance(each, ast.Pass) for each in body):
                return False
    return True


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in SOURCES
        if path.name != "__main__.py" and not declares_only(path)
    ],
    ids=str,
)
def test_a_module_has_its_test_file(path):
    inside = path.parent / f"test_{path.name}"

    assert (ROOT / "tests" / inside).is_file(), f"{path} has no tests/{inside}"


def test_words_that_mean_unfinished_are_not_in_the_sources():
    unfinished = re.compile(
        r"\b(TODO|FIXME|XXX|NotImplementedError)\b|pragma: no cover"
    )
    found = [
        f"{path}:{number}"
        for path in SOURCES
        for number, line in enumerate((ROOT / path).read_text().splitlines(), 1)
        if unfinished.search(line)
    ]

    assert found == []
