"""Outcomes to show, with what somebody hostile would say in them."""

from __future__ import annotations

from autoscaler.core.domain import RevisionKey
from simulations.bands import Spread
from simulations.cluster import Part
from simulations.outcome import Front, Heat, Moment, Origin, Outcome, Point, Series
from simulations.report import Figures
from simulations.run import End

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&"
ORIGIN = Origin(
    command=f"fromzero simulate '{HOSTILE}'",
    version="0.1.0",
    seed=1,
    trace=HOSTILE,
    digest="ab" * 32,
    span_s=7_200.0,
    requests=100,
    start="20 to 40 s, mean 30 s",
    remarks=(HOSTILE,),
)


def outcome(name: str = "these settings", *, cold: int = 20, idle_s: float = 900.0):
    figures = Figures(
        key=RevisionKey("default", "llm"),
        requests=100,
        ends=((End.ANSWERED, 98), (End.REJECTED, 2)),
        cold=cold,
        delayed=3,
        wait_p50_s=0.0,
        wait_p95_s=20.0,
        wait_p99_s=37.0,
        wait_max_s=37.0,
        refusals=(),
        starts=9,
        failures=0,
        crashes=0,
        most=2,
        seconds=(
            (Part.LOADING, 300.0), (Part.IDLE, idle_s), (Part.BUSY, 600.0),
            (Part.DRAINING, 10.0),
        ),
        gpus=1,
    )  # fmt: skip
    moment = Moment(
        at=10.0, model=HOSTILE, ready=0, desired=1, applied=1, mode="stable",
        reason=HOSTILE,
    )  # fmt: skip
    return Outcome(
        name=name,
        settings={"window": "60s", "panic": HOSTILE},
        figures=(figures,),
        gpus=1,
        most=2,
        waits=((0.0, 0.0), (0.5, 0.0), (0.95, 20.0), (0.99, 37.0), (1.0, 37.0)),
        mean_wait_s=4.0,
        series=Series(
            at=(0.0, 2_400.0, 4_800.0), arrivals=(0.1, 0.0, 0.2), held=(1.0, 0.0, 2.0),
            ready=(1.0, 0.0, 1.0), loading=(1.0, 0.0, 1.0),
        ),
        moments=(moment,),
    )  # fmt: skip


FRONT = Front(
    points=(
        Point(settings={"window": "6s"}, cost_s=900.0, wait_s=37.0, cold=0.4, front=True),
        Point(settings={"window": "60s"}, cost_s=1810.0, wait_s=9.0, cold=0.2, front=True,
              name="the pick", sure=Spread(cost_s=(1620.0, 2000.0), wait_s=(0.0, 12.0))),
        Point(settings={"window": HOSTILE}, cost_s=2900.0, wait_s=30.0, cold=0.2),
    ),
    goal="p99_wait<20s",
    verdict=f"The pick meets p99_wait<20s. {HOSTILE}",
    heat=Heat(
        across="window", up="grace", columns=("6s", "60s"), rows=("0s", HOSTILE),
        cost_s=((900.0, 1810.0), (1000.0, 2000.0)),
        wait_s=((37.0, 9.0), (37.0, 0.0)),
    ),
)  # fmt: skip
