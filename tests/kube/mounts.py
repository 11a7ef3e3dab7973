"""The volumes of a pod, as folders of this machine that its containers are shown."""

from __future__ import annotations

import os
import shutil
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.kube.environment import Fetch, Object, Unmade, amount, decoded, field

Token = Callable[[Mapping[str, Any]], Awaitable[str]]
"""Asks for a token of the pod's service account, as a projected source says."""

Files = dict[str, tuple[bytes, int]]
"""Relative path -> contents and mode."""

LIVE = ("configMap", "secret", "projected", "downwardAPI")
"""The kinds whose files follow what they were made from."""


async def files(
    kind: str, source: Object, pod: Object, ask: tuple[Fetch, Token]
) -> Files:
    """Return the files of a volume of one of the kinds of LIVE."""
    fetch, token = ask
    mode = int(source.get("defaultMode") or 0o644)
    if kind == "projected":
        made: Files = {}
        for part in source.get("sources") or ():
            for inner, each in part.items():
                made |= await files(inner, {"defaultMode": mode} | each, pod, ask)
        return made
    if kind == "serviceAccountToken":
        return {source["path"]: ((await token(source)).encode(), mode)}
    if kind == "downwardAPI":
        return {
            item["path"]: (downward(item, pod).encode(), int(item.get("mode") or mode))
            for item in source.get("items") or ()
        }
    plural = {"configMap": "configmaps", "secret": "secrets"}.get(kind)
    if plural is None:
        raise Unmade(f"a volume of kind {kind} is not played by this kubelet")
    name = source.get("secretName") or source["name"]
    found = await fetch(plural, name)
    if found is None and not source.get("optional"):
        raise Unmade(f'{plural[:-1]} "{name}" not found')
    return chosen(decoded(plural, found or {}), source, mode)


def downward(item: Object, pod: Object) -> str:
    if reference := item.get("fieldRef"):
        return field(pod, reference["fieldPath"])
    reference = item["resourceFieldRef"]
    containers = {each["name"]: each for each in pod["spec"]["containers"]}
    return amount(reference, containers[reference["containerName"]])


def chosen(data: Mapping[str, bytes], source: Object, mode: int) -> Files:
    """Return the keys that a volume names, at their paths; all where it names none."""
    items = source.get("items")
    if not items:
        return {name: (value, mode) for name, value in data.items()}
    if lost := [each["key"] for each in items if each["key"] not in data]:
        if source.get("optional"):
            items = [each for each in items if each["key"] in data]
        else:
            raise Unmade(f"references non-existent config key: {', '.join(lost)}")
    return {
        each["path"]: (data[each["key"]], int(each.get("mode") or mode))
        for each in items
    }


def write(folder: Path, wanted: Files, group: int, version: int) -> None:
    """Make *folder* show the files all at once, by swinging a link as a kubelet does."""
    fresh, link, swing = folder / f"..{version}", folder / "..data", folder / "..swing"
    before = folder / os.readlink(link) if link.is_symlink() else None
    fresh.mkdir(parents=True)
    for name, (contents, mode) in wanted.items():
        path = fresh / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents)
        # What is root's own is read by the pod's group.
        path.chmod(mode | 0o040 if group else mode)
        os.chown(path, 0, group)
    swing.symlink_to(fresh.name)
    swing.rename(link)
    tops = {name.split("/")[0] for name in wanted}
    for name in tops:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    for path in folder.iterdir():
        if path.name not in tops and not path.name.startswith(".."):
            path.unlink()
    if before:
        shutil.rmtree(before)


class Volumes:
    """The volumes of one pod, below *folder*."""

    def __init__(self, folder: Path, pod: Object, ask: tuple[Fetch, Token]) -> None:
        self._folder, self._pod, self._ask = folder, pod, ask
        self._written: dict[str, tuple[int, Files | None]] = {}
        self._group = int(
            (pod["spec"].get("securityContext") or {}).get("fsGroup") or 0
        )

    def at(self, name: str) -> Path:
        return self._folder / "volumes" / name

    def _kinds(self) -> Iterable[tuple[str, str, Object]]:
        for volume in self._pod["spec"].get("volumes") or ():
            ((kind, source),) = ((k, v) for k, v in volume.items() if k != "name")
            yield volume["name"], kind, source or {}

    async def fill(self) -> None:
        """Make all of them, or raise Unmade; again, to follow what they came from."""
        for name, kind, source in self._kinds():
            if kind == "emptyDir":
                self.at(name).mkdir(parents=True, exist_ok=True)
                self.at(name).chmod(0o2777 if self._group else 0o777)
                os.chown(self.at(name), 0, self._group)
            elif kind != "hostPath":
                wanted = await files(kind, source, self._pod, self._ask)
                version, before = self._written.get(name, (0, None))
                if wanted != before:
                    write(self.at(name), wanted, self._group, version + 1)
                    self._written[name] = version + 1, wanted

    def sources(self) -> dict[str, Path]:
        """Return where each volume is."""
        return {
            name: Path(source["path"]) if kind == "hostPath" else self.at(name)
            for name, kind, source in self._kinds()
        }

    def mounts(self, container: Object) -> list[list[object]]:
        """Return source, mountPath and whether it is read-only, outer ones first."""
        known = self.sources()
        shown: list[list[object]] = []
        for each in container.get("volumeMounts") or ():
            source = known[each["name"]]
            if part := each.get("subPath"):
                source = source / part
                if not source.exists():
                    source.mkdir(parents=True)
            live = any(
                name == each["name"] and kind in LIVE for name, kind, _ in self._kinds()
            )
            shown.append(
                [str(source), each["mountPath"], live or bool(each.get("readOnly"))]
            )
        return sorted(shown, key=lambda each: str(each[1]))
