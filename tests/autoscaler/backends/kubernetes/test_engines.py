"""What each engine's page says of its requests."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.kubernetes.engines import Reading, reading
from autoscaler.backends.kubernetes.exposition import Page

VLLM = b"""\
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_running{engine="1",model_name="m"} 1.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="m"} 2.0
vllm:num_requests_waiting{engine="1",model_name="m"} 0.0
# TYPE vllm:request_success_total counter
vllm:request_success_total{finished_reason="stop",model_name="m"} 7.0
vllm:request_success_total{finished_reason="abort",model_name="m"} 1.0
# TYPE vllm:e2e_request_latency_seconds histogram
vllm:e2e_request_latency_seconds_bucket{le="+Inf",model_name="m"} 8.0
vllm:e2e_request_latency_seconds_count{model_name="m"} 8.0
vllm:e2e_request_latency_seconds_sum{model_name="m"} 40.5
"""
SGLANG = b"""\
sglang:num_running_reqs{tp_rank="0"} 2
sglang:num_queue_reqs{tp_rank="0"} 1
sglang:num_prefill_prealloc_queue_reqs{tp_rank="0"} 1
sglang:e2e_request_latency_seconds_sum 12
sglang:e2e_request_latency_seconds_count 3
"""
TGI = b"""\
tgi_queue_size 4
tgi_batch_current_size 2
tgi_request_duration_sum 6.5
tgi_request_duration_count 2
"""
TRITON_LLM = b"""\
nv_inference_request_success{model="a",version="1"} 5
nv_inference_request_duration_us{model="a",version="1"} 2500000
nv_trt_llm_request_metrics{model="a",request_type="waiting",version="1"} 3
nv_trt_llm_request_metrics{model="a",request_type="scheduled",version="1"} 2
nv_trt_llm_request_metrics{model="a",request_type="max",version="1"} 512
"""
TRITON = b"""\
nv_inference_request_success{model="a",version="1"} 5
nv_inference_request_failure{model="a",version="1",reason="OTHER"} 1
nv_inference_exec_count{model="a",version="1"} 99
nv_inference_request_duration_us{model="a",version="1"} 2500000
"""
TRTLLM = b"trtllm_num_requests_running 2\ntrtllm_num_requests_waiting 1\n"
LLAMA = b"llamacpp:requests_processing 1\nllamacpp:requests_deferred 2\n"
KSERVE = b"""\
# TYPE request_predict_seconds histogram
request_predict_seconds_bucket{le="+Inf",model_name="iris"} 4.0
request_predict_seconds_count{model_name="iris"} 4.0
request_predict_seconds_sum{model_name="iris"} 2.0
request_preprocess_seconds_sum{model_name="iris"} 0.5
request_postprocess_seconds_sum{model_name="iris"} 0.25
# TYPE request_explain_seconds histogram
"""
MLSERVER = b"""\
model_infer_request_success_total{model="iris",version="None"} 3.0
model_infer_request_failure_total{model="iris",version="None"} 1.0
model_infer_request_duration_sum{model="iris",version="None"} 0.5
rest_server_requests_in_progress{app_name="mlserver",method="POST"} 9.0
"""
TORCHSERVE = b"""\
ts_inference_requests_total{model_name="a",hostname="h"} 4.0
ts_inference_latency_microseconds{model_name="a",hostname="h"} 3000000.0
ts_queue_latency_microseconds{model_name="a",hostname="h"} 1000000.0
"""

PAGES = [
    pytest.param(
        VLLM, Reading(engine="vLLM", busy=6, seconds=40.5, ended=8), id="vllm"
    ),
    pytest.param(
        SGLANG, Reading(engine="SGLang", busy=4, seconds=12, ended=3), id="sglang"
    ),
    pytest.param(TGI, Reading(engine="TGI", busy=6, seconds=6.5, ended=2), id="tgi"),
    pytest.param(
        TRITON_LLM,
        Reading(engine="Triton with TensorRT-LLM", busy=5, seconds=2.5, ended=5),
        id="triton with tensorrt-llm",
    ),
    pytest.param(TRITON, Reading(engine="Triton", seconds=2.5, ended=6), id="triton"),
    pytest.param(
        TRTLLM,
        Reading(engine="trtllm-serve", busy=3, seconds=0, ended=0),
        id="trtllm-serve",
    ),
    pytest.param(LLAMA, Reading(engine="llama.cpp", busy=3), id="llama.cpp"),
    pytest.param(
        KSERVE, Reading(engine="KServe's SDK", seconds=2.75, ended=4), id="kserve"
    ),
    pytest.param(
        MLSERVER, Reading(engine="MLServer", seconds=0.5, ended=4), id="mlserver"
    ),
    pytest.param(
        TORCHSERVE, Reading(engine="TorchServe", seconds=4, ended=4), id="torchserve"
    ),
]


@pytest.mark.parametrize(("page", "said"), PAGES)
def test_each_engine_is_recognised_and_read(page, said):
    assert reading(Page(page)) == said


def test_a_server_of_vllm_inside_kserve_is_read_by_its_gauges():
    found = reading(Page(KSERVE + VLLM))

    assert found is not None
    assert found.busy == 6


def test_a_request_that_is_deferred_waits_too():
    page = VLLM + (
        b'vllm:num_requests_waiting_by_reason{reason="capacity"} 2\n'
        b'vllm:num_requests_waiting_by_reason{reason="deferred"} 3\n'
    )

    found = reading(Page(page))

    assert found is not None
    assert found.busy == 4 + 5


@pytest.mark.parametrize(
    ("page", "engine"),
    [
        pytest.param(
            b"# TYPE request_predict_seconds histogram\n", "KServe's SDK", id="kserve"
        ),
        pytest.param(
            b"# TYPE model_infer_request_success_total counter\n",
            "MLServer",
            id="mlserver",
        ),
    ],
)
def test_a_server_that_had_no_request_yet_has_ended_none(page, engine):
    assert reading(Page(page)) == Reading(engine=engine, seconds=0.0, ended=0.0)


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"process_cpu_seconds_total 3\n", id="of no engine"),
        pytest.param(
            b"# TYPE vllm:num_requests_running gauge\n", id="a gauge without a value"
        ),
        pytest.param(
            b"vllm:num_requests_running NaN\n", id="a gauge that is no number"
        ),
        pytest.param(
            VLLM + b"vllm:num_requests_waiting +Inf\n", id="infinitely many wait"
        ),
        pytest.param(b"vllm:num_requests_waiting 3\n", id="only those that wait"),
        pytest.param(
            TRITON + b"nv_inference_request_duration_us NaN\n",
            id="a sum that is no number",
        ),
        pytest.param(b"<html>not here</html>", id="another page"),
    ],
)
def test_what_cannot_be_read_is_nothing_and_never_zero(page):
    assert reading(Page(page)) is None


NAMES = st.sampled_from(
    sorted(
        {
            line.split(b"{")[0].split(b" ")[0]
            for page in PAGES
            for line in page.values[0].splitlines()
            if line[:1] != b"#"
        }
    )
)
VALUES = st.sampled_from(
    [b"0", b"1", b"-3", b"1e300", b"-1e300", b"NaN", b"+Inf", b"x", b""]
)


@given(st.lists(st.tuples(NAMES, VALUES) | st.binary(max_size=20), max_size=12))
def test_nothing_that_is_read_is_negative_or_infinite(lines):
    page = b"\n".join(
        b" ".join(line) if isinstance(line, tuple) else line for line in lines
    )

    found = reading(Page(page))

    if found is not None:
        for number in (found.busy, found.seconds, found.ended):
            assert number is None or (number >= 0 and math.isfinite(number))
