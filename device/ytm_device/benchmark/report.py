"""What a benchmark found, as it is printed, written as JSON and read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ytm_bundle.errors import UsageError

KIND: Literal["ytm-benchmark"] = "ytm-benchmark"
VERSION: Literal[2] = 2
MAX_BYTES = 1 << 20

Measured = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Part(BaseModel):
    """Base of a report's parts: immutable; keys that it does not know are left unread."""

    model_config = ConfigDict(frozen=True)


class Machine(Part):
    """Where it was measured."""

    youtube_mirror: str
    python: str
    numpy: str
    cpu: str
    """Its model, as the kernel names it."""
    cores: int
    """That this process may use."""
    load_1_min: float
    """Processes that wanted a core in the minute before."""
    kernel_compiled: bool
    """Whether the compiled inverter is there."""


class BundleName(Part):
    """What was played."""

    name: str
    id: str


class MindName(Part):
    """What answered."""

    backend: str
    """Name and version of what ran the graphs."""
    key: str | None
    """Digest of what its engines depend on; None where the graphs were run as they are."""
    reason: str
    """Why it was that."""


class Cost(Part):
    """CPU seconds for each second of sound, over all rounds."""

    median: Measured
    least: Measured
    most: Measured


class Limit(Part):
    """What a stage may take, as it was at the time."""

    at: str
    """The percentile that counts."""
    ms: Measured


class StageTimes(Part):
    """Wall time of one stage."""

    count: int
    ms: dict[str, Measured]
    """`p50`, `p95`, `p99` and `max`."""
    budget: Limit
    within: bool
    """Whether that percentile is no more than the budget."""


class BoardState(Part):
    """What the kernel says of heat and clocks at one moment."""

    temperatures_c: dict[str, Finite]
    clocks_mhz: dict[str, Finite]
    """Of each core, and of each device that scales its frequency, such as a GPU."""
    limits_mhz: dict[str, Finite]
    """The most that each may run at."""
    power_mode: str | None
    """Of a Jetson, by name."""
    slowed: list[str]
    """What throttles at that moment."""
    throttles: int
    """How often cores have throttled, and how often the current was too high, since boot."""


class Board(Part):
    """How the machine was before and after."""

    before: BoardState
    after: BoardState
    load_1_min: float
    """After it."""
    throttled: list[str]
    """What was noticed of throttling meanwhile."""


class Report(Part):
    """All that `ytm-benchmark` measures."""

    kind: Literal["ytm-benchmark"] = KIND
    version: Literal[2] = VERSION
    parts: list[str]
    seconds: float
    """Of each part."""
    machine: Machine
    versions: dict[str, str | None]
    """Of what it stands on; None: not there."""
    bundle: BundleName
    mind: MindName | None = None
    devices: dict[str, str] = {}
    """`camera`, `screen` and `card`: what was read, shown and written to."""
    stages: dict[str, StageTimes]
    """In the order of a frame's way."""
    counts: dict[str, Finite]
    """Frames, periods, and what was dropped."""
    cpu_s_per_s: dict[str, Cost] = {}
    left_out: dict[str, str]
    """Stages and methods that were not to be measured, and why not."""
    failed: dict[str, str] = {}
    """Stages that were, and of which nothing was found."""
    board: Board

    def figures(self) -> dict[str, float]:
        """What is worth comparing, by name."""
        times = {
            f"{name} {at}, ms": value
            for name, stage in self.stages.items()
            for at, value in stage.ms.items()
        }
        return times | {
            f"{name}, CPU s per s": cost.median for name, cost in self.cpu_s_per_s.items()
        }

    def over_budget(self) -> dict[str, StageTimes]:
        """The stages that take longer than they may."""
        return {name: stage for name, stage in self.stages.items() if not stage.within}


def read_report(path: Path) -> Report:
    """Read what `ytm-benchmark --json` printed earlier.

    Raises:
        UsageError: it cannot be read, or is something else.
    """
    remedy = "give what `ytm-benchmark --json` printed"
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"--compare {path}: cannot be read ({error.strerror})") from error
    if len(text) > MAX_BYTES:
        raise UsageError(f"--compare {path}: larger than {MAX_BYTES} bytes; {remedy}")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--compare {path}: not JSON ({error}); {remedy}") from error
    kind = data.get("kind") if isinstance(data, dict) else None
    if kind == "ytm-benchmark sound":
        raise UsageError(
            f"--compare {path}: version 1, which this ytm-benchmark does not read; measure again"
        )
    if kind != KIND:
        raise UsageError(f"--compare {path}: its kind is {kind!r}, not {KIND!r}; {remedy}")
    try:
        return Report.model_validate(data)
    except ValidationError as error:
        first = cast("dict[str, Any]", error.errors()[0])
        key = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"--compare {path}: {key}: {first['msg']}; {remedy}") from error
