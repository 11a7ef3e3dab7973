from __future__ import annotations

from typing import Any

import pytest

from fromzero.errors import CommandError
from fromzero.release import run


class Cluster:
    """A cluster that lets go of a revision after it was asked about a few times."""

    def __init__(self, *names: str, after: int = 1) -> None:
        self.there = dict.fromkeys(names, after)
        self.released: list[str] = []

    def revisions(self) -> list[dict[str, Any]]:
        for name in self.released:
            if name in self.there:
                self.there[name] -= 1
                if self.there[name] < 0:
                    del self.there[name]
        return [
            {"namespace": "a", "name": name, "state": "starting", "reason": "released"}
            for name in self.there
        ]

    def find(self, name: str) -> list[dict[str, Any]]:
        return [each for each in self.revisions() if each["name"] == name]

    def release(self, revision: dict[str, Any]) -> dict[str, Any]:
        self.released.append(revision["name"])
        return revision


def test_a_release_ends_when_what_was_named_is_there_no_more(capsys):
    cluster = Cluster("iris", "llm")

    run(cluster, "iris", 60.0, everything=False)

    assert list(cluster.there) == ["llm"]
    assert capsys.readouterr().out == "a/iris is let go of\n"


def test_all_are_let_go_of(capsys):
    cluster = Cluster("iris", "llm", after=0)

    run(cluster, None, 60.0, everything=True)

    assert cluster.there == {}
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_what_does_not_become_ready_in_time_is_named_with_its_reason():
    cluster = Cluster("iris", after=1000)

    with pytest.raises(CommandError, match="a/iris is starting: released"):
        run(cluster, "iris", 0.0, everything=False)


@pytest.mark.parametrize(
    ("name", "everything", "said"),
    [
        pytest.param(
            None, False, "release needs NAME, or --all for every revision", id="neither"
        ),
        pytest.param(
            "iris",
            True,
            "release has NAME = iris and --all, must have one alone",
            id="both",
        ),
    ],
)
def test_nothing_is_let_go_of_unless_it_was_said_what(name, everything, said):
    cluster = Cluster("iris", "llm")

    with pytest.raises(CommandError) as raised:
        run(cluster, name, 60.0, everything=everything)

    assert str(raised.value) == said
    assert cluster.released == []
