"""Traces from files: each format is recognised, and what is wrong in one is said."""

from __future__ import annotations

import gzip
import re
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from simulations.formats.known import FORMATS, parse, read, written
from simulations.shapes import SHAPES
from simulations.trace import TraceError
from tests.simulations.public import public

OURS = "arrival_s,model,input_tokens,output_tokens,service_s\n"
SAMPLES = {
    "fromzero": OURS + "0.5,a,10,20,1.5\n1.0,b,,,\n",
    "azure-llm": "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    "2023-11-16 23:59:59.5000000,10,20\n2023-11-17 00:00:00.2500000,1,2\n",
    "azure-counts": "Time,TIMESTAMP\n2024-05-10 00:00:00,1\n2024-05-10 00:00:10,1\n",
    "azure-functions": "app,func,end_timestamp,duration\nx,f,9.0,8.0\nx,g,2.0,0.5\n",
    "servegen": "client,t_s,rate_rps,iat_cv,dist,shape,scale\n"
    "0,0,0.0016667,1.0,G,1.0,1.0\n7,600,0.0016667,1.0,W,1.0,1.0\n",
    "burstgpt": "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    "5,ChatGPT,10,20,30,API log\n45,GPT-4,1,2,3,API log\n",
    "mooncake": '{"timestamp": 0, "input_length": 10, "output_length": 20}\n'
    '{"timestamp": 3000, "input_length": 1, "output_length": 2}\n',
    "combined": '1.1.1.1 - - [10/Oct/2026:13:55:36 -0700] "GET / HTTP/1.1" 200 2 "-" '
    '"x"\n1.1.1.1 - - [10/Oct/2026:20:55:40 +0000] "GET / HTTP/1.1" 200 2 "-" "x" '
    "0.500\n",
    "json": '{"time":"2026-11-25T07:51:52.000Z","revision":"a","duration_s":1.5,'
    '"hold_s":1.0}\n{"time":"2026-11-25T07:51:55.000Z","revision":"b",'
    '"duration_s":0.5,"hold_s":0}\n',
    "counts": "minute,requests\n0,1\n1,1\n2,0\n",
}


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_recognised_and_read(name, tmp_path):
    path = tmp_path / "trace.txt"
    path.write_text(SAMPLES[name])
    zipped = tmp_path / "trace.txt.gz"
    zipped.write_bytes(gzip.compress(SAMPLES[name].encode()))

    found = read(path)

    assert len(found) == 2
    assert found.digest == read(path, name).digest == read(zipped).digest


def test_facts_are_where_they_belong():
    ours = parse(SAMPLES["fromzero"].splitlines(keepends=True), "x")
    assert ours.models == ("a", "b")
    assert ours.arrivals.tolist() == [0.5, 1.0]
    assert ours.input_tokens.tolist() == [10, -1]
    assert ours.services[0] == 1.5

    azure = parse(SAMPLES["azure-llm"].splitlines(keepends=True), "x")
    assert azure.arrivals.tolist() == [0.0, 0.75]
    assert azure.output_tokens.tolist() == [20, 2]

    calls = parse(SAMPLES["azure-functions"].splitlines(keepends=True), "x")
    assert calls.arrivals.tolist() == [1.0, 1.5]
    assert calls.services.tolist() == [8.0, 0.5]

    log = parse(SAMPLES["combined"].splitlines(keepends=True), "x")
    assert log.arrivals.tolist() == [0.0, 3.5]
    assert log.services[1] == 0.5

    own = parse(SAMPLES["json"].splitlines(keepends=True), "x")
    assert own.arrivals.tolist() == pytest.approx([0.0, 4.0])
    assert own.services.tolist() == pytest.approx([0.5, 0.5])

    chat = parse(SAMPLES["mooncake"].splitlines(keepends=True), "x")
    assert chat.arrivals.tolist() == [0.0, 3.0]


