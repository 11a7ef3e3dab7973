"""Builds the parts of a real Kubernetes that the tests run, once, outside the tree.

``python -m tests.kube.assets`` prints the folder that holds them, after building what
is missing; :func:`folder` only looks.  A folder named by KUBEBUILDER_ASSETS, as
setup-envtest makes it, is used as it is for the parts that it has.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

VERSION = "1.37.2"
COMMANDS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
PARTS = (*COMMANDS, "etcd")
HOW = "make kube-assets"


def cache() -> Path:
    """The folder that is built into: FROMZERO_KUBE_ASSETS, or one in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    default = Path(base) / "fromzero" / f"kubernetes-{VERSION}"
    return Path(os.environ.get("FROMZERO_KUBE_ASSETS", default))


def find(part: str) -> Path | None:
    """Where *part* is, or None."""
    given = os.environ.get("KUBEBUILDER_ASSETS")
    for place in (Path(given) if given else None, cache()):
        if place and os.access(place / part, os.X_OK):
            return place / part
    if part == "etcd":
        found = shutil.which("etcd")
        return Path(found) if found else None
    return None


def missing() -> list[str]:
    """The parts that are not there, by name."""
    return [part for part in PARTS if find(part) is None]


def run(*command: str, cwd: Path, **env: str) -> str:
    """Run *command* and return what it printed; its errors go to ours."""
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | env, check=True, stdout=subprocess.PIPE
    )
    return done.stdout.decode()


def module(place: Path) -> None:
    """Write in *place* a Go module whose tools are the commands of Kubernetes.

    The module that Kubernetes is published as replaces its staging modules by folders
    that are not published with it, so each is replaced by its own release.
    """
    place.mkdir(parents=True, exist_ok=True)
    (place / "go.mod").write_text("module fromzero.dev/assets\n")
    run("go", "mod", "download", f"k8s.io/kubernetes@v{VERSION}", cwd=place)
    source = run("go", "env", "GOMODCACHE", cwd=place).strip()
    original = Path(source, f"k8s.io/kubernetes@v{VERSION}", "go.mod").read_text()
    staged = re.findall(r"^\s*(k8s\.io/\S+) => \./staging/", original, re.MULTILINE)
    release = f"v0.{VERSION.split('.', 1)[1]}"
    version = re.search(r"^go (\S+)$", original, re.MULTILINE)
    assert version, "the go.mod of Kubernetes names no Go version"
    lines = [
        "module fromzero.dev/assets",
        f"go {version[1]}",
        "godebug default=go" + ".".join(version[1].split(".")[:2]),
        f"require k8s.io/kubernetes v{VERSION}",
        *(f"replace {name} => {name} {release}" for name in staged),
        *(f"tool k8s.io/kubernetes/cmd/{name}" for name in COMMANDS),
    ]
    (place / "go.mod").write_text("\n".join(lines) + "\n")
    run("go", "mod", "tidy", cwd=place)


def build(target: Path) -> None:
    """Build the commands that are missing into *target*; each appears whole or not."""
    if shutil.which("go") is None:
        sys.exit(
            f"{HOW}: it needs Go (https://go.dev/dl) to build Kubernetes {VERSION}; "
            "or name a folder of setup-envtest's in KUBEBUILDER_ASSETS"
        )
    work = target / "module"
    module(work)
    about = "k8s.io/component-base/version"
    major, minor, _ = VERSION.split(".")
    flags = (
        f"-s -w -X {about}.gitVersion=v{VERSION} "
        f"-X {about}.gitMajor={major} -X {about}.gitMinor={minor}"
    )
    for name in COMMANDS:
        if find(name) is None:
            print(f"building {name} {VERSION}", file=sys.stderr, flush=True)
            part = target / f"{name}.part"
            package = f"k8s.io/kubernetes/cmd/{name}"
            run("go", "build", "-ldflags", flags, "-o", str(part), package, cwd=work)
            part.rename(target / name)


def main() -> None:
    """Build what is missing, and print where it is."""
    target = cache()
    target.mkdir(parents=True, exist_ok=True)
    if any(find(name) is None for name in COMMANDS):
        build(target)
    if find("etcd") is None:
        sys.exit(f"{HOW}: etcd is missing: apt-get install etcd-server, or your own")
    print(target)


if __name__ == "__main__":
    main()
