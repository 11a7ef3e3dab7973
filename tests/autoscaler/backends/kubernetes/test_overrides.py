"""The ConfigMap of revisions: read leniently, said precisely."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.kubernetes.managed import Reference
from autoscaler.backends.kubernetes.overrides import NAME, Overrides, places, read
from autoscaler.core.domain import RevisionKey

ABOUT = Reference(api_version="v1", kind="ConfigMap", namespace="fromzero", name=NAME)
IRIS = RevisionKey("production", "iris-predictor")


def said(data, key=IRIS):
    return {each.knob: each.node.data for each in read(data, ABOUT).of(key)}


def messages(data):
    return [each.message for each in read(data, ABOUT).findings]


@pytest.mark.parametrize(
    "text",
    ["min-replicas: 0", "minReplicas: 0", "autoscaling.knative.dev/min-scale: 0"],
)
def test_a_setting_may_be_written_in_each_of_its_spellings(text):
    assert said({"iris-predictor": text}) == {"min-replicas": 0}


def test_an_entry_with_the_namespace_wins_setting_by_setting():
    data = {
        "iris-predictor": "min-replicas: 1\nmax-replicas: 3",
        "production.iris-predictor": "min-replicas: 0",
    }

    assert said(data) == {"min-replicas": 0, "max-replicas": 3}
    assert said(data, RevisionKey("test", "iris-predictor"))["min-replicas"] == 1


def test_what_is_no_setting_is_said_with_the_nearest_one():
    (message,) = messages({"iris-predictor": "minReplica: 0"})

    assert message == (
        'fromzero-revisions["iris-predictor"].minReplica = 0, is no setting of a '
        "revision: did you mean minReplicas?"
    )


def test_a_balance_by_keys_is_read_or_what_it_may_be_is_said():
    assert said({"iris-predictor": "balance: prompt:256"}) == {"balance": "prompt:256"}

    (message,) = messages({"iris-predictor": "balance: cookie:a"})

    assert message.startswith(
        'fromzero-revisions["iris-predictor"].balance = cookie:a, must be one of auto, '
    )
    assert "header:NAME" in message


def test_what_is_out_of_range_is_said_and_left_out_and_the_rest_counts():
    data = {"iris-predictor": "stable-window: 5s\nmin-replicas: 0"}

    assert said(data) == {"min-replicas": 0}
    (message,) = messages(data)
    assert message.startswith('fromzero-revisions["iris-predictor"].stable-window = 5s')
    assert "[6s, 3600s]" in message


def test_a_value_that_is_not_yaml_disturbs_no_other_entry():
    data = {"a": "min-replicas: [", "b": "min-replicas: 2"}

    assert said(data, RevisionKey("x", "b")) == {"min-replicas": 2}
    (message,) = messages(data)
    assert 'fromzero-revisions["a"]' in message
    assert "is not YAML" in message


def test_a_list_is_no_entry():
    (message,) = messages({"a": "- 1"})

    assert "must be a mapping" in message


def test_an_entry_that_no_revision_has_is_a_stranger():
    found = read(
        {"iris-predicter": "min-replicas: 0", "iris-predictor": "panic: no"}, ABOUT
    )

    (stranger,) = found.strangers([IRIS], ABOUT)
    assert "did you mean iris-predictor?" in stranger.message


def test_places_complain_where_the_setting_was_written():
    problems = []
    found = read({"iris-predictor": "max-replicas: 2"}, ABOUT)

    places(found.of(IRIS), problems)["max-replicas"].bad("must be more")

    assert problems[0].field == 'fromzero-revisions["iris-predictor"].max-replicas'


def test_nothing_said_is_nothing_changed():
    assert Overrides().of(IRIS) == ()
    assert read({"a": "", "b": "{}"}, ABOUT) == Overrides()


@given(
    data=st.dictionaries(
        st.text(max_size=8),
        st.text(max_size=60)
        | st.sampled_from(
            ["min-replicas: 0", "timeout: 5m", "panic: maybe", "a: {b: c}"]
        ),
        max_size=4,
    )
)
def test_no_text_raises_and_entries_do_not_touch_each_other(data):
    alone = {name: read({name: text}, ABOUT) for name, text in data.items()}
    whole = read(data, ABOUT)

    assert whole.entries == {
        name: entry for each in alone.values() for name, entry in each.entries.items()
    }
    assert set(whole.findings) == {
        finding for each in alone.values() for finding in each.findings
    }
