"""What a launch says, filled in for one replica: its arguments and environment."""

from __future__ import annotations

import re
from collections.abc import Mapping

from autoscaler.backends.base import Launch

_REFERENCE = re.compile(r"\$(?:(\$)|\(([^)]*)\))")


def fill(
    launch: Launch, given: Mapping[str, str], inherited: Mapping[str, str]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the arguments and the environment of one replica.

    *given* (PORT, MODEL_DIR, CUDA_VISIBLE_DEVICES) wins over what the launch says of
    them, and that wins over what fromzero itself *inherited*. As in Kubernetes, a
    variable may refer to those before it.

    >>> launch = Launch(command=("serve", "--at=$(HOST):$(PORT)", "/mnt/models/m.bin"),
    ...                 env=(("HOST", "::1"), ("ROOT", "/mnt/models")))
    >>> fill(launch, {"PORT": "8080", "MODEL_DIR": "/data"}, {})[0]
    ('serve', '--at=::1:8080', '/data/m.bin')
    >>> fill(launch, {"PORT": "8080", "MODEL_DIR": "/data"}, {})[1]["ROOT"]
    '/data'
    """
    local = given.get("MODEL_DIR", "")
    mount = launch.model_mount if local else ""
    values = {**inherited, **given}
    for name, text in launch.env:
        if name not in given:
            values[name] = expand(relocate(text, mount, local), values)
    argv = tuple(
        expand(relocate(each, mount, local), values) for each in launch.command
    )
    return argv, values


def expand(text: str, values: Mapping[str, str]) -> str:
    """Fill in `$(NAME)` as Kubernetes does; an unknown one stays as it is.

    >>> expand("--port=$(PORT) $(WHO) $$(PORT) $PORT", {"PORT": "80"})
    '--port=80 $(WHO) $(PORT) $PORT'
    """

    def value(found: re.Match[str]) -> str:
        if found[1]:
            return "$"
        return values.get(found[2], found[0])

    return _REFERENCE.sub(value, text)


def relocate(text: str, mount: str, local: str) -> str:
    """Put *local* where *text* says *mount*, as a whole path or the head of one.

    >>> relocate("--dir=/mnt/models/bert", "/mnt/models", "/data/m1")
    '--dir=/data/m1/bert'
    >>> relocate("/mnt/models-old and a/mnt/models", "/mnt/models", "/data/m1")
    '/mnt/models-old and a/mnt/models'
    """
    if not mount:
        return text
    whole = rf"(?<![\w.-]){re.escape(mount.rstrip('/'))}(?![\w.-])"
    return re.sub(whole, lambda found: local, text)
