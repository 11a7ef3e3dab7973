"""What a balance by keys may say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.affinity import MOST, Affinity, affinity


@given(st.integers(-9, 2 * MOST))
def test_a_prompt_has_as_many_bytes_as_are_allowed(size):
    found = affinity(f"prompt:{size}")

    assert found == (Affinity(prompt=size) if 1 <= size <= MOST else None)


def test_a_fields_name_is_the_same_whatever_its_capitals():
    assert affinity("header:X-Session-Id") == affinity("Header:x-session-id")


@pytest.mark.parametrize(
    "text",
    ["", "auto", "header:", "header:a b", "header:a:b", "header:é", "header:a\n",
     "prompt:", "prompt:-1", "prompt:1.5", "prompt:007", f"header:{'x' * 65}"],
)  # fmt: skip
def test_all_else_is_none(text):
    assert affinity(text) is None
