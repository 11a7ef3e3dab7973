from __future__ import annotations

import pytest

from autoscaler.errors import BadInput
from fromzero.autoscaler import settings_of
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
