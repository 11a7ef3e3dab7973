from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest

from autoscaler.core.frames import Leaving, Opened, UpFrame
from autoscaler.core.messages import Ready, ReplicaLoad, Wake
from autoscaler.core.plausible import implausible
from tests.fakes.sharing import KEY, sample

SAMPLE = sample("a", 1, 2, r1=3)
LOAD = ReplicaLoad(replica="r1", in_flight=3, idle_s=0.0)


@pytest.mark.parametrize(
    "message",
    [
        SAMPLE,
        replace(SAMPLE, replicas=(replace(LOAD, idle_s=inf),)),
        Wake(key=KEY, reporter="a", epoch=0, held=0),
        Ready(key=KEY, reporter="a", replica="r1"),
        Leaving(reporter="a"),
        Opened(key=KEY, reporter="a", version=1, ports=(20000,)),
    ],
    ids=[
        "a sample",
        "a replica that was never used",
        "a wake",
        "ready",
        "leaving",
        "open",
    ],
)
def test_what_can_be_is_taken(message: UpFrame):
    assert implausible(message) == ""


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (replace(SAMPLE, span_s=0.0), "span_s = 0.0, must be in (0, 3600]"),
        (replace(SAMPLE, span_s=inf), "span_s = inf, must be in (0, 3600]"),
        (replace(SAMPLE, concurrency=-0.5), "concurrency = -0.5, must be at least 0 and at most 10000000"),
        (replace(SAMPLE, concurrency=inf), "concurrency = 1e18 or more, must be at least 0 and at most 10000000"),
        (replace(SAMPLE, requests=-1), "requests = -1, must be at least 0 and at most 10000000"),
        (replace(SAMPLE, held=-1), "held = -1, must be at least 0 and at most 10000000"),
        (replace(SAMPLE, in_flight=-1), "in_flight = -1, must be at least 0 and at most 10000000"),
        (
            replace(SAMPLE, replicas=(replace(LOAD, in_flight=-1),)),
            "in_flight = -1, idle_s = 0.0 at r1, must be at least 0",
        ),
        (
            replace(SAMPLE, replicas=(replace(LOAD, idle_s=-1.0),)),
            "in_flight = 3, idle_s = -1.0 at r1, must be at least 0",
        ),
        (
            replace(SAMPLE, held=10**40),
            "held = 1e18 or more, must be at least 0 and at most 10000000",
        ),
        (
            Opened(key=KEY, reporter="a", version=1, refused="x" * 5000),
            "0 ports and 5000 characters of refusal, must be at most 128 and 1000",
        ),
        (Wake(key=KEY, reporter="a", epoch=0, held=-1), "held = -1, must be at least 0 and at most 10000000"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named_with_its_rule(message: UpFrame, said: str):
    assert implausible(message) == said
