"""Notes read as one line."""

from __future__ import annotations

from autoscaler.notes import Level, Note


def test_a_note_names_its_place_where_it_has_one():
    placed = Note(text="minReplicas is not set", file="a.yaml", line=3)

    assert str(placed) == "a.yaml:3: minReplicas is not set"
    assert str(Note(text="nothing to do", file="a.yaml")) == "nothing to do"


def test_a_note_is_only_good_to_know_unless_it_says_more():
    assert Note(text="x").level is Level.NOTE
