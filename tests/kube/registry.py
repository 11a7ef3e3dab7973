"""The images of what KServe runs, as programs of the tests."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from tests.kube import models, sidecars
from tests.kube.images import Image
from tests.kube.kserve_objects import RUNTIMES
from tests.kube.kserve_webhook import AGENT_IMAGE, INITIALIZER

ENGINES = {
    "sklearn": ("--engine=kserve", "--late"),
    "huggingface": ("--engine=vllm",),
    "vllm": ("--engine=vllm",),
    "triton": ("--engine=triton", "--metrics_port=8002"),
}
"""What each runtime's image is told before the container's own args."""
TRANSFORMER = "kserve/image-transformer:v0.21.0"


def program(file: str | None, *words: str) -> Image:
    """Return an image of a program on the standard library: it is up in 0.1 s."""
    assert file, "a program is a file"
    shown = (str(Path(file).parent),)
    return Image(entry=(sys.executable, "-I", "-S", file, *words), shows=shown)


IMAGES: Mapping[str, Image] = {
    **{
        runtime.image: program(models.__file__, *ENGINES[kind])
        for kind, runtime in RUNTIMES.items()
    },
    TRANSFORMER: program(models.__file__, "--engine=kserve"),
    INITIALIZER: program(sidecars.__file__, "storage"),
    AGENT_IMAGE: program(sidecars.__file__, "agent"),
}
