from math import inf

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.agenda import Agenda
from autoscaler.core.domain import RevisionKey


class Subject:
    """Something that can be due."""

    def __init__(self, name: str = "") -> None:
        self.key = RevisionKey("default", name)
        self.due = inf

    def __repr__(self) -> str:
        return self.key.name


def drain(agenda: Agenda[Subject], now: float) -> list[Subject]:
    """Pop all that is due by *now*."""
    popped = []
    while (subject := agenda.pop(now)) is not None:
        popped.append(subject)
    return popped


TIMES = st.sampled_from([0.0, 1.0, 2.0, 2.5, 7.0, inf])
# Few subjects, so that most are put more than once.
PUTS = st.lists(st.tuples(st.integers(0, 4), TIMES), max_size=40)


@given(PUTS)
def test_each_that_is_due_comes_once_in_the_order_of_its_newest_time(puts):
    agenda: Agenda[Subject] = Agenda()
    subjects = [Subject(f"{number}") for number in range(5)]
    newest = dict.fromkeys(subjects, inf)
    for number, due in puts:
        newest[subjects[number]] = due
        agenda.put(subjects[number], due)

    popped = drain(agenda, now=7.0)

    assert sorted(popped, key=newest.__getitem__) == popped
    assert set(popped) == {each for each, due in newest.items() if due < inf}
    assert len(popped) == len(set(popped))
    assert all(subject.due == inf for subject in subjects)
    assert agenda.wake_at == inf


@given(st.lists(st.tuples(st.integers(0, 4), TIMES, TIMES), max_size=40))
def test_it_wakes_for_the_first_that_is_due_and_never_pops_too_early(calls):
    agenda: Agenda[Subject] = Agenda()
    subjects = [Subject(f"{number}") for number in range(5)]

    for number, due, now in calls:
        agenda.put(subjects[number], due)
        first = min(subject.due for subject in subjects)
        assert agenda.wake_at == first
        if now < inf:
            dues = {subject: subject.due for subject in subjects}
            popped = agenda.pop(now)
            assert (popped is None) == (first > now)
            if popped is not None:
                assert dues[popped] == first
        assert agenda.wake_at == min(subject.due for subject in subjects)


def test_an_empty_agenda_never_wakes():
    agenda: Agenda[Subject] = Agenda()

    assert agenda.wake_at == inf
    assert agenda.pop(now=1e9) is None


def test_those_due_at_one_time_come_in_the_order_of_their_keys():
    agenda: Agenda[Subject] = Agenda()
    one, other, third = Subject("a"), Subject("b"), Subject("c")
    agenda.put(third, 5.0)
    agenda.put(other, 7.0)
    agenda.put(one, 5.0)
    # Whatever they were put to before.
    agenda.put(other, 5.0)

    assert drain(agenda, now=5.0) == [one, other, third]


def test_what_is_put_again_is_due_then_only():
    agenda: Agenda[Subject] = Agenda()
    subject = Subject()
    agenda.put(subject, 5.0)
    agenda.put(subject, 9.0)

    assert agenda.wake_at == 9.0
    assert agenda.pop(now=8.0) is None
    assert agenda.pop(now=9.0) is subject
    assert agenda.pop(now=9.0) is None


def test_what_is_put_off_and_back_is_due_once():
    agenda: Agenda[Subject] = Agenda()
    subject, other = Subject("subject"), Subject("other")
    agenda.put(other, 1.0)
    agenda.put(subject, 5.0)
    agenda.put(subject, 9.0)
    agenda.put(subject, 5.0)

    assert drain(agenda, now=20.0) == [other, subject]


def test_what_is_never_due_leaves_the_agenda():
    agenda: Agenda[Subject] = Agenda()
    subject, other = Subject("subject"), Subject("other")
    agenda.put(subject, 5.0)
    agenda.put(other, 6.0)

    agenda.put(subject, inf)

    assert agenda.wake_at == 6.0
    assert drain(agenda, now=20.0) == [other]
