"""`fromzero simulate` from documents and a trace to a screen, JSON and a page."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autoscaler.errors import BadInput
from fromzero.commands import app
from fromzero.errors import CommandError

DOCUMENT = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: {name}
  annotations:
    autoscaling.knative.dev/window: 20s
spec:
  predictor:
    minReplicas: 0
    maxReplicas: 2
    containers:
      - name: kserve-container
        image: none
        command: ["serve"]
"""


@pytest.fixture
def place(tmp_path):
    (tmp_path / "echo.yaml").write_text(DOCUMENT.format(name="echo"))
    rows = [f"{at},echo,100,50,2.0\n" for at in (0, 1, 2, 100, 300, 301, 900)]
    head = "# span_s: 1000\narrival_s,model,input_tokens,output_tokens,service_s\n"
    (tmp_path / "trace.csv").write_text(head + "".join(rows))
    return tmp_path


def run(place: Path, *more: str, trace: str = "trace.csv") -> str:
    arguments = [
        "simulate", str(place / "echo.yaml"), "--trace", str(place / trace),
        "--cold-start", "10s", *more,
    ]  # fmt: skip
    done = CliRunner().invoke(app, arguments)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_one_screen_compares_with_knative_and_always_on(place):
    said = run(place).splitlines()

    assert said[0] == "7 requests in 16.67min; a start takes 10 s"
    assert said[2].split() == ["these", "settings", "Knative's", "always", "on"]
    assert said[3].startswith("replica-hours")
    assert len({len(line) for line in said[2:]}) == 1
    (cold,) = (line for line in said if line.startswith("requests that found none"))
    assert cold.split()[5] == "7"


def test_json_has_the_figures_and_the_settings(place):
    ours, knative, always = json.loads(run(place, "--json"))

    assert ours["settings"]["window"] == "20s"
    assert knative["settings"]["window"] == "60s"
    assert always["settings"]["minReplicas"] == "1"
    assert ours["totals"]["cost_s"] < always["totals"]["cost_s"]
    assert ours["totals"]["requests"] == 7


def test_each_policy_that_is_named_is_compared_on_the_same_requests(place):
    named = ("keepalive:30s", "histogram:1h", "hpa", "kpa")

    found = json.loads(
        run(place, "--json", *(x for n in named for x in ("--policy", n)))
    )

    assert [each["name"] for each in found[3:]] == list(named)
    by_name = {each["name"]: each["totals"] for each in found}
    assert by_name["kpa"] == by_name["these settings"]
    assert by_name["keepalive:30s"]["cost_s"] < by_name["histogram:1h"]["cost_s"]
    assert {each["requests"] for each in by_name.values()} == {7}


