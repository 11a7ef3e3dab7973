"""Where a model is, as a document says it: made absolute, or found on this machine."""

from __future__ import annotations

import os
import re
from pathlib import Path

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
REMOTE = ("s3", "gs", "hf", "http", "https", "hdfs", "webhdfs", "oci", "modelscope")
"""Fetched by `kserve-storage`."""


def absolute(uri: str, directory: str) -> str | None:
    """Return *uri* as it is meant in a file of *directory*; None: no such scheme.

    >>> absolute("models/iris", "/srv"), absolute("file://iris", "/srv")
    ('/srv/models/iris', 'file:///srv/iris')
    >>> absolute("s3://bucket/iris", "/srv"), absolute("ftp://host/iris", "/srv")
    ('s3://bucket/iris', None)
    """
    found = _SCHEME.fullmatch(uri)
    if found is None:
        return os.path.normpath(os.path.join(directory, os.path.expanduser(uri)))
    scheme, rest = found[1].lower(), found[2]
    if scheme == "file":
        path = rest.removeprefix("localhost")
        return f"file://{os.path.normpath(os.path.join(directory, path))}"
    return uri if scheme == "pvc" or scheme in REMOTE else None


def is_remote(uri: str) -> bool:
    """Say whether the model must be fetched.

    >>> is_remote("S3://bucket/iris"), is_remote("pvc://models/iris")
    (True, False)
    """
    found = _SCHEME.fullmatch(uri)
    return found is not None and found[1].lower() in REMOTE


def local(uri: str, volumes: Path | None) -> Path | None:
    """Return the path that an absolute *uri* stands for; None: it is not a path.

    >>> str(local("pvc://models/a/b", Path("/data"))), local("s3://b/c", None)
    ('/data/models/a/b', None)
    """
    found = _SCHEME.fullmatch(uri)
    if found is None:
        return Path(uri)
    match found[1].lower():
        case "file":
            return Path(found[2])
        case "pvc" if volumes is not None:
            return volumes / found[2]
        case _:
            return None
