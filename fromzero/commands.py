"""The commands; each imports what it runs on when it runs."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fromzero import planning, traces
from fromzero.flags import Flags, Records, dumps, texts
from fromzero.lean import become
from fromzero.logs import LogFormat
from fromzero.printable import printable

if TYPE_CHECKING:
    from fromzero.client import Client

app = typer.Typer(
    name="fromzero",
    help="Model servers that sleep and wake on one machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(traces.app, name="trace")
app.command()(planning.simulate)
app.command()(planning.tune)

Paths = Annotated[
    list[Path],
    typer.Argument(
        metavar="PATH…",
        help="Files or directories with InferenceService and ServingRuntime documents.",
    ),
]
Port = Annotated[
    int | None,
    typer.Option(
        "--port", metavar="N", help="Port that requests come in on [8080]; 0: any."
    ),
]
AdminPort = Annotated[
    int | None,
    typer.Option("--admin-port", metavar="N", help="Admin port [9090]; 0: any."),
]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory", metavar="SIZE", help="Memory for all replicas together, as 24Gi."
    ),
]
Gpus = Annotated[
    str | None,
    typer.Option(
        "--gpus",
        metavar="N|IDS",
        help="GPUs for replicas: how many, or which, as 0,1.",
    ),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings; see docs/settings.md."),
]
StateDir = Annotated[
    Path | None,
    typer.Option("--state-dir", metavar="DIR", help="Where rollouts are remembered."),
]
PvcRoot = Annotated[
    Path | None,
    typer.Option(
        "--pvc-root", metavar="DIR", help="Whose folders stand for volume claims."
    ),
]
Secret = Annotated[
    Path | None,
    typer.Option("--secret", metavar="FILE", help="What both ends of a link know."),
]
Own = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", help="Its own [POD_NAME, else the host's]."),
]
Form = Annotated[
    LogFormat, typer.Option("--log-format", help="How log lines are written.")
]
AccessLog = Annotated[
    str | None,
    typer.Option(
        "--access-log",
        metavar="off|json|combined",
        help="Write a line for each request [off].",
    ),
]
RecordTrace = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write each request, as the simulator reads it."),
]
Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="A revision, or a service for all of its revisions."
    ),
]


@app.command()
def up(  # one argument for each option: that is how typer has it
    paths: Paths,
    port: Port = None,
    admin_port: AdminPort = None,
    memory: Memory = None,
    gpus: Gpus = None,
    config: Config = None,
    pvc_root: PvcRoot = None,
    state_dir: StateDir = None,
    access_log: AccessLog = None,
    record_trace: RecordTrace = None,
    record_decisions: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write decisions, as `replay` reads them."),
    ] = None,
    log_format: Form = LogFormat.TEXT,
) -> None:
    """Serve the models of these documents; those that may sleep, sleep."""
    settings = texts(
        port=port,
        admin_port=admin_port,
        memory=memory,
        gpus=gpus,
        pvc_root=pvc_root,
        state_dir=state_dir,
        access_log=access_log,
    )
    said = Flags(
        paths=tuple(paths),
        settings=settings,
        config=config,
        records=Records(trace=record_trace, decisions=record_decisions),
        log_format=log_format,
    )
    become(dumps(said))


@app.command()
def activator(
    autoscaler: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Where all autoscalers are found."),
    ] = None,
    secret: Secret = None,
    name: Own = None,
    port: Port = None,
    admin_port: AdminPort = None,
    access_log: AccessLog = None,
    record_trace: RecordTrace = None,
    config: Config = None,
    log_format: Form = LogFormat.TEXT,
) -> None:
    """In a cluster: hold and forward requests, as the autoscalers say."""
    settings = texts(
        autoscaler=autoscaler,
        secret=secret,
        name=name,
        port=port,
        admin_port=admin_port,
        access_log=access_log,
    )
    said = Flags(
        command="activator",
        settings=settings,
        config=config,
        records=Records(trace=record_trace),
        log_format=log_format,
    )
    become(dumps(said))


@app.command()
def autoscaler(
    secret: Secret = None,
    namespace: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Manage it alone [all that are labelled]."),
    ] = None,
    kubeconfig: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="From outside; else as a pod of a cluster."),
    ] = None,
    name: Own = None,
    link_port: Annotated[
        int | None,
        typer.Option(metavar="N", help="Port for activators [9091]; 0: any."),
    ] = None,
    admin_port: AdminPort = None,
    config: Config = None,
    log_format: Form = LogFormat.TEXT,
) -> None:
    """In a cluster: decide how many replicas there are, beside KServe."""
    settings = texts(
        secret=secret,
        namespace=namespace,
        kubeconfig=kubeconfig,
        name=name,
        link_port=link_port,
        admin_port=admin_port,
    )
    said = Flags(
        command="autoscaler",
        settings=settings,
        config=config,
        log_format=log_format,
    )
    become(dumps(said))


@app.command()
def check(
    paths: Paths,
    memory: Memory = None,
    gpus: Gpus = None,
    config: Config = None,
    pvc_root: PvcRoot = None,
    state_dir: StateDir = None,
) -> None:
    """Say what `up` would make of these documents, and start nothing."""
    from fromzero.check import run

    status = run(
        tuple(paths),
        config=config,
        memory=memory,
        gpus=gpus,
        pvc_root=pvc_root,
        state_dir=state_dir,
    )
    raise typer.Exit(status)


@app.command()
def status(
    as_json: Annotated[
        bool, typer.Option("--json", help="As the admin port gives it.")
    ] = False,
    admin_port: AdminPort = None,
    config: Config = None,
) -> None:
    """Show every revision: its state, replicas, load, and why."""
    from fromzero.show import console, remarked, table

    told = _client(admin_port, config).status()
    if as_json:
        print(json.dumps(told, indent=2))
        return
    console().print(table(told["revisions"]))
    if lines := remarked(told.get("remarks", ())):
        console().print(lines)


@app.command()
def explain(name: Name, admin_port: AdminPort = None, config: Config = None) -> None:
    """Say why a revision is awake or asleep, and what was last decided."""
    from fromzero.show import explanation

    client = _client(admin_port, config)
    for each in client.find(name):
        print(explanation(client.explain(each)))


@app.command()
def wake(name: Name, admin_port: AdminPort = None, config: Config = None) -> None:
    """Start a revision now; load decides from then on."""
    _order("wake", name, admin_port, config)


@app.command()
def sleep(name: Name, admin_port: AdminPort = None, config: Config = None) -> None:
    """Let a revision sleep now, if it has nothing to do."""
    _order("sleep", name, admin_port, config)


@app.command()
def pin(name: Name, admin_port: AdminPort = None, config: Config = None) -> None:
    """Keep a revision awake until it is unpinned."""
    _order("pin", name, admin_port, config)


@app.command()
def unpin(name: Name, admin_port: AdminPort = None, config: Config = None) -> None:
    """Let a pinned revision sleep again."""
    _order("unpin", name, admin_port, config)


@app.command()
def release(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A revision or a service.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All revisions.")] = False,
    seconds: Annotated[
        float, typer.Option(metavar="S", help="Wait so long until it is done.")
    ] = 600.0,
    admin_port: AdminPort = None,
    config: Config = None,
) -> None:
    """In a cluster: let go of a revision, awake and ready, as it was before."""
    from fromzero.release import run

    run(_client(admin_port, config), name, seconds, everything=everything)


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE.jsonl[.gz]")],
) -> None:
    """Recompute recorded decisions; say how many differ."""
    from autoscaler.replay import replay as replayed

    report = replayed(file)
    for each in report.differences[:5]:
        print(each)
    if len(report.differences) > 5:
        print(f"… and {len(report.differences) - 5} more")
    print(f"{report.decisions} decisions, {len(report.differences)} differ")
    raise typer.Exit(1 if report.differences else 0)


@app.command()
def demo(
    seconds: Annotated[
        float, typer.Option(help="Give up after so many seconds.")
    ] = 90.0,
) -> None:
    """Watch real models sleep, wake, scale and sleep again."""
    from fromzero.demo.run import run

    raise typer.Exit(run(seconds))


@app.command()
def version() -> None:
    """Say which fromzero this is."""
    from fromzero import __version__

    print(f"fromzero {__version__} (Python {sys.version.split()[0]})")


def _client(port: int | None, config: Path | None) -> Client:
    from fromzero.client import Client
    from fromzero.config import resolve
    from fromzero.doors import from_here

    settings = resolve({"admin_port": port}, os.environ, config)
    return Client(from_here(settings.admin_host), settings.admin_port)


def _order(order: str, name: str, port: int | None, config: Path | None) -> None:
    client = _client(port, config)
    for each in client.find(name):
        after = client.order(order, each)
        said = f"{after['namespace']}/{after['name']} is {after['state']}"
        print(printable(f"{said}: {after['reason']}"))
