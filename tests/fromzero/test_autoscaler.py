from __future__ import annotations

import pytest

from autoscaler.core.handshake import SecretError
from autoscaler.errors import BadInput
from fromzero.autoscaler import read_secret, settings_of
from fromzero.flags import Flags


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_text("correct horse battery staple\n")
    return path


def flags(**settings: object) -> Flags:
    said = {k: None if v is None else str(v) for k, v in settings.items()}
    return Flags(command="autoscaler", settings=said)


def test_a_pod_is_named_by_its_environment_and_a_flag_wins(secret):
    environ = {"POD_NAME": "fromzero-autoscaler-x"}

    assert settings_of(flags(secret=secret), environ).name == "fromzero-autoscaler-x"
    assert settings_of(flags(secret=secret, name="a"), environ).name == "a"


def test_a_cluster_has_defaults_of_its_own(secret):
    settings = settings_of(flags(secret=secret), {})

    assert settings.domain == "example.com"
    assert (settings.admin_host, settings.link_port) == ("*", 9091)
    scaling = settings.spec.scaling
    assert (scaling.initial_scale, scaling.grace_s) == (1, 30.0)


def test_everything_wrong_is_said_at_once(tmp_path):
    with pytest.raises(BadInput) as caught:
        settings_of(flags(kubeconfig=tmp_path / "none"), {})

    said = [str(each) for each in caught.value.problems]
    assert any("--secret" in each and "must be given" in each for each in said)
    assert any("--kubeconfig" in each and "is no file" in each for each in said)


def test_a_secret_that_is_none_is_refused_and_not_shown(tmp_path):
    path = tmp_path / "secret"
    path.write_text("short")

    with pytest.raises(BadInput) as caught:
        settings_of(flags(secret=path), {})

    (problem,) = caught.value.problems
    assert "must have at least" in str(problem)
    assert "short" not in str(problem).replace(str(path), "")


def test_a_secret_that_changes_counts_at_once(secret):
    read = read_secret(secret)
    before = read()
    secret.write_text("another horse and its battery\n")

    assert read() != before
    secret.write_text("")
    with pytest.raises(SecretError):
        read()
