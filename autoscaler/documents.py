"""Files -> the KServe documents in them, and what is not one."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autoscaler.errors import Problem
from autoscaler.fields import unknown
from autoscaler.marked import MalformedError, Marked, parse
from autoscaler.notes import Level, Note
from autoscaler.place import Place
from autoscaler.signature import Look, Signature, look

SUFFIXES = (".yaml", ".yml", ".json")
_FILE_BYTES = 4 << 20
_GROUP = "serving.kserve.io/"
_VERSIONS = {
    "InferenceService": "serving.kserve.io/v1beta1",
    "ServingRuntime": "serving.kserve.io/v1alpha1",
    "ClusterServingRuntime": "serving.kserve.io/v1alpha1",
}
_REFUSED = {
    "InferenceGraph": "is not served by this version; call its services one by one",
    "LLMInferenceService": "is not served by this version; write an InferenceService "
    "(see the runtimes kserve-vllm and llama-server)",
    "TrainedModel": "is not served by this version; write an InferenceService of its "
    "own for each model",
}
_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_DNS = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document that fromzero knows."""

    kind: str
    namespace: str
    """Empty for what belongs to the whole cluster."""
    name: str
    root: Place
    directory: str
    """Where its file is: relative paths in it begin there."""

    @property
    def metadata(self) -> Place | None:
        """Return the place of its labels and annotations."""
        return self.root.at("metadata")


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """What was read; its problems are raised by `kserve.plan`, all at once."""

    services: tuple[Document, ...] = ()
    runtimes: tuple[Document, ...] = ()
    seen: Signature = ()
    """Every file that was read, and every directory, as it was before it was read, for
    those who watch them."""
    notes: tuple[Note, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(slots=True)
class _Shelf:
    services: list[Document] = field(default_factory=list)
    runtimes: list[Document] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def load(paths: Sequence[Path]) -> Documents:
    """Read files and directories; what is wrong is kept in `problems`, not raised."""
    shelf = _Shelf()
    watched: dict[str, Look] = {}
    named = frozenset(path for path in paths if not path.is_dir())
    for path in _files(paths, watched, shelf.problems):
        _read(path, shelf, named=path in named)
    if not shelf.problems and not shelf.services:
        said = ", ".join(map(str, paths)) or "no path"
        shelf.problems.append(Problem(file=said, rule="has no InferenceService"))
    _twice(shelf)
    return Documents(
        services=tuple(shelf.services),
        runtimes=tuple(shelf.runtimes),
        seen=tuple(watched.values()),
        notes=tuple(shelf.notes),
        problems=tuple(shelf.problems),
    )


def shipped() -> tuple[Document, ...]:
    """Return the runtimes that come with fromzero."""
    shelf = _Shelf()
    for path in sorted((Path(__file__).parent / "runtimes").glob("*.yaml")):
        _read(path, shelf, named=True)
    assert not shelf.problems, shelf.problems
    return tuple(shelf.runtimes)


def _files(
    paths: Sequence[Path], watched: dict[str, Look], problems: list[Problem]
) -> Iterator[Path]:
    seen = set()
    for path in paths:
        before = look(str(path))
        try:
            found = _inside(path) if path.is_dir() else [path]
        except OSError as error:
            problems.append(Problem(file=str(path), rule=f"{error.strerror}"))
            continue
        if path.is_dir() and not found:
            rule = f"has no file that ends in {', '.join(SUFFIXES)}"
            problems.append(Problem(file=str(path), rule=rule))
        watched[str(path)] = before
        for each in found:
            watched[str(each)] = look(str(each))
            if (real := os.path.realpath(each)) not in seen:
                seen.add(real)
                yield each


def _inside(directory: Path) -> list[Path]:
    return sorted(
        each
        for each in directory.iterdir()
        if each.suffix in SUFFIXES and not each.name.startswith(".") and each.is_file()
    )


def _read(path: Path, shelf: _Shelf, *, named: bool) -> None:
    """Read one file; in a directory, what is no document at all is passed over."""

    def bad(rule: str, line: int = 0) -> None:
        shelf.problems.append(Problem(file=str(path), line=line, rule=rule))

    try:
        if not path.is_file():
            bad("is not there" if not path.exists() else "is not a file or directory")
            return
        if path.stat().st_size > _FILE_BYTES:
            bad(f"is bigger than {_FILE_BYTES >> 20} MiB: not read")
            return
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        bad(f"cannot be read: {error.strerror}")
        return
    except UnicodeDecodeError as error:
        before = error.object[: error.start].count(b"\n")
        bad("is not UTF-8 text", before + 1)
        return
    try:
        trees = _trees(path, text)
    except MalformedError as error:
        bad(error.rule, error.line)
        return
    directory = os.path.dirname(os.path.abspath(path))
    for tree in trees:
        root = Place(str(path), "", tree, shelf.problems)
        if named or _is_document(tree):
            _take(root, directory, shelf)
        else:
            said = "is no Kubernetes document: skipped"
            shelf.notes.append(Note(file=root.file, line=root.line, text=said))


def _is_document(tree: Marked) -> bool:
    return isinstance(tree.data, dict) and not tree.data.keys().isdisjoint(
        ("apiVersion", "kind")
    )


def _trees(path: Path, text: str) -> tuple[Marked, ...]:
    try:
        return parse(text)
    except MalformedError:
        # JSON is not quite YAML: escaped surrogate pairs, for one.
        if path.suffix != ".json":
            raise
        try:
            plain = json.dumps(json.loads(text), ensure_ascii=False)
        except (ValueError, RecursionError):
            raise
        return parse(plain)


def _take(root: Place, directory: str, shelf: _Shelf) -> None:
    if not isinstance(root.node.data, dict):
        root.bad("must be a mapping with apiVersion and kind")
        return
    kind_at = root.at("kind")
    kind = kind_at.text() if kind_at else None
    version_at = root.at("apiVersion")
    version = version_at.text() if version_at else None
    if kind is None or version is None:
        for key in ("kind", "apiVersion"):
            if root.at(key) is None:
                root.lacks(key, "is missing")
        return
    if kind == "List" or (kind.endswith("List") and version.startswith(_GROUP)):
        items = root.at("items")
        for each in items.each() if items else ():
            _take(each, directory, shelf)
        return
    if not version.startswith(_GROUP):
        said = f"{kind} ({version}) is none of KServe's: skipped"
        shelf.notes.append(Note(file=root.file, line=root.line, text=said))
        return
    if kind in _REFUSED:
        _refuse(root, kind, _REFUSED[kind])
    elif kind not in _VERSIONS:
        said = f"{kind} has no meaning here: skipped"
        shelf.notes.append(Note(file=root.file, line=root.line, text=said))
    elif version != _VERSIONS[kind] and version_at is not None:
        version_at.bad(f"must be {_VERSIONS[kind]} for {kind}")
    else:
        _known(root, kind, directory, shelf)


def _refuse(root: Place, kind: str, rule: str) -> None:
    name_at = root.at("metadata", "name")
    name = name_at.anything() if name_at else ""
    root.problems.append(
        Problem(
            file=root.file,
            line=root.line,
            field=" ".join(filter(None, (kind, name))),
            rule=rule,
        )
    )


def _known(root: Place, kind: str, directory: str, shelf: _Shelf) -> None:
    name_at = root.at("metadata", "name")
    name = name_at.text() if name_at else None
    if name_at is None:
        root.lacks("metadata.name", "is missing")
    space_at = root.at("metadata", "namespace")
    space = (space_at.text() or "") if space_at else "default"
    spec = root.at("spec")
    if spec is None:
        root.lacks("spec", "is missing")
    if space_at is not None and space and not _DNS.fullmatch(space):
        space_at.bad("must be lower-case letters, digits and dashes")
    if name is None or name_at is None or spec is None:
        return
    pattern = _NAME if kind == "InferenceService" else _DNS
    if not pattern.fullmatch(name) or len(name) > 63:
        name_at.bad(
            "must be at most 63 lower-case letters, digits and dashes, "
            "and begin with a letter"
        )
        return
    _warn(kind, spec, f"{space}/{name}", shelf.notes)
    document = Document(
        kind=kind,
        namespace="" if kind == "ClusterServingRuntime" else space,
        name=name,
        root=root,
        directory=directory,
    )
    if kind == "InferenceService":
        shelf.services.append(document)
    else:
        shelf.runtimes.append(document)


def _warn(kind: str, spec: Place, service: str, notes: list[Note]) -> None:
    shape = "ServingRuntime" if kind.endswith("ServingRuntime") else kind
    for place, near in unknown(shape, spec):
        meant = f": did you mean {near}?" if near else ": nothing reads it"
        notes.append(
            Note(
                level=Level.WARNING,
                service=service if kind == "InferenceService" else "",
                file=place.file,
                line=place.line,
                text=f"{place.path} is not a field of {kind}{meant}",
            )
        )


def _twice(shelf: _Shelf) -> None:
    for group in (shelf.services, shelf.runtimes):
        first: dict[tuple[str, str, str], Document] = {}
        for each in group:
            key = (each.kind, each.namespace, each.name)
            if key in first:
                before = first[key].root
                shelf.problems.append(
                    Problem(
                        file=each.root.file,
                        line=each.root.line,
                        field=f"{each.kind} {_full(each)}",
                        rule=f"is already in {before.file}:{before.line}; "
                        "give one of them another name",
                    )
                )
            first.setdefault(key, each)


def _full(document: Document) -> str:
    return "/".join(filter(None, (document.namespace, document.name)))
