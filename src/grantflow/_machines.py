"""Charts for those who inspect them: compiled tables and their proof."""

from __future__ import annotations

from collections.abc import Mapping

from grantflow._compile import Definition, compile_chart
from grantflow._prove import Proof, prove, waiting
from grantflow_machines import CHARTS, LifecycleChart

__all__ = ["Definition", "Proof", "definitions", "prove", "waiting"]


def definitions(charts: Mapping[str, type[LifecycleChart]] | None = None) -> dict[str, Definition]:
    """The compiled table of every chart, by app kind: the shipped ones, or a host's own."""
    return {kind: compile_chart(chart) for kind, chart in (charts or CHARTS).items()}
