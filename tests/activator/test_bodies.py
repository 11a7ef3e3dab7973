"""The model that a body asks for, and the tokens that an answer says it took."""

from __future__ import annotations

import json
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activator.bodies import TAIL, model_of, tokens_of

names = st.text(max_size=20)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | names
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner),
    max_leaves=12,
)
objects = st.dictionaries(names | st.just("model"), values, max_size=6)
counts = st.integers(0, 10**12 - 1)


@given(objects, st.booleans(), st.sampled_from([None, 1]))
def test_it_finds_what_a_json_parser_finds(body, ascii_only, indent):
    raw = json.dumps(body, ensure_ascii=ascii_only, indent=indent)

    model = body.get("model")
    assert model_of(raw.encode()) == (model if isinstance(model, str) else None)


@given(objects, names, objects)
def test_a_prefix_says_the_model_or_nothing(before, model, after):
    """A body that is still coming may be looked at: it never names another."""
    body = {**before, "model": model, **after, "model ": {"model": "no"}}
    raw = json.dumps(body).encode()
    wanted = model_of(raw)

    said = [model_of(raw[:end]) for end in range(len(raw) + 1)]

    first = said.index(wanted) if wanted is not None else len(said)
    assert set(said[:first]) <= {None}
    assert set(said[first:]) <= {wanted}


@given(st.binary(max_size=200))
def test_no_bytes_raise(body):
    assert isinstance(model_of(body), str | None)
    assert len(tokens_of(body)) == 2


@pytest.mark.parametrize(
    ("body", "model"),
    [
        pytest.param(b"", None, id="nothing"),
        pytest.param(b'{"model": "llm"', "llm", id="cut off after it"),
        pytest.param(b'{"model": "ll', None, id="cut off in it"),
        pytest.param(b'{"model"', None, id="cut off before it"),
        pytest.param(b'{"model": "llm\\', None, id="cut off in an escape"),
        pytest.param(b'{\n"model"\r\n:\t"llm"}', "llm", id="white space"),
        pytest.param(b'{"model": "a\\"b\\\\"}', 'a"b\\', id="escapes"),
        pytest.param(
            b'{"model": "\\u00e9\\ud83d\\ude00"}', "é😀", id="escaped letters"
        ),
        pytest.param('{"model": "é"}'.encode(), "é", id="letters"),
        pytest.param(b'{"model": "\xff"}', None, id="no UTF-8"),
        pytest.param(b'{"model": "a\nb"}', None, id="a control character"),
        pytest.param(b'{"model": 7, "x": "llm"}', None, id="a number"),
        pytest.param(b'{"model": ["llm"]}', None, id="a list"),
        pytest.param(b'["model", "llm"]', None, id="no object"),
        pytest.param(b'{"a": {"model": "no"}, "model": "llm"}', "llm", id="deeper too"),
        pytest.param(
            b'{"a": "\\"model\\": \\"no\\"", "model": "llm"}', "llm", id="said"
        ),
        pytest.param(b'{"a": "{[", "model": "llm"}', "llm", id="brackets in a string"),
        pytest.param(b'{"role": "model", "model": "llm"}', "llm", id="as a value"),
        pytest.param(b'{"Model": "no", "model": "llm"}', "llm", id="another case"),
    ],
)
def test_only_the_objects_own_model_counts(body, model):
    assert model_of(body) == model


@pytest.mark.parametrize(
    "piece",
    [
        pytest.param(b'"' + b"\\\\", id="escapes without an end"),
        pytest.param(b'\\"', id="escaped quotes"),
        pytest.param(b'"model":', id="models without a value"),
        pytest.param(b'"model":"', id="strings that are none"),
        pytest.param(b"{", id="depth"),
        pytest.param(b"x", id="nothing to see"),
    ],
)
def test_twice_the_body_is_about_twice_the_work(piece):
    """Not four times: a body comes from anybody. The bound leaves room for noise."""

    def took(size: int) -> float:
        body = b'{"messages": "' + piece * (size // len(piece))
        least = 1e9
        for _ in range(3):
            began = perf_counter()
            model_of(body)
            least = min(least, perf_counter() - began)
        return least

    assert took(1 << 18) < 16 * 4 * max(took(1 << 14), 1e-5)


@given(prompt=counts, completion=counts, spaced=st.booleans())
def test_counts_are_read_as_they_are_written(prompt, completion, spaced):
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 7},
    }
    separators = (", ", ": ") if spaced else (",", ":")

    raw = json.dumps({"choices": [], "usage": usage}, separators=separators)

    assert tokens_of(raw.encode()) == (prompt, completion)


@pytest.mark.parametrize(
    ("tail", "tokens"),
    [
        pytest.param(b"", (None, None), id="nothing"),
        pytest.param(b'{"usage": null}', (None, None), id="null, as while streaming"),
        pytest.param(b'{"usage": {"prompt_tokens": 3}}', (3, None), id="an embedding"),
        pytest.param(
            b'{"usage": {"input_tokens": 3, "output_tokens": 4}}',
            (3, 4),
            id="responses",
        ),
        pytest.param(b'ge": {"prompt_tokens": 3}}', (None, None), id="cut off before"),
        pytest.param(b'{"prompt_tokens": 3}', (None, None), id="not in a usage"),
        pytest.param(
            b'data: {"usage": {"prompt_tokens": 1, "completion_tokens": 1}}\n\n'
            b'data: {"usage": {"prompt_tokens": 1, "completion_tokens": 9}}\n\n'
            b"data: [DONE]\n\n",
            (1, 9),
            id="the last of a stream",
        ),
    ],
)
def test_the_last_usage_counts(tail, tokens):
    assert tokens_of(tail) == tokens


def test_a_usage_as_long_as_they_get_fits_in_the_tail():
    many = {f"a_rather_long_name_of_a_detail_{n}": 10**9 for n in range(40)}
    usage = {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "prompt_tokens_details": many,
    }
    raw = json.dumps({"choices": ["x" * 9000], "usage": usage}).encode()

    assert tokens_of(raw[-TAIL:]) == (1, 2)
