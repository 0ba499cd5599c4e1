"""The machines at the prompt come from the charts and from nowhere else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grantflow import Proof
from grantflow_machines import CHARTS, edges, readme
from tests.cli.fleet import Command
from tests.machines.test_chart_is_the_only_truth import ARROW, CHART, EVENT, SOURCE, copied, run

SHOW = ["-c", "from grantflow.cli import main; main(['machines', 'show', 'agent', '--json'])"]


@pytest.mark.parametrize("kind", CHARTS)
def test_json_has_every_arrow_of_the_chart(kind: str, grantflow: Command) -> None:
    told = json.loads(grantflow("machines", "show", kind, "--json").out)[kind]
    arrows = [(e.source, e.event, list(e.guards), e.target) for e in edges(CHARTS[kind])]
    shown = [
        (row["from"], row["event"], [guard["name"] for guard in row["guards"]], row["to"])
        for row in told["transitions"]
    ]
    assert sorted(shown) == sorted(arrows)
    for row in told["events"]:
        assert row["targets"] == sorted({target for _, event, _, target in arrows if event == row["event"]})
    assert {row["value"] for row in told["states"]} == {state.value for state in CHARTS[kind].states}


@pytest.mark.parametrize(
    ("form", "start"),
    [("table", "| from | event"), ("mermaid", "stateDiagram-v2"), ("states", "| state |"), ("events", "| event |")],
)
def test_a_chart_has_four_faces(form: str, start: str, grantflow: Command) -> None:
    assert grantflow("machines", "show", "agent", "--format", form).out.startswith(start)
    assert grantflow("machines", "show", "--format", form).out.count(start) == len(CHARTS)


def test_the_readme_is_printed_whole(grantflow: Command) -> None:
    assert grantflow("machines", "readme").out == readme()


def test_an_arrow_taken_out_of_the_chart_is_gone_from_the_prompt(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    whole = arrows(run(tree, SHOW))
    text = (tree / CHART).read_text(encoding="utf-8")
    assert text.count(ARROW) == 1
    (tree / CHART).write_text(text.replace(ARROW, ""), encoding="utf-8")
    (lost,) = whole - (left := arrows(run(tree, SHOW)))
    assert left < whole
    assert json.loads(lost)["event"] == EVENT
    assert json.loads(lost)["from"] == SOURCE


def arrows(lines: list[str]) -> set[str]:
    told = json.loads("\n".join(lines))["agent"]["transitions"]
    assert told
    return {json.dumps(row) for row in told}


def test_check_proves_a_kind(grantflow: Command) -> None:
    answer = grantflow("machines", "check", "agent", "--json")
    assert answer.code == 0
    told = json.loads(answer.out)["agent"]
    assert told["ok"] is True
    assert told["cases"] > 1000
    assert told["mismatches"] == told["waiting"] == []


@pytest.mark.parametrize(
    ("prove", "waiting"),
    [
        (lambda _: Proof(0, 0.0, ()), lambda _: ()),
        (lambda _: Proof(9, 0.0, ()), lambda _: ("active has no exit\x1b for an operator",)),
    ],
)
def test_check_fails_when_something_is_missing(
    prove: Callable[[Any], Proof],
    waiting: Callable[[Any], tuple[str, ...]],
    grantflow: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("grantflow.prove", prove)
    monkeypatch.setattr("grantflow.waiting", waiting)
    answer = grantflow("machines", "check")
    assert answer.code == 1
    assert answer.out.count(" no ") == len(CHARTS)
    assert "\x1b" not in answer.err