def test_formats_with_dates_say_when_a_trace_began():
    begins = {
        name: parse(text.splitlines(keepends=True), "x").began_s
        for name, text in SAMPLES.items()
    }

    assert {name: at for name, at in begins.items() if at is not None} == {
        "azure-llm": 1_700_179_199.5,
        "azure-counts": 1_715_299_200.0,
        "combined": 1_791_665_736.0,
        "json": 1_795_593_110.5,
    }
    dated = parse(
        ["time,requests\n", "2024-05-10 00:00,1\n", "2024-05-10 00:01,1\n"], "x"
    )
    assert dated.began_s == 1_715_299_200.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("\n\n", "empty"),
        ("hello\nworld\n", "x:1: 'hello'; must begin as one of the formats"),
        (OURS, "no request"),
        (OURS + "-1,a,,,\n", "x:2: '-1,a,,,'; must not come before 0 s"),
        (OURS + "nan,a,,,\n", "x:2: "),
        (OURS + "1,a,,,\n2,a,,,-3\n", "x:3: '2,a,,,-3'"),
        (OURS + "1,a\n2,a,,,\n", "x:2: '1,a'"),
        (OURS + "1700000000,a,,,\n", "x:2: '1700000000,a,,,'; must not be ten years"),
        (OURS + "inf,a,,,\n", "x:2: 'inf,a,,,'"),
        (OURS + f"1,a,{'9' * 30},,\n", "x:2: "),
        (OURS + "1,a,,,inf\n", "x:2: '1,a,,,inf'"),
        ("# span_s: inf\n" + OURS + "1,a,,,\n", "span_s is inf"),
        ("# span_s: nan\n" + OURS + "1,a,,,\n", "span_s is nan"),
        (SAMPLES["azure-llm"] + f"2023-11-17 00:00:01.0,{'9' * 30},1\n", "x:4: "),
        (SAMPLES["azure-functions"] + "x,f,nan,1.0\n", "x:4: 'x,f,nan,1.0'"),
        (SAMPLES["azure-functions"] + "x,f,5.0,inf\n", "x:4: 'x,f,5.0,inf'"),
        (SAMPLES["counts"] + f"3,{2**63 - 1}\n4,{2**63 - 1}\n5,5\n", "x:5: "),
        (SAMPLES["counts"] + f"3,{'9' * 30}\n", "must not lead to over 200,000,000"),
        (SAMPLES["counts"] + "nan,1\n", "x:5: 'nan,1'"),
        (SAMPLES["counts"] + "inf,1\n", "x:5: 'inf,1'"),
        (SAMPLES["counts"] + "1e9,1\n", "must not be ten years"),
        ("minute,requests\n0,0\n1,0\n", "no request"),
        (SAMPLES["servegen"] + "1,2,inf,4,G,1,1\n", "x:4: "),
        (SAMPLES["burstgpt"] + "5,'" + "b" * 200_000 + ",1,2,3,x\n", "field larger"),
        (SAMPLES["mooncake"] + "[" * 100_000 + "\n", "x:3: "),
        (
            '{"timestamp": 0, "input_length": 1e999, "output_length": 2}\n',
            "x:1: ",
        ),
        ('{"time": 1764057112000}\n', "these are milliseconds"),
        (OURS + '1,"a\nb",,,\n', "a quote that an earlier line opens ends here"),
        (OURS + "1,a,-1,,\n", "x:2: '1,a,-1,,'; must have no number below zero"),
        (OURS + "1,a,,,,\n", "must have 5 columns"),
        (OURS + "1,a\x07,,,\n", "must be printable"),
        (OURS + "1,a,,,1e12\n", "must be seconds, from 0 to ten years"),
        (SAMPLES["azure-llm"] + "2023-02-30 00:00:00.0,1,2\n", "a day that its month"),
        (SAMPLES["azure-counts"] + "2024-05-10 00:61:00,1\n", "x:4: "),
        (SAMPLES["servegen"] + "1,2,1,4,G,nan,1\n", "with a shape in"),
        (SAMPLES["servegen"] + "1,inf,1,4,G,1,1\n", "t_s must be seconds"),
        (SAMPLES["servegen"] + "1,0,1e9,4,G,1,1\n", "must not lead to over 50,000,000"),
        (SAMPLES["burstgpt"] + "1.7e12,a,1,2,3,x\n", "x:4: "),
        (SAMPLES["mooncake"].replace("3000", "3.5"), "of whole milliseconds"),
        (SAMPLES["mooncake"].replace("10", "10.5"), "must have whole numbers"),
        (SAMPLES["mooncake"].replace("10", "true"), "must have whole numbers"),
        (SAMPLES["json"] + '{"time": 5, "duration_s": true}\n', "must be a number"),
        (SAMPLES["json"].replace("1.0", "-1.0"), "hold_s of 0 s or more"),
        (SAMPLES["json"] + '{"a": ' * 100_000 + "\n", "x:3: "),
        ("# span_s: long\n" + OURS + "1,a,,,\n", "span_s is 'long'"),
        (SAMPLES["azure-llm"] + "2023-11-16 23:00:00.0,1,2\n", "x:4: "),
        (SAMPLES["azure-llm"] + "2023-13-16 23:00:00.0,1,2\n", "x:4: "),
        (SAMPLES["counts"] + "1,5\n", "x:5: '1,5'; must begin after the bin above it"),
        (SAMPLES["counts"] + "3,-5\n", "x:5: '3,-5'"),
        ("minute,requests\n0,3\n", "two tell how long one is"),
        ("minute,requests\n0,9999999999\n1,3\n", "x:2: "),
        (SAMPLES["servegen"] + "1,2,3,4,X,1,1\n", "x:4: "),
        (SAMPLES["mooncake"] + "{}\n", "x:3: '{}'"),
        (SAMPLES["json"] + "[]\n", "x:3: "),
        (OURS + '1,"a' + "b" * 200_000, "field larger"),
    ],
)
def test_what_is_wrong_is_said_with_line_and_rule(text, said):
    with pytest.raises(TraceError, match=".") as caught:
        parse(text.splitlines(keepends=True), "x")

    assert said in str(caught.value)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_that_the_text_is_not_in_is_an_error(name):
    with pytest.raises(TraceError):
        parse(["a,b\n", "1,2\n"], "x", name)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("cut", [1, 3, 7])
