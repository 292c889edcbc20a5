"""What every stage may take, from one file."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path

from ytm_bundle.errors import UsageError
from ytm_device.benchmark.stages import STAGE_NAMES

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BUDGETS = Path(__file__).with_name("budgets.toml")
MAX_BYTES = 64 << 10
SHARED = ("invert", "write")
"""Stages whose budget may be a share of how long a piece of sound lasts."""
_PERCENTILES = ("p50", "p95", "p99", "max")


@dataclass(frozen=True)
class Budget:
    """The most that one percentile of a stage may be."""

    at: str
    """`p50`, `p95`, `p99` or `max`."""
    most: float
    """Milliseconds, or a share; above 0."""
    is_share: bool

    def ms(self, lasts_ms: float | None) -> float:
        """In milliseconds, where the sound at stake lasts `lasts_ms`."""
        if not self.is_share:
            return self.most
        assert lasts_ms is not None
        return self.most * lasts_ms


def read_budgets(path: Path) -> dict[str, Budget]:
    """Read the budget of every stage.

    Raises:
        UsageError: the file cannot be read, lacks a stage, or names something else.
    """
    said = _parsed(path)
    for name in said:
        if name not in STAGE_NAMES:
            raise UsageError(f"{path}: {name}: no such stage; there are {', '.join(STAGE_NAMES)}")
    if missing := [name for name in STAGE_NAMES if name not in said]:
        raise UsageError(f"{path}: {', '.join(missing)}: no budget; give each stage one")
    return {name: _budget(path, name, said[name]) for name in STAGE_NAMES}


def _parsed(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); give a file") from error
    if len(content) > MAX_BYTES:
        raise UsageError(f"{path}: larger than {MAX_BYTES} bytes; give a file of budgets")
    try:
        said: dict[str, object] = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not TOML ({error}); give a file of budgets") from error
    return said


def _budget(path: Path, name: str, said: object) -> Budget:
    units = ("ms", "share") if name in SHARED else ("ms",)
    keys = [f"{at}_{unit}" for at in _PERCENTILES for unit in units]
    if not isinstance(said, dict) or len(said) != 1 or next(iter(said)) not in keys:
        raise UsageError(f"{path}: {name} = {said!r}: give one of {', '.join(keys)}")
    key, value = next(iter(said.items()))
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value < math.inf:
        raise UsageError(f"{path}: {name}: {key} = {value!r}: give a number above 0")
    at, _, unit = key.partition("_")
    return Budget(at, float(value), unit == "share")
