from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.kubernetes.released import ANNOTATION, read, written
from autoscaler.core.domain import RevisionKey

NAMES = st.text(alphabet=string.ascii_lowercase + string.digits + "-.", min_size=1)
KEYS = st.builds(RevisionKey, NAMES, NAMES)


@given(st.sets(KEYS))
def test_what_is_written_is_read_again(keys):
    assert set(read({ANNOTATION: written(keys) or ""})) == keys


@given(st.text())
def test_whatever_somebody_else_wrote_is_read(text):
    for each in read({ANNOTATION: text}):
        assert each.namespace
        assert each.name


def test_nothing_needs_no_annotation():
    assert written(()) is None
    assert read({}) == ()
