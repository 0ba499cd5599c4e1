"""Charts for those who inspect them: compiled tables, their proof, and a host's own charts by name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module

from grantflow._compile import Definition, compile_chart
from grantflow._prove import Proof, prove, waiting
from grantflow.errors import ConfigurationError
from grantflow_machines import CHARTS, LifecycleChart

__all__ = ["Definition", "Proof", "charts_from_env", "definitions", "prove", "waiting"]

_VARIABLE = "GRANTFLOW_CHARTS"
_HINT = f"set {_VARIABLE}=module:NAME to a mapping from app kind to chart, its module importable (PYTHONPATH)"


def charts_from_env() -> Mapping[str, type[LifecycleChart]]:
    """The charts that GRANTFLOW_CHARTS names as `module:NAME`, a mapping from app kind to chart, or the shipped ones.

    The command line, the daemon and the console open every database with these. Raises ConfigurationError.
    """
    name = os.environ.get(_VARIABLE, "")
    if not name:
        return CHARTS
    module, _, attribute = name.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        msg = f"{_VARIABLE} names {name[:200]!r}, which cannot be imported: {error}"
        raise ConfigurationError(msg, hint=_HINT) from error
    if not isinstance(found, Mapping) or not found or not all(_is_chart(chart) for chart in found.values()):
        msg = f"{_VARIABLE} names {name[:200]!r}, which is no mapping from app kind to chart"
        raise ConfigurationError(msg, hint=_HINT)
    return found


def _is_chart(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, LifecycleChart)


def definitions(charts: Mapping[str, type[LifecycleChart]] | None = None) -> dict[str, Definition]:
    """The compiled table of every chart, by app kind: the shipped ones, or a host's own."""
    return {kind: compile_chart(chart) for kind, chart in (charts or CHARTS).items()}
