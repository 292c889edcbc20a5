"""A run or a bundle, and a dataset, become a report."""

from __future__ import annotations

from pathlib import Path

from ytm_device.console import say
from ytm_training.evaluation.evidence import gather
from ytm_training.evaluation.measure import measure
from ytm_training.evaluation.mind import open_mind
from ytm_training.evaluation.report import Report, check_out
from ytm_training.evaluation.rows import load_pool


def evaluate(
    path: Path,
    dataset: Path,
    out: Path,
    limit: int,
    seed: int,
    *,
    trust: bool = False,
    threads: int = 1,
) -> Report:
    """Measure the run or bundle at `path` on what it did not learn from, and write the report.

    Args:
        path: a folder of ytm-train, or a bundle.
        dataset: a folder of ytm-collect.
        out: the report's folder, made or replaced.
        limit: at most so many segments are measured.
        seed: of the segments drawn, shuffles and intervals.
        trust: go on though the mirror does not say what it learned from.
        threads: CPU threads to compute with.

    Raises:
        UsageError: something else than a report is at `out`.
        EvaluationError: there is nothing to measure on, or the report cannot be written.
        YtmError: the mirror or the dataset cannot be read.
    """
    check_out(out)
    with open_mind(path, threads) as mind:
        pool = load_pool(dataset, mind, limit, seed, trust)
        if pool.refused:
            say(f"{pool.refused} segments refused: {mind.name} learned from their videos")
        if mind.learned is None:
            say(f"{mind.name}: does not say what it learned from; trusted as asked")
        say(f"measuring on {len(pool.unseen)} of {pool.found} segments not learned from")
        evidence = gather(mind, pool, seed)
        report = Report(evidence, dataset.name, measure(evidence, say))
        report.write(out)
    return report
