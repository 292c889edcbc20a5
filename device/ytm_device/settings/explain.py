"""What is wrong with a setting, in a line that names the key, the value and what is allowed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from ytm_device.settings.model import MirrorSettings, keys, sections
from ytm_device.settings.section import MAX_TEXT, DayHours, Unit

MAX_SHOWN = 60
"""Characters of a wrong value that are shown."""
EXAMPLE_HOURS = "22:00-08:00"


def allowed(field: FieldInfo) -> str:
    """What a setting may be, in a few words, such as `dB from -60 to 12`."""
    if field.annotation is bool:
        return "true or false"
    if get_origin(field.annotation) is Literal:
        *others, last = map(shown, get_args(field.annotation))
        return f"{', '.join(others)} or {last}"
    if field.annotation in (int, float):
        return _range(field)
    if field.annotation == get_args(DayHours)[0]:
        return f'two different times, 00:00 to 23:59, as "{EXAMPLE_HOURS}", or ""'
    return f'printable text, at most {MAX_TEXT} characters, or ""'


def _range(field: FieldInfo) -> str:
    least = next(mark.ge for mark in field.metadata if isinstance(mark, Ge))
    most = next(mark.le for mark in field.metadata if isinstance(mark, Le))
    unit = next(mark.name for mark in field.metadata if isinstance(mark, Unit))
    whole = "whole " if field.annotation is int else ""
    return f"{whole}{unit} from {least:g} to {most:g}"


def shown(value: object) -> str:
    """A value as it is written in TOML, cut to `MAX_SHOWN` characters."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        cut = value if len(value) <= MAX_SHOWN else f"{value[:MAX_SHOWN]}..."
        return json.dumps(cut, ensure_ascii=False)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    # Python refuses to write whole numbers of thousands of digits.
    if isinstance(value, int) and value.bit_length() > MAX_SHOWN:
        return "a huge number"
    return str(value)[:MAX_SHOWN]


def explain(error: ValidationError, stated: Callable[[str, Any], str]) -> str:
    """The first thing that is wrong, and how much else is.

    Args:
        error: of `MirrorSettings`.
        stated: names a key and its value as they were written.
    """
    first, *others = error.errors(include_url=False)
    key, value = ".".join(map(str, first["loc"])), first["input"]
    more = f" (and {len(others)} more)" if others else ""
    return f"{stated(key, value)}: {fix(key)}{more}"


def fix(key: str) -> str:
    """What to do about `key`: what to give it, or which keys there are."""
    if key in keys():
        return f"give {allowed(keys()[key])}"
    if key in sections():
        return f"write a table: [{key}], and its keys below it"
    section, _, _ = key.rpartition(".")
    if section in sections():
        known = ", ".join(sections()[section].model_fields)
        return f"no such setting; [{section}] has {known}"
    return f"no such setting or table; there are {', '.join(MirrorSettings.model_fields)}"
