"""What a page's script reads is JSON, and cannot end its element."""

from __future__ import annotations

import json

from simulations.page.data import embedded
from tests.simulations.page.sample import HOSTILE, ORIGIN, outcome


def test_it_is_json_with_all_that_there_is_and_no_markup():
    said = embedded([outcome(), outcome(HOSTILE)], ORIGIN)

    assert not set("<>&") & set(said)
    found = json.loads(said)
    assert [each["name"] for each in found["outcomes"]] == ["these settings", HOSTILE]
    at, model, ready, desired, applied, mode, reason = found["outcomes"][0]["moments"][
        0
    ]
    assert (at, ready, desired, applied) == (10.0, 0, 1, 1)
    words = [found["words"][each] for each in (model, mode, reason)]
    assert words == [HOSTILE, "stable", HOSTILE]
    assert len(found["outcomes"][0]["series"]["at"]) == 3
