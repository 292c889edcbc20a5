"""Does an independent judge put what was made into the class of what it was made from?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ytm_device.reflecting.mixture import bent
from ytm_training.evaluation.evidence import Evidence
from ytm_training.evaluation.figure import Estimate, Figure
from ytm_training.evaluation.folds import Fold
from ytm_training.evaluation.intervals import Resampling, spread
from ytm_training.evaluation.probe import Probe, train_probe
from ytm_training.evaluation.rows import Indices

Doubles = npt.NDArray[np.float64]
Values = npt.NDArray[np.generic]

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of the other sense, in a mixture."""
_STEPS, _LEAST_STEPS = 2000, 400
"""Steps that a judge is trained for: all folds together, and each at least."""
_SHUFFLES = 100
_JUDGED = (
    "share of rows that a small network, trained on real known material alone, puts into their true"
    " class; every class counts alike"
)


@dataclass(frozen=True)
class Judgement:
    """Rows measured that have one of the classes, and who judges them."""

    names: tuple[str, ...]
    rows: Indices
    """(j,) among the n rows measured."""
    classes: Indices
    """(j,) their classes."""
    resampling: Resampling
    judges: tuple[tuple[Fold, Probe, Probe], ...]
    """Of pictures and of sounds, for the rows of each fold."""
    unseen: Indices

    def agreement(self, judged: Indices) -> Estimate:
        """Share of judgements, (j,), that are right."""
        return self.share(judged == self.classes, self.classes)

    def share(self, right: npt.NDArray[np.bool_], classes: Indices) -> Estimate:
        """Mean of what is right, (j,), each of `classes`, (j,), counting alike."""
        weights = 1 / np.bincount(classes, minlength=len(self.names))[classes]
        return self.resampling.ratio(right * weights, weights)

    def pictures(self, values: Values) -> Indices:
        """What the judge of pictures says of (j, h, w, 3)."""
        return self._judged(values, lambda judge: judge[1])

    def sounds(self, values: Values) -> Indices:
        """What the judge of sounds says of (j, n_mels, frames)."""
        return self._judged(values, lambda judge: judge[2])

    def _judged(
        self, values: Values, choose: Callable[[tuple[Fold, Probe, Probe]], Probe]
    ) -> Indices:
        judged = np.zeros(len(self.rows), np.int64)
        for judge in self.judges:
            mine = np.isin(self.unseen[self.rows], judge[0].apply)
            judged[mine] = choose(judge).classes(values[mine])
        return judged


