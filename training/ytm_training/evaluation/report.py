"""A report on disk: `figures.json` and `index.html`, written whole or not at all."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ytm_bundle.errors import EvaluationError, UsageError
from ytm_bundle.files import replacing_folder
from ytm_training.evaluation.evidence import Evidence
from ytm_training.evaluation.figure import Figure
from ytm_training.evaluation.page import page

FIGURES_NAME = "figures.json"
PAGE_NAME = "index.html"
_FORMAT = 1
_PACKAGES = ("youtube-mirror", "numpy", "scipy", "torch", "onnxruntime")


@dataclass(frozen=True)
class Report:
    """What was measured, on what, and what came of it."""

    evidence: Evidence
    dataset: str
    """Its name, for people."""
    figures: Sequence[Figure]

    def as_json(self) -> dict[str, Any]:
        """What `figures.json` holds."""
        pool, mind = self.evidence.pool, self.evidence.mind
        return {
            "format": _FORMAT,
            "measured": mind.name,
            "backend": mind.backend,
            "dataset": self.dataset,
            "rows": len(pool.unseen),
            "sources": len(set(pool.rows.sources[pool.unseen])),
            "rows_not_learned_from": pool.found,
            "rows_refused": pool.refused,
            "marks_known": mind.learned is not None,
            "seed": self.evidence.seed,
            "intervals": "95 %, percentiles of the bootstrap over "
            + self.evidence.resampling().unit,
            "compared_with_what_was_fitted": f"on {self.evidence.folds.described}",
            "versions": {
                "python": platform.python_version(),
                **{package: version(package) for package in _PACKAGES},
            },
            "figures": {figure.key: figure.as_json() for figure in self.figures},
        }

    def write(self, out: Path) -> None:
        """Write the report to the folder `out`; an older report there is replaced at the end.

        Raises:
            EvaluationError: it cannot be written.
        """
        stated = self.as_json()
        html = page(self.evidence, stated, self.figures)
        try:
            with replacing_folder(out) as folder:
                text = json.dumps(stated, indent=1, ensure_ascii=False, allow_nan=False)
                (folder / FIGURES_NAME).write_text(f"{text}\n", encoding="utf-8")
                (folder / PAGE_NAME).write_text(html, encoding="utf-8")
        except OSError as error:
            raise EvaluationError(
                f"{out}: cannot be written ({error}); make room, run again"
            ) from error


def check_out(out: Path) -> None:
    """Check, before hours of work, that a report can be written to `out`.

    Raises:
        UsageError: something else is there, or the folder around it cannot be written to.
    """
    is_empty = out.is_dir() and not any(out.iterdir())
    if out.exists() and not is_empty and not (out / FIGURES_NAME).is_file():
        raise UsageError(f"--out {out}: is there and is not a report; give another")
    around = next(parent for parent in out.absolute().parents if parent.exists())
    if not around.is_dir() or not os.access(around, os.W_OK):
        raise UsageError(f"--out {out}: {around} cannot be written to; give another")
