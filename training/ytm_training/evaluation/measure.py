"""All figures of a mind on a dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ytm_training.evaluation.association import association_figures
from ytm_training.evaluation.attributes import attribute_figures
from ytm_training.evaluation.classes import class_figures
from ytm_training.evaluation.distinctness import distinctness_figures
from ytm_training.evaluation.evidence import Evidence
from ytm_training.evaluation.fidelity import fidelity_figures
from ytm_training.evaluation.figure import Figure
from ytm_training.evaluation.frechet import frechet_figures

GROUPS: dict[str, Callable[[Evidence], Iterator[Figure]]] = {
    "association": association_figures,
    "classes": class_figures,
    "distinctness": distinctness_figures,
    "attributes": attribute_figures,
    "distributions": frechet_figures,
    "fidelity": fidelity_figures,
}


def measure(evidence: Evidence, tell: Callable[[str], None]) -> list[Figure]:
    """Compute every figure; `tell` is called with each group's name as it begins."""
    figures = []
    for name, compute in GROUPS.items():
        tell(name)
        figures += list(compute(evidence))
    return figures
