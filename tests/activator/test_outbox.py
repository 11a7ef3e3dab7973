from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from activator.outbox import Outbox
from autoscaler.core.domain import RevisionKey
from autoscaler.core.frames import Leaving, Opened, UpFrame
from autoscaler.core.messages import Drained, Lost, Ready, Sample, Wake
from tests.fakes.sharing import KEY, sample

OTHER = RevisionKey("ns", "llm")


def wake(key: RevisionKey = KEY, epoch: int = 0) -> Wake:
    return Wake(key=key, reporter="a", epoch=epoch, held=1)


def all_of(box: Outbox) -> list[UpFrame]:
    taken = []
    while (message := box.take()) is not None:
        taken.append(message)
    return taken


def test_wakes_go_first_and_samples_last():
    box = Outbox()
    ready = Ready(key=KEY, reporter="a", replica="r")
    for each in (sample("a", 1), ready, wake(), wake(OTHER)):
        assert box.put(each)
    assert len(box) == 4

    assert all_of(box) == [wake(), wake(OTHER), ready, sample("a", 1)]
    assert len(box) == 0


def test_of_each_level_only_the_newest_waits():
    box = Outbox()
    old = [
        wake(epoch=1),
        sample("a", 1),
        Ready(key=KEY, reporter="a", replica="r"),
        Drained(key=KEY, reporter="a", replica="r"),
        Opened(key=KEY, reporter="a", version=1),
        Leaving(reporter="a"),
    ]
    new = [
        wake(epoch=2),
        Lost(key=KEY, reporter="a", replica="r"),
        Drained(key=KEY, reporter="a", replica="r"),
        Opened(key=KEY, reporter="a", version=2),
        Leaving(reporter="a"),
        sample("a", 2),
    ]
    for each in [*old, *new]:
        box.put(each)

    assert all_of(box) == new


def test_what_was_cleared_is_not_said():
    box = Outbox()
    for each in (wake(), sample("a", 1), Leaving(reporter="a")):
        box.put(each)

    box.clear()

    assert box.take() is None


words = st.one_of(
    st.builds(wake, st.sampled_from([KEY, OTHER]), st.integers(0, 3)),
    st.builds(
        lambda name, held: sample("a", 1, held).__class__(
            **{**_fields(sample("a", 1, held)), "key": RevisionKey("ns", name)}
        ),
        st.sampled_from("abcde"),
        st.integers(0, 3),
    ),
    st.builds(
        lambda replica, kind: kind(key=KEY, reporter="a", replica=replica),
        st.sampled_from("abcde"),
        st.sampled_from([Ready, Lost, Drained]),
    ),
)


def _fields(fact: Sample) -> dict[str, object]:
    return {name: getattr(fact, name) for name in fact.__dataclass_fields__}


@given(st.lists(words, max_size=60), st.integers(1, 4))
def test_it_never_keeps_more_than_its_bound_of_a_kind_and_the_newest_is_kept(
    said: list[UpFrame], most: int
):
    box = Outbox(most)

    kept = [box.put(each) for each in said]

    left = all_of(box)
    assert len(left) <= 3 * most
    assert not said or said[-1] in left
    if all(kept):
        assert set(left) == {each for each in said if each in left}
