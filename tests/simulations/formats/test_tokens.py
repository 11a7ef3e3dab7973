"""BurstGPT counts seconds, Mooncake milliseconds; both say tokens."""

from __future__ import annotations

from simulations.formats.known import parse

BURST = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"


def test_seconds_are_seconds_and_models_are_models():
    found = parse([BURST, "5,ChatGPT,10,20,30,API log\n", "9,GPT-4,1,0,1,x\n"], "x")

    assert found.arrivals.tolist() == [0.0, 4.0]
    assert found.models == ("ChatGPT", "GPT-4")
    assert found.output_tokens.tolist() == [20, 0]


def test_milliseconds_are_seconds_too():
    rows = [
        '{"timestamp": 1500, "input_length": 6758, "output_length": 500}\n',
        '{"timestamp": 3000, "input_length": 1, "output_length": 2}\n',
    ]

    assert parse(rows, "x").arrivals.tolist() == [0.0, 1.5]
