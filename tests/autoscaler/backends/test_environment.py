"""What a launch says, filled in for one replica."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.base import Launch
from autoscaler.backends.environment import expand, fill, relocate

NAMES = st.text("ABCDEFGHIJ_", min_size=1)


def test_what_is_given_wins_over_the_launch_and_that_over_what_is_inherited():
    launch = Launch(command=(), env=(("PORT", "1"), ("WHO", "launch"), ("A", "launch")))
    _, env = fill(launch, {"PORT": "2"}, {"PORT": "3", "WHO": "x", "OTHER": "y"})

    assert env == {"PORT": "2", "WHO": "launch", "A": "launch", "OTHER": "y"}


def test_a_variable_may_refer_to_those_before_it_and_to_what_is_given():
    env = (("LATE", "$(NEXT)"), ("HOST", "h:$(PORT)"), ("NEXT", "to $(HOST)"))
    _, values = fill(Launch(command=(), env=env), {"PORT": "80"}, {})

    assert values["NEXT"] == "to h:80"
    assert values["LATE"] == "$(NEXT)"


def test_without_a_model_the_mount_stays_a_path_like_any_other():
    argv, _ = fill(Launch(command=("ls", "/mnt/models")), {}, {})

    assert argv == ("ls", "/mnt/models")


def test_a_model_directory_with_odd_characters_is_put_in_as_it_is():
    assert relocate("--dir=/mnt/models", "/mnt/models", r"C:\1 \g<0> $(X)") == (
        r"--dir=C:\1 \g<0> $(X)"
    )


def test_a_mount_elsewhere_is_the_one_that_is_replaced():
    launch = Launch(command=("/models/a", "/mnt/models/a"), model_mount="/models/")
    argv, _ = fill(launch, {"MODEL_DIR": "/data"}, {})

    assert argv == ("/data/a", "/mnt/models/a")


@given(st.text("ab/.-_ "), st.text("xy/", min_size=1))
def test_a_text_that_does_not_name_the_mount_is_not_touched(text, local):
    assert relocate(text, "/mnt/models", local) == text


@given(st.dictionaries(NAMES, st.text()), NAMES)
def test_a_reference_is_its_value_or_stays(values, name):
    assert expand(f"$({name})", values) == values.get(name, f"$({name})")


@given(st.text(), st.dictionaries(NAMES, st.text()))
def test_a_doubled_dollar_is_one_and_refers_to_nothing(text, values):
    plain = text.replace("$", "$$")

    assert expand(plain, values) == text
