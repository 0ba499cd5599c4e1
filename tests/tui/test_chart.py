"""The picture of the lifecycle is the chart's: no arrow missing, none invented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import grantflow_tui
from grantflow import definitions
from grantflow._compile import compile_chart
from grantflow_machines import CHARTS, LifecycleChart, edges
from grantflow_tui._chart import arrows, draw, forceable
from grantflow_tui._look import Look
from tests.machines.host_charts import ApprovedInstallation, PartnerInstallation

SOURCES = sorted(Path(grantflow_tui.__file__).parent.glob("*.py"))


DRAWN: dict[str, type[LifecycleChart]] = {
    **CHARTS,
    "a host's own": ApprovedInstallation,
    "a host's kind": PartnerInstallation,
}


@pytest.mark.parametrize("kind", sorted(DRAWN))
def test_the_drawn_arrows_are_the_charts_edges(kind: str) -> None:
    definition = compile_chart(DRAWN[kind])
    drawn = {(arrow.source, event, arrow.target) for arrow in arrows(definition) for event in arrow.events}
    assert drawn == {(edge.source, edge.event, edge.target) for edge in edges(DRAWN[kind])}


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("kind", sorted(DRAWN))
def test_every_arrow_around_a_state_stands_in_its_picture(kind: str, ascii_only: bool) -> None:
    definition = compile_chart(DRAWN[kind])
    look = Look({kind: definition}, ascii_only=ascii_only)
    seen = set()
    for state in definition.states:
        lines = draw(definition, state, look).plain.splitlines()
        assert f"[{look.badge(state).plain}]" in lines[0]
        assert all(value in lines[0] for value in definition.states)
        if ascii_only:
            assert "\n".join(lines).isascii()
        for line in lines[1:]:
            ends, _, names = line.partition("  by ")
            if look.arrow() in ends:
                target = ends.split()[-1]
                seen |= {(state, name, target) for name in names.split(", ")}
            elif "= stays" in ends:
                seen |= {(state, name, state) for name in names.split(", ")}
    assert seen == {(edge.source, edge.event, edge.target) for edge in edges(DRAWN[kind])}


def test_force_targets_are_the_charts() -> None:
    definition = definitions()["agent"]
    for state in definition.states:
        reached = {edge.target for edge in edges(CHARTS["agent"]) if (edge.source, edge.event) == (state, "force")}
        assert set(forceable(definition, state)) == reached


def test_a_state_no_chart_knows_is_shown_and_breaks_nothing() -> None:
    look = Look(definitions())
    assert "mystery is no state of this chart" in draw(definitions()["agent"], "mystery", look).plain


def test_no_state_is_named_in_the_console() -> None:
    # the help shows filters as examples; nothing else may know a state by name
    names = re.compile("|".join(f"[\"']{value}[\"']" for value in Look(definitions()).states))
    assert [path.name for path in SOURCES if names.search(path.read_text())] == []


def test_every_state_has_its_own_look() -> None:
    for ascii_only in (False, True):
        look = Look(definitions(), ascii_only=ascii_only)
        shown = [look.badge(state).plain for state in look.states]
        assert len(set(shown)) == len(shown)


def test_no_file_of_the_console_knows_the_data_table() -> None:
    assert SOURCES
    assert [path.name for path in SOURCES if "DataTable" in path.read_text()] == []