def judgement(evidence: Evidence) -> Judgement | None:
    """Train the judges; None if there are not two classes that can be judged."""
    rows, folds, unseen = evidence.pool.rows, evidence.folds, evidence.pool.unseen
    names = _classes(evidence)
    if len(names) < 2:
        return None
    number = {name: index for index, name in enumerate(names)}
    every = np.array([number.get(category, -1) for category in rows.categories])
    judges, steps = [], max(_LEAST_STEPS, _STEPS // len(folds.folds))
    for fold in folds.folds:
        fit = fold.fit[every[fold.fit] >= 0]
        pictures, sounds = (
            train_probe(values[fit], every[fit], rows.sources[fit], steps, evidence.seed)
            for values in (rows.images, rows.mels)
        )
        judges.append((fold, pictures, sounds))
    measured = np.flatnonzero(every[unseen] >= 0)
    return Judgement(
        names=names,
        rows=measured,
        classes=every[unseen][measured],
        resampling=Resampling(rows.sources[unseen][measured], evidence.seed),
        judges=tuple(judges),
        unseen=unseen,
    )


def _classes(evidence: Evidence) -> tuple[str, ...]:
    """Categories of rows measured that whatever is fitted has seen, too."""
    rows, unseen = evidence.pool.rows, evidence.pool.unseen
    wanted = {category for category in rows.categories[unseen] if category is not None}
    for fold in evidence.folds.folds:
        wanted &= set(rows.categories[fold.fit])
    return tuple(sorted(wanted)) if evidence.folds.folds else ()


def class_figures(evidence: Evidence) -> Iterator[Figure]:
    """Agreement of what was made with the class of its origin; nothing without classes."""
    judge = judgement(evidence)
    if judge is None:
        return
    answers, true = evidence.answers, evidence.true
    senses = (
        ("sound", judge.sounds, true.mels, answers.rebuilt_mels, answers.made_mels),
        ("picture", judge.pictures, true.images, answers.rebuilt_pictures, answers.made_pictures),
    )
    for sense, ask, real, rebuilt, made in senses:
        found = ask(made[judge.rows])
        other = "picture" if sense == "sound" else "sound"
        yield Figure(
            key=f"classes.{sense}_made",
            title=f"made {sense}s judged as their {other}'s class",
            definition=f"{_JUDGED}. {len(judge.names)} classes: {', '.join(judge.names)}. `real`"
            " and `rebuilt` are the judge on real material not seen before, and as remembered",
            unit="share",
            found=judge.agreement(found),
            count=len(judge.rows),
            beside={
                "chance": Estimate(1 / len(judge.names)),
                "shuffled": _shuffled(judge, found, evidence.seed),
                "average": judge.agreement(_constant(judge, ask, evidence, sense)),
                "rebuilt": judge.agreement(ask(rebuilt[judge.rows])),
                "real": judge.agreement(ask(real[judge.rows])),
            },
        )
    yield from _mixtures(evidence, judge)


def _constant(
    judge: Judgement, ask: Callable[[Values], Indices], evidence: Evidence, sense: str
) -> Indices:
    """What is said of the average picture or sound, asked for every row."""
    reference = evidence.reference
    mean: Values = (
        reference.mels.mean(0)
        if sense == "sound"
        else np.rint(reference.images.mean(0)).astype(np.uint8)
    )
    return ask(np.broadcast_to(mean, (len(judge.rows), *mean.shape)).copy())


def _shuffled(judge: Judgement, judged: Indices, seed: int) -> Estimate:
    random = np.random.default_rng(seed)
    weights = 1 / np.bincount(judge.classes)[judge.classes]
    return spread(
        np.array(
            [
                np.average(random.permutation(judged) == judge.classes, weights=weights)
                for _ in range(_SHUFFLES)
            ]
        )
    )


def partners(classes: Indices, seed: int) -> Indices:
    """For each row another one of another class, as far as there are enough: (j,) -> (j,)."""
    order = np.random.default_rng(seed).permutation(len(classes))
    order = order[np.argsort(classes[order], kind="stable")]
    paired = np.empty_like(order)
    paired[order] = np.roll(order, -int(np.bincount(classes).max()))
    return paired


def _mixtures(evidence: Evidence, judge: Judgement) -> Iterator[Figure]:
    partner = partners(judge.classes, evidence.seed)
    differ = judge.classes[partner] != judge.classes
    own = evidence.answers.seen[judge.unseen][judge.rows]
    other = evidence.answers.imagined_pictures[judge.rows][partner]
    for share in SHARES:
        judged = judge.pictures(evidence.mind.picture(bent(own, other, share)))
        for sense, wanted in (("picture", judge.classes), ("sound", judge.classes[partner])):
            right = np.where(differ, judged == wanted, np.nan)
            yield Figure(
                key=f"mixture.{round(100 * share)}_as_{sense}",
                title=f"{share:.0%} sound in the picture: judged as the {sense}'s class",
                definition="share of pictures decoded from (1 - w) times the picture's own latent"
                " plus w times that of a sound of another class, which the judge puts into that"
                f" class; w is {share:g}",
                unit="share",
                found=judge.resampling.mean(right),
                count=int(differ.sum()),
                beside={"chance": Estimate(1 / len(judge.names))},
                wanted="neither",
            )
