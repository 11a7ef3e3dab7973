"""What is asked becomes a question: whose requests, how long they take, what is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fromzero.asked import Asked, question
from fromzero.errors import CommandError
from tests.fromzero.test_simulate import DOCUMENT


@pytest.fixture
def asked(tmp_path):
    paths = []
    for name in ("echo", "iris"):
        paths.append(tmp_path / f"{name}.yaml")
        paths[-1].write_text(DOCUMENT.format(name=name))
    rows = "0,default/echo,,,1\n1,iris,,,2\n2,iris-predictor-00001,,,3\n60,echo,,,4\n"
    (tmp_path / "t.csv").write_text("arrival_s,model,a,b,service_s\n" + rows)
    return Asked(paths=tuple(paths), trace=tmp_path / "t.csv", cold_start="10s")


def test_models_are_services_by_their_full_name_their_short_one_and_a_revisions(asked):
    found, specs = question(asked)

    names = {model: key.name for model, key in found.keys.items()}
    assert names == {
        "default/echo": "echo-predictor-00001",
        "iris": "iris-predictor-00001",
        "iris-predictor-00001": "iris-predictor-00001",
        "echo": "echo-predictor-00001",
    }
    assert {key.name for key in specs} == set(names.values())


def test_a_part_has_no_more_than_its_services(asked):
    found, specs = question(replace(asked, begin="30s"))

    assert (len(found.trace), found.trace.span_s) == (1, 30.0)
    assert [key.name for key in specs] == ["echo-predictor-00001"]


def test_a_model_that_nobody_serves_is_refused(asked):
    with asked.trace.open("a") as file:
        file.write("70,mlp,,,1\n")

    with pytest.raises(CommandError, match="model 'mlp': must be one of default/echo"):
        question(asked)
    assert len(question(replace(asked, paths=asked.paths[:1]))[0].trace) == 2


@pytest.mark.parametrize("name", ["echo", "echo-predictor-00001"])
def test_a_name_that_two_namespaces_have_is_refused_and_the_full_ones_told(
    asked, tmp_path, name
):
    lab = tmp_path / "lab.yaml"
    text = DOCUMENT.format(name="echo")
    lab.write_text(text.replace("metadata:\n", "metadata:\n  namespace: lab\n"))
    asked = replace(asked, paths=(*asked.paths, lab))
    rows = ("0,default/echo,1\n", "1,lab/echo,2\n")
    asked.trace.write_text("arrival_s,model,service_s\n" + "".join(rows))

    assert {str(key.namespace) for key in question(asked)[1]} == {"default", "lab"}
    with asked.trace.open("a") as file:
        file.write(f"2,{name},1\n")
    with pytest.raises(CommandError, match=f"'{name}': must be one of .*lab/echo"):
        question(asked)


def test_whose_hours_are_not_in_gpu_hours_is_said(asked):
    assert question(asked)[0].trace.remarks == ()

    iris = asked.paths[1]
    limits = "resources: {limits: {nvidia.com/gpu: 1}}"
    iris.write_text(iris.read_text() + f"        {limits}\n")

    (said,) = question(asked)[0].trace.remarks
    assert (
        said
        == "GPU-hours have nothing of what needs no GPU: default/echo-predictor-00001"
    )
    assert question(replace(asked, model="iris"))[0].trace.remarks == ()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"cold_start": "soon"}, "--cold-start"),
        ({"slowing": "-1%"}, "--slowing"),
        ({"token_time": "1ms"}, "--token-time"),
        ({"begin": "1h"}, "the trace ends at 60s"),
        ({"model": "mlp"}, "must be one of default/echo"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(asked, changes, why):
    with pytest.raises(CommandError, match=why):
        question(replace(asked, **changes))
