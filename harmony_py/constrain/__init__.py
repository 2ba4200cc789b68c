"""What may come next: masks and grammars that keep a turn to a specification."""

from harmony_py.constrain.controls import ControlMask
from harmony_py.constrain.gbnf import to_gbnf
from harmony_py.constrain.lark import to_lark
from harmony_py.constrain.mask import Mask
from harmony_py.constrain.position import Position
from harmony_py.constrain.spec import JsonSchema, Named, Regex, Text, TurnSpec
from harmony_py.constrain.xgrammar import to_xgrammar

__all__ = [
    "ControlMask",
    "JsonSchema",
    "Mask",
    "Named",
    "Position",
    "Regex",
    "Text",
    "TurnSpec",
    "to_gbnf",
    "to_lark",
    "to_xgrammar",
]
