"""What a benchmark found, as it is printed, written as JSON and read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ytm_bundle.errors import UsageError

KIND: Literal["ytm-benchmark sound"] = "ytm-benchmark sound"
MAX_BYTES = 1 << 20

Measured = Annotated[float, Field(gt=0, allow_inf_nan=False)]


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


class Cost(Part):
    """CPU seconds for each second of sound, over all rounds."""

    median: Measured
    least: Measured
    most: Measured


class Hops(Part):
    """Wall time of one hop, from the playhead to samples for the card."""

    samples: int
    """In a hop; of a bundle that plays grains, in a grain."""
    budget_ms: Measured
    """How long a hop lasts."""
    count: int
    ms: dict[str, Measured]
    """`p50`, `p95`, `p99` and `max`."""
    share: dict[str, Measured]
    """The same over `budget_ms`."""

    @property
    def late(self) -> bool:
        """Whether more than one in a hundred took longer than it lasts."""
        return self.share["p99"] > 1


class SoundReport(Part):
    """All that `ytm-benchmark sound` measures."""

    kind: Literal["ytm-benchmark sound"] = KIND
    version: Literal[1] = 1
    machine: Machine
    bundle: BundleName
    seconds: float
    """Of sound, by each method and by the player."""
    cpu_s_per_s: dict[str, Cost]
    left_out: dict[str, str]
    """Methods that were not measured, and why not."""
    hop: Hops

    def figures(self) -> dict[str, float]:
        """What is worth comparing, by name."""
        costs = {f"{name}, CPU s per s": cost.median for name, cost in self.cpu_s_per_s.items()}
        return costs | {f"hop {name}, ms": value for name, value in self.hop.ms.items()}


def read_report(path: Path) -> SoundReport:
    """Read what `ytm-benchmark sound --json` printed earlier.

    Raises:
        UsageError: it cannot be read, or is something else.
    """
    remedy = "give what `ytm-benchmark sound --json` printed"
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
    if kind != KIND:
        raise UsageError(f"--compare {path}: its kind is {kind!r}, not {KIND!r}; {remedy}")
    try:
        return SoundReport.model_validate(data)
    except ValidationError as error:
        first = cast("dict[str, Any]", error.errors()[0])
        key = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"--compare {path}: {key}: {first['msg']}; {remedy}") from error
