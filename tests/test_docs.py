"""docs/settings.md against the settings that there are, both ways."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from autoscaler.documents import shipped
from autoscaler.knob import Kind, held, parse
from autoscaler.knobs import KNATIVE, KNOBS
from autoscaler.kserve import Defaults
from autoscaler.runtimes import read
from fromzero.commands import app
from fromzero.config import Settings, resolve, variable
from fromzero.options import SETTINGS

DOCS = Path(__file__).parent.parent / "docs"
NOT_SETTINGS = {"--config", "--record-trace", "--record-decisions", "--log-format"}
"""Options of `up` that say what to do in one run, not how the machine is."""


def tables(text: str) -> list[list[dict[str, str]]]:
    """Return the tables of a page, each row by its column's head."""
    found: list[list[dict[str, str]]] = []
    for block in re.findall(r"(?:^\|.*\|$\n?)+", text, re.MULTILINE):
        head, _, *rows = (
            [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            for line in block.splitlines()
        )
        found.append([dict(zip(head, row, strict=True)) for row in rows])
    return found


def code(cell: str) -> str:
    return cell.strip("`")


MACHINE, ACTIVATOR, AUTOSCALER, REVISIONS = (
    {code(row["setting"]): row for row in table}
    for table in tables((DOCS / "settings.md").read_text())
)
CLUSTER = ACTIVATOR | AUTOSCALER
SHOWN_IN_WORDS = {
    "memory", "gpus", "max-body", "pvc-root", "cache-dir", "state-dir", "seed",
    "autoscaler", "secret", "name", "namespace", "kubeconfig",
}  # fmt: skip
"""Defaults that a machine, a home directory or nobody says."""


def test_every_setting_has_its_row_and_every_row_its_setting():
    assert MACHINE.keys() | CLUSTER.keys() == SETTINGS.keys()
    assert not MACHINE.keys() & CLUSTER.keys()
    assert REVISIONS.keys() == KNOBS.keys()


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_of_the_machine_is_as_its_row_says(name):
    setting, row = SETTINGS[name], (MACHINE | CLUSTER)[name]

    assert code(row["flag"]) == setting.flag
    assert code(row["environment"]) == variable(name)
    assert row["range"]
    assert row["reason for the default"]
    if name not in SHOWN_IN_WORDS:
        assert setting.read(row["default"]) == getattr(Settings(), setting.field)


@pytest.mark.parametrize("name", KNOBS)
def test_a_setting_of_a_revision_is_as_its_row_says(name):
    knob, row = KNOBS[name], REVISIONS[name]
    unit = "s" if knob.kind in (Kind.SECONDS, Kind.WHOLE_SECONDS) else ""

    assert code(row["field"]) == knob.document
    assert code(row["annotation"]).replace("…/", KNATIVE) == knob.annotation
    assert code(row["environment"]) == (variable(name) if knob.configured else "")
    assert row["reason for the default"]
    if knob.words:
        assert row["range"] == ", ".join(knob.words)
    if knob.kind is Kind.FLAG:
        assert row["range"] == "true, false"
    if knob.high is not None:
        assert f"[{knob.low:g}{unit}, {knob.high:g}{unit}]" in row["range"]
    elif knob.above:
        assert f"more than {knob.low:g}{unit}" in row["range"]
    elif knob.kind in (Kind.NUMBER, Kind.SECONDS):
        assert f"{knob.low:g}{unit} or more" in row["range"]
    if knob.special is not None:
        assert f"{knob.special:g}" in row["range"]


@pytest.mark.parametrize("name", [each for each in KNOBS if KNOBS[each].configured])
def test_the_default_of_a_revisions_setting_is_as_its_row_says(name):
    knob, row = KNOBS[name], REVISIONS[name]
    read_as = parse(knob, row["default"])

    assert read_as is not None
    assert held(knob, read_as) == getattr(getattr(Defaults().spec, knob.of), knob.field)


@pytest.mark.parametrize("name", ["up", "activator", "autoscaler"])
def test_the_flags_of_a_program_are_the_settings_that_have_one(name):
    command = typer.main.get_command(app).commands[name]
    options = {
        opt for each in command.params for opt in each.opts if opt.startswith("--")
    }

    assert options - NOT_SETTINGS == {
        each.flag for each in SETTINGS.values() if each.flag and name in each.commands
    }


def test_every_shipped_runtime_has_its_row_with_its_formats():
    rows = {
        code(row["runtime"]): row["formats"]
        for table in tables((DOCS / "documents.md").read_text())
        for row in table
        if "runtime" in row
    }
    known = [read(each, shipped=True) for each in shipped()]

    assert rows.keys() == {each.document.name for each in known}
    for each in known:
        for kind in each.formats:
            assert kind.name in rows[each.document.name]


def test_the_file_that_the_page_shows_is_read_without_a_complaint(tmp_path):
    (shown,) = re.findall(
        r"```yaml\n(.*?)```", (DOCS / "settings.md").read_text(), re.DOTALL
    )
    path = tmp_path / "fromzero.yaml"
    path.write_text(shown)

    found = resolve({}, {"HOME": str(tmp_path)}, path)
    assert found.gpus == ("0", "1")
    assert found.spec.scaling.stable_window_s == 300
