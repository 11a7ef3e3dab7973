"""Locations of models, made absolute and found."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoscaler.storage_uri import REMOTE, absolute, is_remote, local


@pytest.mark.parametrize(
    ("uri", "meant"),
    [
        ("iris", "/srv/iris"),
        ("../iris", "/iris"),
        ("/data/iris", "/data/iris"),
        ("file:///data/iris", "file:///data/iris"),
        ("file://localhost/data/iris", "file:///data/iris"),
        ("file://iris", "file:///srv/iris"),
        ("pvc://claim/iris", "pvc://claim/iris"),
        ("S3://b/iris", "S3://b/iris"),
        ("ftp://h/iris", None),
    ],
)
def test_a_relative_location_begins_at_its_document(uri, meant):
    assert absolute(uri, "/srv") == meant


@pytest.mark.parametrize("scheme", REMOTE)
def test_what_must_be_fetched_has_no_path(scheme):
    uri = f"{scheme}://there/model"

    assert absolute(uri, "/srv") == uri
    assert is_remote(uri)
    assert local(uri, Path("/volumes")) is None


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("/data/iris", "/data/iris"),
        ("file:///data/iris", "/data/iris"),
        ("pvc://claim/iris", "/volumes/claim/iris"),
    ],
)
def test_what_is_here_has_one(uri, path):
    assert local(uri, Path("/volumes")) == Path(path)
    assert not is_remote(uri)


def test_a_volume_needs_a_root():
    assert local("pvc://claim/iris", None) is None
