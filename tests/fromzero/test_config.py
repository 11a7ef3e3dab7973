"""Settings: which source wins, and what is wrong in each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from autoscaler.component import SpecDefaults
from autoscaler.core.domain import Balance, Budget, Metric
from autoscaler.errors import BadInput
from fromzero.config import Settings, of_machine, resolve
from fromzero.hardware import Hardware

MACHINE = Hardware(memory=8 << 30, gpus=("0",))
HOME = {"HOME": "/users/someone"}


def settings(flags=None, environ=None, config=None) -> Settings:
    said = {**HOME, **(environ or {})}
    return resolve(flags or {}, said, config, of_machine(said, MACHINE))


def problems(flags=None, environ=None, config=None) -> list[str]:
    with pytest.raises(BadInput) as error:
        settings(flags, environ, config)
    return [str(each) for each in error.value.problems]


@pytest.fixture
def file(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "fromzero.yaml"
        path.write_text(text)
        return path

    return write


def test_nothing_said_is_the_defaults_and_the_machines_own_size():
    assert settings() == Settings(
        memory=8 << 30,
        gpus=("0",),
        state_dir=Path("/users/someone/.local/state/fromzero"),
        cache_dir=Path("/users/someone/.cache/fromzero"),
    )


def test_a_flag_wins_over_the_environment_and_that_over_the_file(file):
    path = file("port: 1\nadmin-port: 1\npatience: 1s\n")
    environ = {"FROMZERO_PORT": "2", "FROMZERO_ADMIN_PORT": "2"}
    found = settings({"port": 3}, environ, path)

    assert (found.port, found.admin_port, found.patience_s) == (3, 2, 1.0)


def test_a_flag_that_was_not_given_says_nothing():
    assert settings({"port": None}, {"FROMZERO_PORT": "5"}).port == 5


def test_the_environment_may_name_the_file(file):
    path = file("port: 7")

    assert settings(environ={"FROMZERO_CONFIG": str(path)}).port == 7


def test_settings_of_revisions_are_defaults_for_documents(file):
    path = file(
        "min-replicas: 0\nstable-window: 5m\nmetric: rps\nbalance: first-free\n"
        "rps-target: 50\nconcurrency-target-percentage: 50\nhold-limit: 10\n"
        "max-held-bytes: 1Mi\npanic: false\n"
    )
    spec = settings(config=path).spec
    before = SpecDefaults()

    assert spec.scaling == replace(
        before.scaling,
        min_replicas=0,
        stable_window_s=300,
        metric=Metric.RPS,
        panic=False,
    )
    assert spec.gate == replace(
        before.gate,
        hold_limit_s=10,
        max_held_bytes=1 << 20,
        balance=Balance.FIRST_FREE,
    )
    assert spec.target == replace(before.target, rps=50, concurrency_utilization=0.5)


def test_every_default_of_documents_is_handed_on():
    found = settings({"memory": "2Gi", "gpus": "3", "pvc_root": "/claims"})
    defaults = found.defaults("127.0.0.1:1", "/bin")

    assert defaults.budget == Budget(memory=2 << 30, gpus=3, patience_s=60)
    assert (defaults.activator, defaults.path) == ("127.0.0.1:1", "/bin")
    assert defaults.volumes == Path("/claims")
    assert (defaults.domain, defaults.grace_s) == ("localhost", 30)
    assert found.limits.max_held == 10_000


def test_memory_may_be_unlimited_and_gpus_a_list_of_one(file):
    found = settings(config=file("memory: unlimited\ngpus: [1]"))

    assert found.memory is None
    assert found.gpus == ("1",)


def test_a_relative_directory_begins_at_the_file_and_at_nothing_else(file):
    path = file("pvc-root: claims\nstate-dir: /state\n")
    found = settings({"cache_dir": "cache"}, config=path)

    assert found.pvc_root == path.parent / "claims"
    assert found.state_dir == Path("/state")
    assert found.cache_dir == Path("cache")


def test_xdg_says_where_state_and_cache_are():
    found = settings(environ={"XDG_STATE_HOME": "/s", "XDG_CACHE_HOME": "/c"})

    assert (found.state_dir, found.cache_dir) == (
        Path("/s/fromzero"),
        Path("/c/fromzero"),
    )


def test_all_that_is_wrong_is_said_at_once_with_where_it_was_said(file):
    path = file("prot: 1\nstable-window: 3s\nhost: []\npatience:\n")

    assert problems({"port": "x"}, {"FROMZERO_MEMORY": "lots"}, path) == [
        f"{path}:1: prot = 1, is no setting: did you mean port?",
        f"{path}:3: host = [], must be a single value",
        "--port = x, must be a whole number in [0, 65535]",
        "FROMZERO_MEMORY = lots, must be a size such as 512Mi, more than nothing, or "
        "unlimited",
        f"{path}:2: stable-window = 3s, must be a duration of whole seconds such as 30s "
        "in [6s, 3600s]",
    ]


def test_a_wrong_value_that_another_source_overrides_does_not_matter(file):
    assert settings({"port": 1}, config=file("port: x")).port == 1


def test_an_unknown_variable_is_somebody_elses():
    assert settings(environ={"FROMZERO_SERVICE_HOST": "10.0.0.1"}) == settings()


def test_an_empty_variable_is_a_value_and_a_wrong_one():
    assert problems(environ={"FROMZERO_PORT": ""}) == [
        'FROMZERO_PORT = "", must be a whole number in [0, 65535]'
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: [", ": is not YAML"),
        (b"a: 1\n---\nb: 1", ":3: has a second document, must be one"),
        (b"a: \xff", ": is not UTF-8 text"),
        (b"[1]", ":1: must be a mapping"),
    ],
)
def test_a_file_that_is_no_settings_says_so(tmp_path, content, said):
    path = tmp_path / "c.yaml"
    path.write_bytes(content)

    (found,) = problems(config=path)
    assert found.startswith(str(path))
    assert said in found


def test_an_empty_file_says_nothing(file):
    assert settings(config=file("# nothing\n")) == settings()


def test_a_file_that_is_not_there_or_no_file_says_so(tmp_path):
    assert problems(config=tmp_path / "x") == [f"{tmp_path}/x: is not there"]
    assert problems(config=tmp_path) == [f"{tmp_path}: cannot be read: Is a directory"]
