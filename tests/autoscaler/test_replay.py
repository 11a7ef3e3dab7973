import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from autoscaler.core.domain import Budget
from autoscaler.errors import BadInput
from autoscaler.recording import RecordedFleet
from autoscaler.replay import Difference, Report, replay, steps
from tests.autoscaler.core.stage import LLM, Stage, spec
from tests.vectors.sections import DECISIONS

SCENARIO: dict[str, Any] = {
    "spec": {
        "max_scale_up_rate": 1000,
        "max_scale_down_rate": 2,
        "target_value": 7,
        "total_value": 10,
        "target_burst_capacity": 211,
        "panic_threshold": 2,
        "stable_window_s": 60,
        "panic_window_s": 6,
        "scale_down_delay_s": 0,
        "activation_scale": 0,
        "reachable": True,
        "window_algorithm": "linear",
    },
    "samples": [[0, 21], [1, 21]],
    "ticks": [
        {
            "t": 1,
            "ready": 3,
            "stable": 21,
            "panic": 21.0,
            "desired": 3,
            "excess_burst_capacity": -202,
        }
    ],
}


def changed(part: str, **fields: object) -> dict[str, Any]:
    scenario: dict[str, Any] = json.loads(json.dumps(SCENARIO))
    (scenario["ticks"][0] if part == "tick" else scenario[part]).update(fields)
    return scenario


def written(path: Path, *scenarios: object) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in scenarios))
    return path


def test_every_decision_recorded_from_knative_is_ours():
    report = replay(DECISIONS)

    assert report == Report(decisions=24_920, differences=())


def test_replaying_twice_says_the_same(tmp_path: Path):
    path = written(tmp_path / "a.jsonl", SCENARIO, changed("tick", desired=9))

    assert replay(path) == replay(path)


def test_a_difference_says_where_what_and_why(tmp_path: Path):
    path = written(tmp_path / "a.jsonl", SCENARIO, changed("tick", desired=9))

    report = replay(path)

    (difference,) = report.differences
    assert report.decisions == 2
    assert difference == Difference(
        line=2,
        at=1.0,
        field="desired",
        theirs="9",
        ours="3",
        inputs="3 ready; 21 in flight over 60 s against 7 wanted per replica",
    )
    assert str(difference).startswith("line 2, t = 1: desired = 9, ours 3 (3 ready; ")


@pytest.mark.parametrize("field", ["stable", "panic", "excess_burst_capacity"])
def test_averages_and_capacity_are_compared_too(tmp_path: Path, field: str):
    path = written(tmp_path / "a.jsonl", changed("tick", **{field: 20}))

    assert [each.field for each in replay(path).differences] == [field]


def test_lines_are_replayed_as_they_are_read(tmp_path: Path):
    path = written(tmp_path / "a.jsonl", SCENARIO, {"spec": 3})

    replayed = steps(path)

    assert next(replayed).decisions == 1
    with pytest.raises(BadInput):
        next(replayed)


