"""Options taken as they are, without pydantic: typer loads it even to find that a text is a text, and that takes as
long as all the rest of the command line.
"""

from __future__ import annotations

from typing import Any


class Plain:
    """Stands where typer keeps what checks an option: says yes to what cannot be wrong, and leaves the rest to it."""

    def __init__(self, *, text: bool) -> None:
        self._text = text

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value itself for what was not given, and for simple texts; else what typer makes of it."""
        if value is None or value is param.default or (self._text and isinstance(value, str) and value.isascii()):
            return value
        param._runtime_param = None  # noqa: SLF001 - typer has no door for it
        return param.get_runtime_param().coerce(value, param=param, ctx=ctx)


def without_pydantic(command: Any, parent: Any = None) -> Any:
    """The same command, with simple options taken as they are; a typer that checks otherwise is left alone."""
    ctx = command.context_class(command, parent=parent, info_name=command.name, **command.context_settings)
    for param in command.get_params(ctx):
        if getattr(param, "_runtime_param", command) is None and not param.multiple and param.nargs == 1:
            param._runtime_param = Plain(text=param.type_descriptor.annotation is str)  # noqa: SLF001 - typer has no door for it
    for inner in getattr(command, "commands", {}).values():
        without_pydantic(inner, ctx)
    return command
