"""The one field that people type and paste into."""

from __future__ import annotations

from textual.binding import BindingsMap
from textual.dom import DOMNode
from textual.keys import key_to_character
from textual.screen import Screen, ScreenResultType
from textual.widgets import Input

from grantflow_tui._text import inert


class TypesFirst(Screen[ScreenResultType]):
    """A screen in which a letter that is typed into a field is a letter, whatever it is a key for.

    Textual takes such keys from its own bindings, but not from those a keymap moved (`Screen._binding_chain`).
    """

    @property
    def _binding_chain(self) -> list[tuple[DOMNode, BindingsMap]]:
        chain = super()._binding_chain
        field = self.focused
        if not isinstance(field, Field):
            return chain
        for node, bindings in chain:
            for key in [*bindings.key_to_bindings]:
                if node is not field and field.check_consume_key(key, key_to_character(key)):
                    del bindings.key_to_bindings[key]
        return chain


class Field(Input):
    """A line of text; what is pasted or set is made harmless before it is kept, so the screen never obeys it."""

    def validate_value(self, value: str) -> str:
        """Whatever way a value comes in."""
        return inert(value)

    def insert(self, text: str, index: int) -> None:
        """Cleaned first, so that the cursor stands behind what was really taken."""
        super().insert(inert(text), index)

    def replace(self, text: str, start: int, end: int) -> None:
        """The same for a selection that is pasted over."""
        super().replace(inert(text), start, end)
