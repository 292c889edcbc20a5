"""What a build tells while it goes on, to a terminal or over a wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import Field

from ytm_bundle.engines import GraphFile, GraphReport
from ytm_bundle.manifest import Spec

MAX_SAID = 4000
"""Characters in a line for people."""


class Begun(Spec):
    """A graph is being built."""

    name: GraphFile
    number: Annotated[int, Field(ge=1)]
    """Its place among all, from 1."""
    count: Annotated[int, Field(ge=1)]
    left_s: Annotated[float, Field(ge=0)] | None
    """What all that is left will take, as far as is known; None: not known."""


class Done(Spec):
    """A graph has been built and compared."""

    report: GraphReport
    kept: bool
    """It was finished before, by a build that was interrupted."""


class Said(Spec):
    """Something for people."""

    text: Annotated[str, Field(max_length=MAX_SAID)]


Event = Begun | Done | Said
Tell = Callable[[Event], object]
