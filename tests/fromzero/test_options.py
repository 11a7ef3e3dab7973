"""How each setting of the machine is read."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from fromzero.config import Settings
from fromzero.options import SETTINGS, Unlimited, gpus


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("port", "0", 0),
        ("port", "65536", None),
        ("port", "80.5", None),
        ("host", "0.0.0.0", "0.0.0.0"),
        ("host", "::1", "::1"),
        ("host", "a b", None),
        ("domain", "models.example", "models.example"),
        ("domain", "Models", None),
        ("memory", "24Gi", 24 << 30),
        ("memory", "0", None),
        ("patience", "90s", 90.0),
        ("patience", "0", 0.0),
        ("patience", "soon", None),
        ("pvc-root", "/claims", Path("/claims")),
        ("pvc-root", " ", None),
        ("total-max-held", "0", 0),
        ("total-max-held", "-1", None),
        ("total-max-held-bytes", "1Mi", 1 << 20),
        ("seed", "7", 7),
        ("autoscaler", " scaler.fromzero.svc:9091 ", "scaler.fromzero.svc:9091"),
        ("autoscaler", "[fd00::1]:9091", "[fd00::1]:9091"),
        ("autoscaler", "scaler", None),
        ("autoscaler", "scaler:0", None),
        ("autoscaler", "fd00::1:9091", None),
        ("secret", "/etc/secret", Path("/etc/secret")),
        ("name", "fromzero-activator-7c9f-x2x4z", "fromzero-activator-7c9f-x2x4z"),
        ("name", "a/b", None),
    ],
)
def test_each_setting_is_read_or_wrong(name, text, value):
    assert SETTINGS[name].read(text) == value


def test_no_limit_of_memory_is_said_on_purpose():
    assert isinstance(SETTINGS["memory"].read("unlimited"), Unlimited)


@pytest.mark.parametrize(
    ("text", "which"),
    [
        ("0", ()),
        ("2", ("0", "1")),
        ("0,2", ("0", "2")),
        ("1,", ("1",)),
        ("GPU-a1,MIG-2", ("GPU-a1", "MIG-2")),
        ("1,1", None),
        ("", None),
        ("a b", None),
        ("9999", None),
    ],
)
def test_gpus_are_how_many_or_which(text, which):
    assert gpus(text) == which


def test_a_tilde_is_the_home_directory():
    assert SETTINGS["state-dir"].read("~/s") == Path.home() / "s"


def test_every_field_of_the_settings_has_one_setting():
    fields = {each.name for each in dataclasses.fields(Settings)} - {"spec"}

    assert sorted(each.field for each in SETTINGS.values()) == sorted(fields)
