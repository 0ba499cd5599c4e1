"""The shipped charts for those who inspect them: compiled tables and their proof."""

from __future__ import annotations

from grantflow._compile import Definition, compile_chart
from grantflow._prove import Proof, prove, waiting
from grantflow_machines import CHARTS

__all__ = ["Definition", "Proof", "definitions", "prove", "waiting"]


def definitions() -> dict[str, Definition]:
    """The compiled table of every shipped chart, by app kind."""
    return {kind: compile_chart(chart) for kind, chart in CHARTS.items()}