def test_plain_and_packed_recordings_are_the_same(tmp_path: Path):
    path = written(tmp_path / "plain", SCENARIO)
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(path.read_bytes()))

    assert replay(path) == replay(packed) == Report(decisions=1, differences=())


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        pytest.param("not json", "is not JSON", id="no JSON"),
        pytest.param("[1]", "must be a JSON object", id="no object"),
        pytest.param(
            json.dumps(changed("spec", stable_window_s=0)),
            "scenario.spec.stable_window_s = 0, must be in [1, 86400]",
            id="out of range",
        ),
        pytest.param(
            json.dumps(changed("spec", window_algorithm="cubic")),
            "must be one of linear, weighted-exponential",
            id="unknown word",
        ),
        pytest.param(
            json.dumps(changed("tick", ready="many")),
            "scenario.ticks[0].ready = 'many', must be a whole number",
            id="wrong kind",
        ),
        pytest.param(
            json.dumps(changed("spec", total_value=None)),
            "scenario has numbers too large to compute with",
            id="no bound",
        ),
        pytest.param(
            json.dumps({**SCENARIO, "samples": [[0, None]]}),
            "scenario has numbers too large to compute with",
            id="endless load",
        ),
    ],
)
def test_a_bad_line_is_named_with_its_rule(tmp_path: Path, line: str, rule: str):
    path = written(tmp_path / "a.jsonl", SCENARIO)
    path.write_text(path.read_text() + line + "\n")

    with pytest.raises(BadInput) as caught:
        replay(path)

    assert str(caught.value).startswith(f"{path}:2: ")
    assert rule in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_recording_is_refused(tmp_path: Path):
    empty = written(tmp_path / "empty")
    other = written(tmp_path / "other", {"a": 1})
    binary = tmp_path / "binary"
    binary.write_bytes(b'{"a": "\xff"}\n')
    torn = tmp_path / "torn"
    torn.write_bytes(gzip.compress(json.dumps(SCENARIO).encode())[:-20])
    missing = tmp_path / "missing"

    for path, said in [
        (empty, "the recording is empty"),
        (other, ":1: is no recording of decisions"),
        (binary, ":1: is not text"),
        (torn, "cannot be read: Compressed file ended"),
        (missing, "cannot be read: No such file or directory"),
        (tmp_path, "cannot be read: Is a directory"),
    ]:
        with pytest.raises(BadInput, match=said):
            replay(path)


def recorded(path: Path, *, patience_s: float = 60.0) -> Path:
    """Write what a Fleet decides over a wake, a minute of use and a sleep."""
    stage = Stage()
    with path.open("w") as out:
        stage.fleet = RecordedFleet(out, budget=Budget(patience_s=patience_s), now=0.0)
        stage.fleet.joined("a", 0.0)
        stage.add(LLM, spec(stable_window_s=10))
        stage.load[LLM] = 28
        stage.wake(LLM)
        stage.run(10)
        stage.fleet.configure(LLM, spec(stable_window_s=10, max_replicas=2), stage.now)
        stage.load[LLM] = 0
        stage.run(60)
    assert stage.state(LLM) == "asleep"
    return path


def test_what_a_fleet_was_told_is_decided_again(tmp_path: Path):
    path = recorded(tmp_path / "a.jsonl")

    report = replay(path)

    assert report.differences == ()
    assert report.decisions == path.read_text().count('{"type": "Decided"') > 30


@pytest.mark.parametrize(
    ("before", "after", "field", "their", "our"),
    [
        ('"replicas": 4, "stop": []', '"replicas": 5, "stop": []', "Scale.replicas",
         "5", "4"),
        ('"desired": 4,', '"desired": 3,', "Decided.decision", '"desired": 3', "4"),
        ('"commands": [{', '"commands": [{"type": "Scale"}, {', "", "Scale", "Tell"),
        ('"commands": []', '"commands": [{"type": "Tell"}]', "Tell", '"Tell"', "none"),
        ('"commands": []', '"commands": [7]', "", "7", "none"),
    ],
)  # fmt: skip
def test_what_a_fleet_answered_otherwise_is_a_difference(
    tmp_path: Path, before: str, after: str, field: str, their: str, our: str
):
    path = recorded(tmp_path / "a.jsonl")
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))

    difference = replay(path).differences[0]

    assert difference.field.startswith(field)
    assert their in difference.theirs
    assert our in difference.ours
    assert difference.inputs.startswith('after {"type": "')


def test_a_command_that_is_not_given_any_more_is_a_difference(tmp_path: Path):
    path = recorded(tmp_path / "a.jsonl")
    lines = path.read_text().splitlines(keepends=True)
    number = next(n for n, line in enumerate(lines) if '"type": "Scale"' in line)
    record = json.loads(lines[number])
    record["commands"] = record["commands"][:-1]
    lines[number] = json.dumps(record) + "\n"
    path.write_text("".join(lines))

    (difference,) = replay(path).differences

    assert (difference.line, difference.field) == (number + 1, "Scale")
    assert difference.theirs == "none"
