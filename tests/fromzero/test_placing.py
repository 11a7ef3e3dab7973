"""--nodes and what belongs to it: what is meant, and what is refused and why."""

from __future__ import annotations

from math import inf

import pytest

from autoscaler.core.domain import Needs, RevisionKey, RevisionSpec
from fromzero.errors import CommandError
from fromzero.placing import Placing, remarks
from simulations.coldstart import parse
from simulations.nodes import Nodes

LLM = RevisionKey("default", "llm")


def read(start: str, gpus: int = 1, **options: str) -> Nodes | None:
    specs = {LLM: RevisionSpec(needs=Needs(gpus=gpus))}
    return Placing(**options).nodes(parse(start), specs)


def test_without_the_option_there_are_no_nodes():
    assert read("nvme") is None
    assert read("new-node") is None


def test_the_options_together_are_nodes():
    assert read("nvme", text="2x4") == Nodes(count=2, most=2, gpus=4)
    assert read(
        "node(4m) + weights(15GB)", text="0-3x8", bandwidth="1.25GB/s", idle="5m"
    ) == Nodes(count=0, most=3, gpus=8, bandwidth=1.25e9, idle_s=300.0)


@pytest.mark.parametrize(
    ("start", "options", "why"),
    [
        ("nvme", {"text": "0x4"}, "--nodes '0x4': must have 1 to 1,000 nodes, has 0"),
        ("nvme", {"text": "many"}, "--nodes 'many': must be as 2x4"),
        ("weights(15GB)", {}, r"'weights 15 GB': it is nodes .* \(--nodes 2x4\)"),
        ("weights(15GB)", {"text": "2x4"}, "how fast does a node load weights"),
        ("nvme", {"bandwidth": "1GB/s"}, "--node-bandwidth '1GB/s': needs --nodes"),
        ("nvme", {"idle": "5m"}, "--node-idle '5m': needs --nodes"),
        ("nvme", {"text": "2x4", "bandwidth": "1GB/s"}, "nothing is loaded by it"),
        ("nvme", {"text": "2x4", "idle": "5m"}, "no node is ever added to '2x4'"),
        ("nvme", {"text": "1-2x4"}, r"in --cold-start, as node\(4m\)"),
        ("new-node", {"text": "1-2x4", "idle": "soon"}, "must be a duration"),
        *(
            ("weights(15GB)", {"text": "2x4", "bandwidth": speed}, "must be bytes per")
            for speed in ("1GB", "10Gb/s", "1e9/s", "0GB/s", "fast", "-1GB/s")
        ),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused_with_the_rule(start, options, why):
    with pytest.raises(CommandError, match=why):
        read(start, **options)


def test_a_replica_that_fits_on_no_node_is_refused():
    with pytest.raises(
        CommandError, match="default/llm needs 8 GPUs, but a node has 4"
    ):
        read("nvme", gpus=8, text="2x4")


def test_a_run_says_where_its_replicas_are():
    start = parse("node(4m) + weights(15GB)")
    fixed = Nodes(count=2, most=2, gpus=4, bandwidth=1e9)
    growing = Nodes(count=0, most=2, gpus=4, bandwidth=inf)

    assert list(remarks(None, start)) == []
    assert list(remarks(fixed, start)) == [
        "replicas are placed on 2 nodes of 4 GPUs; all that a node loads shares 1 GB/s",
        "no node is ever added, so nobody waits for the phase node",
    ]
    assert list(remarks(growing, start)) == [
        "replicas are placed on 0 to 2 nodes of 4 GPUs"
    ]
