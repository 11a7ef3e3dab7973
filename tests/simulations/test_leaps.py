from __future__ import annotations

import pytest
from hypothesis import given, settings

from tests.simulations.leaps import Case, cases, same


@pytest.mark.slow
@settings(max_examples=settings().max_examples // 2)
@given(cases())
def test_no_report_tells_whether_the_quiet_was_leapt_over(case: Case):
    leapt, walked = same(case.scenario)

    assert leapt <= walked
