"""Whether a mind gives what the bundle says it must, before anything of it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ytm_bundle.bundle import Bundle, Golden
from ytm_bundle.errors import AnswerError
from ytm_bundle.manifest import GraphName
from ytm_device.engines.engine import Tensor
from ytm_device.engines.mind import ANSWERING, Graphs


@dataclass(frozen=True)
class Expected:
    """What one graph must give."""

    golden: Golden
    tolerance: float
    """Largest relative L2 distance from it."""


def expected_of(bundle: Bundle) -> dict[GraphName, Expected]:
    """What the graphs that answer a picture must give.

    Raises:
        BundleError: the golden vectors cannot be read.
    """
    graphs = bundle.manifest.graphs
    return {name: Expected(bundle.golden(name), graphs[name].tolerance) for name in ANSWERING}


def check_golden(mind: Graphs, expected: Mapping[GraphName, Expected]) -> None:
    """Ask each graph of `mind` what it must know.

    Raises:
        AnswerError: one is further off than it may be, or gives what is not finite.
        DeviceError: one cannot be run.
    """
    for name, each in expected.items():
        found = mind.run(name, **each.golden.inputs)
        error = distance(found, each.golden.output)
        # Also where it is not a number.
        if not error <= each.tolerance:
            raise AnswerError(
                f"{name}: off by {error:.2g} from the golden vectors; {each.tolerance:g} is allowed"
            )


def distance(found: Tensor, right: Tensor) -> float:
    """Relative L2 distance, over all elements; infinite for another shape."""
    if found.shape != right.shape:
        return float("inf")
    difference = np.linalg.norm((found - right).astype(np.float64))
    return float(difference / max(float(np.linalg.norm(right.astype(np.float64))), 1e-12))