def test_the_page_is_written_and_says_how_to_have_it_again(place):
    run(place, "--report", str(place / "report.html"))

    page = (place / "report.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "<h2>The same again</h2>" in page
    assert not (place / "report.html.part").exists()


def test_a_part_of_the_time_and_tokens_for_a_service_time(place):
    text = (place / "trace.csv").read_text().replace(",2.0\n", ",\n")
    (place / "tokens.csv").write_text(text)

    (found, *_) = json.loads(
        run(
            place, "--json", "--to", "200s", "--token-time", "1ms,20ms", trace="tokens.csv"
        )
    )  # fmt: skip

    assert found["totals"]["requests"] == 4
    assert found["totals"]["busy_s"] > 1.0


@pytest.mark.parametrize("name", ["default/echo", "echo"])
def test_of_a_recording_of_several_services_those_of_the_one_are_taken(place, name):
    rows = f"0,{name},,,1\n1,default/iris,,,1\n2,{name},,,1\n3,mlp,,,1\n"
    (place / "both.csv").write_text("arrival_s,model,a,b,service_s\n" + rows)

    said = run(place, trace="both.csv")

    assert said.startswith("2 requests in 3s")
    assert "note: 2 requests are of other models than default/echo: left out" in said


def test_a_trace_of_one_moment_is_refused(place):
    (place / "one.csv").write_text("arrival_s,service_s\n0,1\n0,1\n")

    with pytest.raises(CommandError, match="one.csv: 0 s long"):
        run(place, trace="one.csv")


def test_where_no_model_is_the_services_all_are_taken_for_it(place):
    rows = "0,a,,,1\n1,b,,,1\n"
    (place / "two.csv").write_text("arrival_s,model,a,b,service_s\n" + rows)

    said = run(place, trace="two.csv")

    assert said.startswith("2 requests in 1s")
    assert "note: its 2 models are all taken for default/echo (--model" in said


def test_engines_slow_down_and_clients_lose_patience_if_it_is_said(place):
    plain, *_ = json.loads(run(place, "--json"))
    slow, *_ = json.loads(run(place, "--json", "--slowing", "50%"))
    brief, *_ = json.loads(run(place, "--json", "--patience", "5s"))

    assert slow["totals"]["busy_s"] > plain["totals"]["busy_s"]
    assert plain["totals"]["lost"] == 0
    assert brief["totals"]["lost"] > 0


def test_clients_try_again_if_it_is_said(place):
    asked = ("--patience", "5s", "--retries", "3")

    found, *_ = json.loads(run(place, "--json", *asked))
    said = run(place, *asked)

    assert found["totals"]["lost"] == 0
    assert found["totals"]["retries"] > 0
    assert found["totals"]["longest_s"] > 5.0
    assert "\n  tried again before" in said
    assert "\nleft, or lost with a replica" in run(place, "--patience", "5s")


def test_replicas_without_gpus_fit_on_any_node_and_that_is_said(place):
    said = run(place, "--nodes", "1x2")

    assert "note: no replica needs a GPU (resources), so any number fits" in said
    assert "no replica needs" not in run(place)


def test_on_nodes_starts_wait_and_share_and_the_screen_says_so(place):
    many = (place / "echo.yaml").read_text().replace(
        "        command", "        resources: {limits: {nvidia.com/gpu: 1}}\n        command"
    )  # fmt: skip
    (place / "echo.yaml").write_text(many)
    text = "image(5GB) + weights(5GB)"
    asked = ("--cold-start", text, "--nodes", "1x2", "--node-bandwidth", "1GB/s")

    said = run(place, *asked)

    assert (
        "note: replicas are placed on 1 node of 2 GPUs; all that a node loads" in said
    )
    rows = {line.split("   ")[0]: line.split()[-3:] for line in said.splitlines()}
    assert rows["GPU-hours of nodes"] == ["0.56", "0.56", "0.56"]
    assert rows["images pulled"] == ["1", "1", "1"]
    assert rows["starts that waited for a place"] == ["0", "0", "0"]
    plain, *_ = json.loads(run(place, "--json"))
    found, *_ = json.loads(run(place, *asked, "--json"))
    assert plain["totals"]["nodes"] is None
    assert found["totals"]["nodes"]["pulled"] == 1
    # The first start pulls its image: 10 s; those after it 5 s.
    assert found["totals"]["longest_s"] == pytest.approx(10.0, abs=0.5)
    page = place / "report.html"
    run(place, *asked, "--report", str(page))
    assert "GPU-hours of nodes" in page.read_text()


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (("--slowing", "much"), "--slowing 'much': must be a percentage"),
        (("--cold-start", "soon"), "--cold-start 'soon': must be parts"),
        (("--nodes", "0x4"), "--nodes '0x4': must have 1 to 1,000 nodes, has 0"),
        (("--cold-start", "weights(15)"), r"--cold-start 'weights\(15\)': must have a"),
        (("--token-time", "1ms"), "must be IN,OUT"),
        (("--from", "2000s"), "the trace ends at"),
        (("--model", "other"), "must be one of echo"),
        (("--policy", "lru"), "--policy 'lru': must be kpa, knative, hpa"),
        (("--report", "/no/such/place/x.html"), "cannot be written"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(place, more, why):
    with pytest.raises(CommandError, match=why):
        run(place, *more)


def test_a_page_never_takes_the_place_of_what_it_is_made_from(place):
    for name in ("trace.csv", "echo.yaml"):
        before = (place / name).read_bytes()

        with pytest.raises(CommandError, match=f"{name}: is what is read"):
            run(place, "--report", str(place / name))

        assert (place / name).read_bytes() == before


def test_models_of_a_trace_are_matched_by_name_where_there_are_several(place):
    (place / "other.yaml").write_text(DOCUMENT.format(name="other"))
    both = str(place / "other.yaml")

    assert "7 requests" in run(place, both)
    text = (place / "trace.csv").read_text().replace("echo", "nobody")
    (place / "nobody.csv").write_text(text)
    with pytest.raises(CommandError, match="must be one of default/echo"):
        run(place, both, trace="nobody.csv")


def test_bad_documents_are_told_as_by_up(place):
    (place / "echo.yaml").write_text(DOCUMENT.format(name="echo").replace("0", "-1"))

    with pytest.raises(BadInput, match="minReplicas"):
        run(place)


@pytest.mark.slow
def test_the_page_on_cold_starts_shows_what_the_command_prints(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    docs = Path(__file__).parents[2] / "docs"
    text = (docs / "coldstart.md").read_text()
    blocks = re.compile(r"```\n\$ fromzero (.*?[^\\])\n(.*?)```", re.DOTALL)
    made, *_ = blocks.findall((docs / "tuning.md").read_text())
    (shown,) = blocks.findall(text)
    (document,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "llm.yaml").write_text(document)

    for command, said in (made, shown):
        arguments = shlex.split(command.replace("\\\n", ""))
        done = CliRunner().invoke(app, arguments)
        assert (done.exit_code, done.stdout.rstrip()) == (0, said.rstrip())


@pytest.mark.slow
def test_the_page_is_there_though_nobody_reads_the_screen(place):
    page = place / "page.html"
    process = subprocess.Popen(
        [
            sys.executable, "-m", "fromzero", "simulate", str(place / "echo.yaml"),
            "--trace", str(place / "trace.csv"), "--cold-start", "10s",
            "--report", str(page),
        ],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.close()

    _, errors = process.communicate(timeout=60)

    assert b"Traceback" not in errors
    assert page.read_text().endswith("</html>\n")
