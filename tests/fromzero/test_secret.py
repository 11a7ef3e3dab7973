from __future__ import annotations

import pytest

from autoscaler.core.handshake import SecretError
from fromzero.secret import problems, reading


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_text("correct horse battery staple\n")
    return path


def test_a_secret_that_is_one_has_no_problem(secret):
    assert list(problems(secret, "activators")) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "--secret = {path}, cannot be read: No such file or directory"),
        ("short\n", "{path}: line 1 of the link's secret has 5 bytes"),
    ],
)
def test_a_secret_that_is_none_is_refused_and_not_shown(tmp_path, content, said):
    path = tmp_path / "other"
    if content is not None:
        path.write_text(content)

    (problem,) = problems(path, "activators")

    assert str(problem).startswith(said.format(path=path))
    assert "short" not in str(problem)


def test_who_must_know_it_too_is_said():
    (problem,) = problems(None, "activators")

    assert str(problem) == (
        "--secret must be given: the file that the activators have too"
    )


def test_a_secret_that_changes_counts_at_once(secret):
    read = reading(secret)
    before = read()
    secret.write_text("another horse and its battery\n")

    assert read() != before
    secret.write_text("")
    with pytest.raises(SecretError):
        read()
