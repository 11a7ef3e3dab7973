"""Access logs: when a request came, less what it took, in any time zone."""

from __future__ import annotations

import json

import pytest

from simulations.formats.known import parse
from simulations.trace import TraceError

LINE = '10.0.0.7 - - [{}] "POST /v1/models/iris:predict HTTP/1.1" 200 21 "-" "curl"{}\n'


def test_a_zone_and_what_a_request_took_are_taken_off():
    found = parse(
        [
            LINE.format("25/Nov/2026:09:00:10 +0200", " 4.000"),
            LINE.format("25/Nov/2026:07:00:08 +0000", " 1.500"),
        ],
        "x",
    )

    assert found.arrivals.tolist() == [0.0, 0.5]
    assert found.services.tolist() == [4.0, 1.5]


def test_lines_without_a_time_taken_have_no_service_time():
    found = parse([LINE.format("25/Nov/2026:09:00:10 +0200", "")], "x")

    assert len(found) == 1
    assert str(found.services[0]) == "nan"


def test_nginx_json_is_by_host_and_its_own_times():
    rows = [
        {"msec": "1700000000.500", "host": "a", "request_time": "0.250"},
        {"time_iso8601": "2023-11-14T23:13:24+01:00", "host": "b", "request_time": 1},
    ]

    found = parse([json.dumps(row) + "\n" for row in rows], "x")

    assert found.models == ("a", "b")
    assert found.arrivals.tolist() == pytest.approx([0.0, 2.75])


def test_revisions_of_a_service_are_one_model_and_namespaces_tell_services_apart():
    said = [
        ("a", "iris-predictor-00001"), ("a", "iris-predictor-00002"),
        ("b", "iris-predictor-00001"), ("a", "iris-transformer-00001"), ("a", "plain"),
    ]  # fmt: skip
    rows = [
        {"time": "2026-11-25T07:51:52Z", "namespace": space, "revision": name}
        for space, name in said
    ]

    found = parse([json.dumps(row) + "\n" for row in rows], "x")

    assert found.models == ("a/iris", "b/iris", "a/iris-transformer", "a/plain")
    assert found.model.tolist() == [0, 0, 1, 2, 3]


def test_lines_of_nobody_are_left_out_and_said_to_be():
    own = {"time": "2026-11-25T07:51:52.000Z", "duration_s": 2.0, "hold_s": 1.5}
    rows = [own | {"revision": "a"}, own | {"revision": ""}]

    found = parse([json.dumps(row) + "\n" for row in rows], "x")

    assert len(found) == 1
    assert found.services.tolist() == [0.5]
    assert found.remarks == ("1 lines are of no revision: left out",)


@pytest.mark.parametrize("row", ["[]", "{}", '{"time": "soon"}', '{"time": null}', "x"])
def test_what_is_no_line_of_a_log_is_refused(row):
    good = json.dumps({"time": "2026-11-25T07:51:52Z", "host": "a"})

    with pytest.raises(TraceError, match="x:2: "):
        parse([good + "\n", row + "\n"], "x")


def test_a_request_with_a_quote_that_is_escaped_is_a_line():
    line = r'::1 - - [25/Nov/2026:09:00:10 +0200] "GET /a\"b HTTP/1.1" 200 - "-" "x\"y"'

    assert len(parse([line + " 0.250\n"], "x")) == 1


def test_envoys_json_has_the_begin_and_milliseconds():
    row = {
        "start_time": "2026-11-25T07:51:52.000Z", "duration": 1500, "authority": "a",
    }  # fmt: skip
    later = row | {"start_time": "2026-11-25T07:51:54.000Z", "duration": None}

    found = parse([json.dumps(each) + "\n" for each in (row, later)], "x")

    assert found.arrivals.tolist() == [0.0, 2.0]
    assert [str(each) for each in found.services] == ["1.5", "nan"]
    assert found.models == ("a",)


def test_a_time_taken_that_is_no_number_is_not_half_of_one():
    found = parse([LINE.format("25/Nov/2026:09:00:10 +0200", " 4.0x00")], "x")

    assert str(found.services[0]) == "nan"


def test_a_duration_in_no_unit_is_no_service_time():
    row = {"timestamp": "2026-11-25T07:51:52Z", "duration": 1500}

    found = parse([json.dumps(row) + "\n"], "x")

    assert str(found.services[0]) == "nan"
