from __future__ import annotations

from autoscaler.signature import signature


def test_a_signature_is_the_same_until_something_changes(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("one")
    names = [str(path), str(tmp_path / "nothing")]

    assert signature(names) == signature(names)
    before = signature(names)
    path.write_text("two, longer")
    assert signature(names) != before