def test_a_last_line_that_is_cut_off_is_left_out_or_read_and_never_hurts(name, cut):
    lines = SAMPLES[name][:-cut].splitlines(keepends=True)
    with suppress(TraceError):
        assert 1 <= len(parse(lines, "x")) <= 2
    whole = len(parse(SAMPLES[name].splitlines(keepends=True), "x"))

    assert whole == 2


def test_a_file_whose_name_is_no_text_makes_a_trace_that_can_be_written(tmp_path):
    path = tmp_path / "a\udcff.csv"
    path.write_text("arrival_s\n1\n")

    assert "".join(written(read(path))).encode().startswith(rb"# source: a\udcff.csv")


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(TraceError, match="cannot be read"):
        read(tmp_path / "nothing.csv")


DOUBTED = {
    OURS + "".join(f"{n * 1_000},a,,,\n" for n in range(300)): "taken for seconds, so",
    OURS + "0.5,a,,,1500\n0.7,a,,,900\n": "2 requests took more than 600 s each",
    OURS + "0.5,a,,,\n1.0,a,,,": "line 3 does not end: it was read, but may be cut off",
    SAMPLES["azure-functions"] + "x,f,2.0,10.0\n": "1 calls began before the trace",
    "".join(
        f'{{"timestamp": {n // 2}, "input_length": 10, "output_length": 20}}\n'
        for n in range(400)
    ): "over 1,000 requests a second",
    "time,requests\n0,5\n60,5\n120,5\n150,5\n": "1 bins are shorter",
}


@pytest.mark.parametrize("text", DOUBTED)
def test_what_is_doubtful_is_read_and_said_to_be(text):
    found = parse(text.splitlines(keepends=True), "x")

    assert any(DOUBTED[text] in remark for remark in found.remarks)


def test_notes_come_before_a_text_of_any_format():
    for name, sample in SAMPLES.items():
        notes = ["# exported by hand\n"] * 20
        assert len(parse([*notes, *sample.splitlines(keepends=True)], "x")) == 2, name


@pytest.mark.parametrize(
    ("name", "requests"),
    [
        ("azure_functions_2021_sample200.csv", 199),
        ("azure_llm_2023_code.csv", 8_819),
        ("azure_llm_2023_conv.csv", 19_366),
    ],
)
def test_public_traces_are_read_whole(name, requests):
    assert len(read(public(name))) == requests


@pytest.mark.slow
def test_public_counts_and_windows_are_read_whole():
    counts = read(public("azure_llm_2024_code_10s.csv.gz"))
    assert len(counts) == pytest.approx(16_800_000, rel=0.01)
    assert counts.span_s == pytest.approx(7 * 86_400, rel=0.001)

    clients = read(public("servegen/deepseek-r1_clients_10min.csv.gz"))
    assert len(clients) / clients.span_s == pytest.approx(16.0, rel=0.05)
    assert np.all(np.diff(clients.arrivals) >= 0)


def test_the_page_on_traces_has_each_format_and_each_shape():
    text = (Path(__file__).parents[3] / "docs" / "traces.md").read_text()
    named = set(re.findall(r"^\| ([^|]+) \| ", text, re.MULTILINE))
    rows = {each for row in named for each in re.findall(r"`([a-z-]+)`", row)}

    assert {*FORMATS, *SHAPES} <= rows
