"""What the tables of a settings file are made of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainValidator

from ytm_device.wall_clock import Hours

MAX_TEXT = 1024
"""Characters in a text, such as a path."""
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f]+")


@dataclass(frozen=True)
class Unit:
    """What a number counts."""

    name: str


def _text(value: object) -> str | None:
    """A text that names something; an empty one names nothing, as if the key were absent."""
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > MAX_TEXT or not _PRINTABLE.fullmatch(value):
        raise ValueError("no text")
    return value


def _hours(value: object) -> Hours | None:
    if isinstance(value, Hours):
        return value
    text = _text(value)
    return None if text is None else Hours.parse(text)


def _whole(value: object) -> object:
    """Let only a whole number pass, which `Literal` alone does not see to: 0 is equal to false."""
    if type(value) is not int:
        raise ValueError("no whole number")
    return value


Text = Annotated[str | None, PlainValidator(_text)]
DayHours = Annotated[Hours | None, PlainValidator(_hours)]
Rotation = Annotated[Literal[0, 90, 180, 270], BeforeValidator(_whole)]


class Section(BaseModel):
    """A table of the file: immutable, strict in its types, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
