"""What a page of metrics says of the requests that a replica has: engine by engine."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from autoscaler.backends.kubernetes.exposition import Page

_MOST = 1e6
"""Requests of one replica: what is more is no count of requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One replica at one moment."""

    engine: str
    """Name of the engine, for a person."""
    busy: float | None = None
    """Requests running and waiting now; None: this engine counts only what ended."""
    seconds: float | None = None
    """Seconds that ended requests took, summed up since the start."""
    ended: float | None = None
    """Requests that ended since the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Engine:
    name: str
    marks: tuple[str, ...]
    """It is this engine if one of these is on the page."""
    read: Callable[[Page], tuple[float | None, float]] | None = None
    """Running and waiting; None of running: the page does not say it after all."""
    seconds: tuple[str, ...] = ()
    unit_s: float = 1.0
    ended: tuple[str, ...] = ()


def reading(page: Page) -> Reading | None:
    """Return what *page* says; None: of no engine that is known, or not to be read.

    >>> reading(Page(b"tgi_batch_current_size 3\\ntgi_queue_size 2\\n")).busy
    5.0
    >>> reading(Page(b"process_cpu_seconds_total 3\\n")) is None
    True
    """
    for engine in _ENGINES:
        if any(page.has(mark) for mark in engine.marks):
            return _read(engine, page)
    return None


def _read(engine: _Engine, page: Page) -> Reading | None:
    seconds = _sum(page, engine.seconds)
    ended = _sum(page, engine.ended)
    running, waiting = engine.read(page) if engine.read else (0.0, 0.0)
    if running is None or not math.isfinite(running + waiting):
        return None
    if not all(0.0 <= (each or 0.0) < math.inf for each in (seconds, ended)):
        return None
    # A gauge that is counted up and down may slip below zero; a counter cannot.
    busy = max(0.0, running) + max(0.0, waiting)
    return Reading(
        engine=engine.name,
        busy=min(_MOST, busy) if engine.read else None,
        seconds=None if seconds is None else seconds * engine.unit_s,
        ended=ended,
    )


def _sum(page: Page, names: tuple[str, ...]) -> float | None:
    """Return the sum over *names*; of one without a series yet nothing has ended."""
    return sum(page.total(name) or 0.0 for name in names) if names else None


def _gauges(
    running: str, *waiting: str
) -> Callable[[Page], tuple[float | None, float]]:
    def read(page: Page) -> tuple[float | None, float]:
        return page.total(running), sum(page.total(name) or 0.0 for name in waiting)

    return read


def _vllm(page: Page) -> tuple[float | None, float]:
    # One that is deferred waits too: it will be answered.
    waiting = page.total("vllm:num_requests_waiting") or 0.0
    by_reason = page.total("vllm:num_requests_waiting_by_reason") or 0.0
    return page.total("vllm:num_requests_running"), max(waiting, by_reason)


def _trt_llm(page: Page) -> tuple[float | None, float]:
    name = "nv_trt_llm_request_metrics"
    waiting = page.total(name, request_type="waiting") or 0.0
    return page.total(name, request_type="scheduled"), waiting


_ENGINES = (
    _Engine(
        name="vLLM",
        marks=("vllm:num_requests_running",),
        read=_vllm,
        seconds=("vllm:e2e_request_latency_seconds_sum",),
        ended=("vllm:request_success_total",),
    ),
    _Engine(
        name="SGLang",
        marks=("sglang:num_running_reqs",),
        read=_gauges(
            "sglang:num_running_reqs",
            "sglang:num_queue_reqs",
            "sglang:num_prefill_prealloc_queue_reqs",
            "sglang:num_decode_prealloc_queue_reqs",
        ),
        seconds=("sglang:e2e_request_latency_seconds_sum",),
        ended=("sglang:e2e_request_latency_seconds_count",),
    ),
    _Engine(
        name="TGI",
        marks=("tgi_batch_current_size", "tgi_queue_size"),
        # A gauge that was never set is not there: nothing has run yet.
        read=lambda page: (
            page.total("tgi_batch_current_size") or 0.0,
            page.total("tgi_queue_size") or 0.0,
        ),
        seconds=("tgi_request_duration_sum",),
        ended=("tgi_request_duration_count",),
    ),
    _Engine(
        name="Triton with TensorRT-LLM",
        marks=("nv_trt_llm_request_metrics",),
        read=_trt_llm,
        seconds=("nv_inference_request_duration_us",),
        unit_s=1e-6,
        ended=("nv_inference_request_success", "nv_inference_request_failure"),
    ),
    _Engine(
        name="trtllm-serve",
        marks=("trtllm_num_requests_running",),
        read=_gauges("trtllm_num_requests_running", "trtllm_num_requests_waiting"),
        seconds=("trtllm_e2e_request_latency_seconds_sum",),
        ended=("trtllm_request_success_total",),
    ),
    _Engine(
        name="llama.cpp",
        marks=("llamacpp:requests_processing",),
        read=_gauges("llamacpp:requests_processing", "llamacpp:requests_deferred"),
    ),
    # From here on: nothing is said of a request before it has ended.
    _Engine(
        name="Triton",
        marks=("nv_inference_request_success", "nv_inference_request_duration_us"),
        seconds=("nv_inference_request_duration_us",),
        unit_s=1e-6,
        ended=("nv_inference_request_success", "nv_inference_request_failure"),
    ),
    _Engine(
        name="MLServer",
        # Its count of requests in progress has only those over REST.
        marks=("model_infer_request_success_total", "model_infer_request_duration"),
        seconds=("model_infer_request_duration_sum",),
        ended=(
            "model_infer_request_success_total",
            "model_infer_request_failure_total",
        ),
    ),
    _Engine(
        name="TorchServe",
        marks=("ts_inference_requests_total", "ts_inference_latency_microseconds"),
        seconds=("ts_inference_latency_microseconds", "ts_queue_latency_microseconds"),
        unit_s=1e-6,
        ended=("ts_inference_requests_total",),
    ),
    _Engine(
        name="KServe's SDK",
        marks=("request_predict_seconds", "request_predict_seconds_count"),
        seconds=(
            "request_preprocess_seconds_sum",
            "request_predict_seconds_sum",
            "request_explain_seconds_sum",
            "request_postprocess_seconds_sum",
        ),
        ended=("request_predict_seconds_count", "request_explain_seconds_count"),
    ),
)
