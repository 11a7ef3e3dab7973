import json
import math
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.calls import Call, Configure
from autoscaler.core.commands import Command
from autoscaler.core.domain import Metric, RevisionKey, RevisionSpec, ScalingSpec
from autoscaler.core.messages import Downlink, Sample, Uplink, Wake
from autoscaler.core.wire import WireError, decode, encode

finite = st.floats(allow_nan=False, allow_infinity=False)
st.register_type_strategy(float, finite)

WAKE = {"type": "Wake", "key": ["ns", "iris"], "reporter": "a", "epoch": 1, "held": 2}


@pytest.mark.parametrize("union", [Uplink, Downlink, Command, Call], ids=str)
@given(data=st.data())
def test_decode_undoes_encode(union: Any, data: st.DataObject):
    fact = data.draw(st.from_type(union))

    line = json.dumps(encode(fact), allow_nan=False)

    assert decode(union, json.loads(line)) == fact


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["type", "key", "held", "epoch", "message", "replicas"]),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


@given(data=json_values, name=st.sampled_from(["Wake", "Sample", "View", "Gone", "x"]))
def test_hostile_values_are_refused_by_name(data: object, name: str):
    message = {**data, "type": name} if isinstance(data, dict) else data

    with suppress(WireError):  # any other exception fails the test
        assert isinstance(decode(Uplink, message), Uplink)


def test_an_unknown_field_is_ignored_and_a_missing_one_takes_its_default():
    newer = {**WAKE, "colour": "blue"}
    scaling = {"type": "ScalingSpec", "min_replicas": 0}

    assert decode(Uplink, newer) == Wake(
        key=RevisionKey("ns", "iris"), reporter="a", epoch=1, held=2
    )
    assert decode(ScalingSpec, scaling) == ScalingSpec(min_replicas=0)


def test_infinity_has_a_form_that_json_knows():
    key = RevisionKey("ns", "iris")
    call = Configure(
        key=key, spec=RevisionSpec(scaling=ScalingSpec(retention_s=math.inf))
    )

    assert decode(Call, json.loads(json.dumps(encode(call), allow_nan=False))) == call


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"held": "2"}, "message.held = '2', must be a whole number", id="text"),
        pytest.param({"held": True}, "message.held = True, must be a whole number", id="bool"),
        pytest.param({"held": 2.0}, "message.held = 2.0, must be a whole number", id="float"),
        pytest.param({"reporter": 7}, "message.reporter = 7, must be text", id="number"),
        pytest.param({"key": ["a"]}, "message.key = ['a'], must be [namespace, name]", id="key"),
        pytest.param({"key": ["a", 1]}, "message.key[1] = 1, must be text", id="name"),
        pytest.param(
            {"type": "Sleep"},
            "message.type = 'Sleep', must be one of Drained, Lost, Ready, Sample, Wake",
            id="type",
        ),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_rule(change: dict[str, object], message: str):
    with pytest.raises(WireError) as error:
        decode(Uplink, {**WAKE, **change})

    assert str(error.value) == message


@dataclass(frozen=True, slots=True, kw_only=True)
class Odd:
    """A fact with every kind of field."""

    flag: bool
    share: float
    pair: tuple[str, int]
    items: tuple[int, ...]
    metric: Metric
    nothing: None = None
    either: Wake | Sample | None = None
    maybe: int | None = None


ODD = {
    "flag": True,
    "share": 1,
    "pair": ["a", 1],
    "items": [1],
    "metric": "rps",
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"flag": 1}, "odd.flag = 1, must be true or false", id="bool"),
        pytest.param({"share": "x"}, "odd.share = 'x', must be a number", id="number"),
        pytest.param({"share": math.nan}, "odd.share = nan, must be finite", id="nan"),
        pytest.param({"share": 10**400}, f"odd.share = {'1' + '0' * 36}..., must be finite", id="huge"),
        pytest.param({"pair": ["a"]}, "odd.pair = ['a'], must be a list of 2", id="pair"),
        pytest.param({"items": 1}, "odd.items = 1, must be a list", id="list"),
        pytest.param({"items": [1, "b"]}, "odd.items[1] = 'b', must be a whole number", id="item"),
        pytest.param({"metric": "gpu"}, "odd.metric = 'gpu', must be one of concurrency, rps, cpu, memory", id="enum"),
        pytest.param({"nothing": 0}, "odd.nothing = 0, must be null", id="null"),
        pytest.param({"either": 3}, "odd.either.type = None, must be one of Sample, Wake", id="union"),
        pytest.param({"maybe": "x"}, "odd.maybe = 'x', must be a whole number", id="optional"),
    ],
)  # fmt: skip
def test_each_kind_of_field_is_checked(change: dict[str, object], message: str):
    with pytest.raises(WireError) as error:
        decode(Odd, {**ODD, **change}, "odd")

    assert str(error.value) == message


def test_each_kind_of_field_is_read():
    odd = Odd(flag=True, share=1.0, pair=("a", 1), items=(1,), metric=Metric.RPS)

    assert decode(Odd, ODD) == odd
    assert decode(Odd, json.loads(json.dumps(encode(odd)))) == odd


def test_not_an_object_and_a_missing_field_are_refused():
    with pytest.raises(WireError, match=r"^wake = 5, must be an object"):
        decode(Wake, 5, "wake")
    with pytest.raises(WireError, match=r"^message\.key is missing"):
        decode(Wake, {})


def test_what_is_no_fact_has_no_form():
    with pytest.raises(TypeError, match="set has no form on the wire"):
        encode({1})
    with pytest.raises(TypeError, match="has no form on the wire"):
        decode(set, [])
