"""What people read about the machines is made from the charts."""

from __future__ import annotations

from pathlib import Path

import pytest

from grantflow_machines import CHARTS, edges, event_rows, guard_of, mermaid, readme

README = Path(__file__).resolve().parents[2] / "machines" / "README.md"


def test_the_readme_is_the_generated_one() -> None:
    assert README.read_text(encoding="utf-8") == readme(), "run: grantflow machines readme > machines/README.md"


def test_the_readme_names_every_state_event_and_kind() -> None:
    chart = CHARTS["agent"]
    text = readme()
    assert all(f"| `{state.value}` | " in text for state in chart.states)
    assert all(f"| `{name}` | " in text for name in chart.rules)
    assert all(f"| {kind} | " in text for kind in CHARTS)


@pytest.mark.parametrize("kind", CHARTS)
def test_rows_read_from_top_to_bottom_try_alternatives_in_their_order(kind: str) -> None:
    chart = CHARTS[kind]
    read: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for sources, event, _, when, target in event_rows(chart):
        for source in sources.split(", "):
            read.setdefault((source, event), []).append((when, source if target == "(same)" else target))
    meant: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for edge in edges(chart):
        sentences = (guard_of(chart, name) for name in edge.guards)
        when = "; ".join(found.sentence for found in sentences if not found.is_role)
        meant.setdefault((edge.source, edge.event), []).append((when, edge.target))
    assert read == meant


def test_the_diagram_shows_every_move_and_no_standing_still() -> None:
    chart = CHARTS["agent"]
    drawn: set[tuple[str, str, str]] = set()
    for line in mermaid(chart).splitlines()[2:]:
        arrow, _, names = line.strip().partition(": ")
        source, _, target = arrow.partition(" --> ")
        drawn.update((source, name, target) for name in names.split(", ") if name)
    moves = {(e.source, e.event, e.target) for e in edges(chart) if e.source != e.target}
    assert drawn == {(s.replace("-", "_"), name, t.replace("-", "_")) for s, name, t in moves}
