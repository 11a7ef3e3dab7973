"""`fromzero simulate` and `tune`, as typer has them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fromzero.flags import How, texts

Paths = Annotated[
    list[Path],
    typer.Argument(
        metavar="PATH…",
        help="Files or directories with InferenceService and ServingRuntime documents.",
    ),
]
Memory = Annotated[
    str | None,
    typer.Option("--memory", metavar="SIZE", help="For all replicas together [any]."),
]
Gpus = Annotated[
    str | None,
    typer.Option("--gpus", metavar="N", help="For all replicas together [any]."),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings; see docs/settings.md."),
]
Trace = Annotated[
    Path, typer.Option("--trace", metavar="FILE", help="Requests, of any format.")
]
ColdStart = Annotated[
    str,
    typer.Option(
        "--cold-start",
        metavar="HOW",
        help="How long a start takes: 37s, nvme, lognormal(40s,10s) …",
    ),
]
TraceForm = Annotated[
    str, typer.Option("--format", metavar="NAME", help="Of the trace [recognised].")
]
Model = Annotated[
    str, typer.Option("--model", metavar="NAME", help="Only its requests [all].")
]
ServiceTime = Annotated[
    str,
    typer.Option(
        "--service-time",
        metavar="TIME",
        help="At a replica, where the trace does not say.",
    ),
]
TokenTime = Annotated[
    str,
    typer.Option(
        "--token-time", metavar="IN,OUT", help="And for each token, as 0.2ms,20ms."
    ),
]
Slowing = Annotated[
    str,
    typer.Option(
        "--slowing",
        metavar="SHARE",
        help="Longer for each other request at its replica, as 3% [0%].",
    ),
]
Patience = Annotated[
    str,
    typer.Option(
        "--patience", metavar="TIME", help="After which clients leave [never]."
    ),
]
Retries = Annotated[
    int,
    typer.Option(
        "--retries",
        metavar="N",
        min=0,
        max=100,
        help="How often clients that are not answered try again.",
    ),
]
Nodes = Annotated[
    str,
    typer.Option(
        "--nodes",
        metavar="NxGPUS",
        help="Where replicas are placed: 2x4; 0-3x4 grows as needed [anywhere].",
    ),
]
NodeBandwidth = Annotated[
    str,
    typer.Option(
        "--node-bandwidth",
        metavar="SPEED",
        help="That starts on a node share: 1GB/s.",
    ),
]
NodeIdle = Annotated[
    str,
    typer.Option(
        "--node-idle",
        metavar="TIME",
        help="An added node that is empty for so long goes [10m].",
    ),
]
Begin = Annotated[
    str, typer.Option("--from", metavar="TIME", help="Only from there on.")
]
End = Annotated[str, typer.Option("--to", metavar="TIME", help="Only until there.")]
Seed = Annotated[int, typer.Option("--seed", help="What chance begins with.")]
Report = Annotated[
    Path | None, typer.Option("--report", metavar="FILE.html", help="Write a page.")
]


def simulate(
    paths: Paths,
    trace: Trace,
    cold_start: ColdStart,
    report: Report = None,
    service_time: ServiceTime = "",
    token_time: TokenTime = "",
    slowing: Slowing = "",
    patience: Patience = "",
    retries: Retries = 0,
    nodes: Nodes = "",
    node_bandwidth: NodeBandwidth = "",
    node_idle: NodeIdle = "",
    model: Model = "",
    begin: Begin = "",
    end: End = "",
    seed: Seed = 1,
    form: TraceForm = "",
    memory: Memory = None,
    gpus: Gpus = None,
    config: Config = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy",
            metavar="NAME",
            help="Another way to decide beside it: keepalive:5m, hpa … (repeatable)",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Say what these settings would have cost on a trace, and who would have waited."""
    from fromzero.asked import Asked
    from fromzero.files import ready
    from fromzero.placing import Placing
    from fromzero.simulate import simulate as simulated

    asked = Asked(
        paths=tuple(paths),
        trace=trace,
        cold_start=cold_start,
        form=form,
        model=model,
        service_time=service_time,
        token_time=token_time,
        slowing=slowing,
        patience=patience,
        retries=retries,
        placing=Placing(text=nodes, bandwidth=node_bandwidth, idle=node_idle),
        begin=begin,
        end=end,
        seed=seed,
        policies=tuple(policy or ()),
        config=config,
        flags=texts(memory=memory, gpus=gpus),
    )
    if report is not None:
        ready(report, (trace, *paths))
    raise typer.Exit(simulated(asked, report, as_json=as_json))


def tune(
    paths: Paths,
    trace: Trace,
    cold_start: ColdStart,
    slo: Annotated[
        list[str],
        typer.Option("--slo", metavar="LIMITS", help="As p99_wait<20s,cold<1%."),
    ],
    points: Annotated[
        int, typer.Option("--points", min=8, help="Settings to try.")
    ] = 200,
    how: Annotated[
        How, typer.Option("--search", help="Who says which settings to try next.")
    ] = How.SOBOL,
    report: Report = None,
    patch: Annotated[
        Path | None,
        typer.Option(
            "--patch", metavar="FILE.yaml", help="Write the document with the pick."
        ),
    ] = None,
    service_time: ServiceTime = "",
    token_time: TokenTime = "",
    slowing: Slowing = "",
    patience: Patience = "",
    retries: Retries = 0,
    nodes: Nodes = "",
    node_bandwidth: NodeBandwidth = "",
    node_idle: NodeIdle = "",
    model: Model = "",
    begin: Begin = "",
    end: End = "",
    seed: Seed = 1,
    form: TraceForm = "",
    memory: Memory = None,
    gpus: Gpus = None,
    config: Config = None,
    jobs: Annotated[
        int, typer.Option("--jobs", min=0, help="Processes [one for each core].")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Find the cheapest settings that meet a goal on a trace, and write them down."""
    from fromzero.asked import Asked
    from fromzero.files import ready
    from fromzero.placing import Placing
    from fromzero.tune import Wanted
    from fromzero.tune import tune as tuned

    asked = Asked(
        paths=tuple(paths),
        trace=trace,
        cold_start=cold_start,
        form=form,
        model=model,
        service_time=service_time,
        token_time=token_time,
        slowing=slowing,
        patience=patience,
        retries=retries,
        placing=Placing(text=nodes, bandwidth=node_bandwidth, idle=node_idle),
        begin=begin,
        end=end,
        seed=seed,
        config=config,
        flags=texts(memory=memory, gpus=gpus),
    )
    wanted = Wanted(
        slo=",".join(slo),
        how=how,
        points=points,
        jobs=jobs,
        report=report,
        patch=patch,
        as_json=as_json,
    )
    if report is not None:
        ready(report, (trace, *paths))
    if patch is not None:
        ready(patch, (trace,))  # It may take the place of the document.
    raise typer.Exit(tuned(asked, wanted))
