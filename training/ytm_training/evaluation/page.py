"""One self-contained page: what was found, and what it looks and sounds like."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Any

import numpy as np

from ytm_device.reflecting.mixture import bent
from ytm_training.evaluation.bars import bar
from ytm_training.evaluation.classes import SHARES
from ytm_training.evaluation.evidence import Evidence
from ytm_training.evaluation.figure import Figure
from ytm_training.evaluation.rows import Indices
from ytm_training.evaluation.shown import PLAYED_HZ, picture_uri, sound_uri, spectrogram_uri
from ytm_training.evaluation.table import GROUP_TITLES, interval, shown

EXAMPLES = 16
_MIXED = 4
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --found: #c2410c; --other: #4478c8 }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 78rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.5rem }
table { border-collapse: collapse; width: 100% }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .5rem; text-align: left;
  vertical-align: middle }
td.n { white-space: nowrap; font-variant-numeric: tabular-nums }
small { opacity: .75 } details { display: inline } summary { cursor: pointer }
img { width: 112px; height: 112px; image-rendering: auto; display: block }
audio { width: 130px; height: 28px; display: block; margin-top: 4px }
svg { width: 260px; height: 22px; display: block }
svg .range { stroke: var(--found); stroke-width: 6; opacity: .35 }
svg .found { fill: var(--found) } svg .other { stroke: var(--other); stroke-width: 2 }
svg .axis { stroke: var(--line) }
"""


def page(evidence: Evidence, stated: dict[str, Any], figures: Sequence[Figure]) -> str:
    """The report as HTML that needs no network.

    Args:
        evidence: where the examples come from.
        stated: what `figures.json` says.
        figures: what to tabulate.
    """
    title = f"{stated['measured']} on {stated['dataset']}"
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width'>",
        f"<title>{escape(title)}</title><style>{_STYLE}</style><h1>{escape(title)}</h1>",
        _about(stated),
        *_tables(figures),
        *_examples(evidence),
        *_mixtures(evidence),
    ]
    return "\n".join(parts) + "\n"


def _about(stated: dict[str, Any]) -> str:
    kept = f"{stated['rows']} of {stated['rows_not_learned_from']}"
    return (
        f"<p>Measured on {kept} segments of {stated['sources']} videos that it did not learn from"
        f"{'' if stated['marks_known'] else ' (as far as was trusted: it bears no marks)'};"
        f" {stated['rows_refused']} refused. Intervals: {escape(stated['intervals'])}. What is"
        f" compared with was fitted {escape(stated['compared_with_what_was_fitted'])}."
        f" {escape(stated['backend'])}, seed {stated['seed']}.</p>"
        "<p>The dot is what was found, the broad line its interval, thin lines what stands beside"
        " it: rest on one to read its name.</p>"
    )


def _tables(figures: Iterable[Figure]) -> Iterator[str]:
    for group, members in itertools.groupby(figures, lambda figure: figure.key.rpartition(".")[0]):
        first, _, space = group.partition(".")
        heading = GROUP_TITLES.get(first, first) + (f", compared as {space}s" if space else "")
        yield f"<h2>{escape(heading)}</h2><table><tr><th>figure<th>found<th>95 %<th><th>beside</tr>"
        yield from (_row(figure) for figure in members)
        yield "</table>"


def _row(figure: Figure) -> str:
    beside = ", ".join(
        f"{escape(name.replace('_', ' '))} {shown(estimate, figure.unit)}"
        for name, estimate in figure.beside.items()
    )
    return (
        f"<tr><td><details><summary>{escape(figure.title)}</summary><small>"
        f"{escape(figure.definition)} ({figure.count} rows)</small></details>"
        f"<td class=n><b>{shown(figure.found, figure.unit)}</b>"
        f"<td class=n>{interval(figure.found, figure.unit)}<td>{bar(figure)}"
        f"<td><small>{beside}</small></tr>"
    )


def chosen_rows(sources: np.ndarray, count: int, seed: int) -> Indices:
    """At most `count` rows, drawn by the seed, of as many sources as there are."""
    order = np.random.default_rng(seed).permutation(len(sources))
    seen: dict[str, int] = {}
    turns = []
    for row in order:
        turns.append(seen.setdefault(sources[row], 0))
        seen[sources[row]] += 1
    return np.asarray(order[np.argsort(turns, kind="stable")][:count])


def _examples(evidence: Evidence) -> Iterator[str]:
    true, answers, mind = evidence.true, evidence.answers, evidence.mind
    matrices = mind.matrices()
    yield (
        "<h2>examples</h2><p>Drawn at random, not chosen. Sounds as the mirror inverts them,"
        f" resampled to {PLAYED_HZ} Hz.</p><table><tr><th>segment<th>picture<th>remembered"
        "<th>made from its sound<th>sound<th>remembered<th>made from its picture</tr>"
    )
    for row in chosen_rows(true.sources, EXAMPLES, evidence.seed):
        name = escape(f"{true.segment_ids[row]}")
        category = escape(true.categories[row] or "")
        pictures = (
            true.images[row],
            answers.rebuilt_pictures[row],
            answers.made_pictures[row],
        )
        mels = (true.mels[row], answers.rebuilt_mels[row], answers.made_mels[row])
        yield f"<tr><td><small>{name}<br>{category}</small>"
        yield from (f"<td>{_picture(picture_uri(picture))}" for picture in pictures)
        for mel in mels:
            yield f"<td>{_picture(spectrogram_uri(mel))}"
            played = sound_uri(mel, mind.sound, matrices)
            yield f"<audio controls preload=none src='{played}'></audio>"
        yield "</tr>"
    yield "</table>"


def _mixtures(evidence: Evidence) -> Iterator[str]:
    true, answers = evidence.true, evidence.answers
    rows = chosen_rows(true.sources, 2 * _MIXED, evidence.seed)
    if len(rows) < 2:
        return
    heads = "".join(f"<th>{share:.0%} sound" for share in SHARES)
    yield (
        "<h2>mixtures</h2><p>Pictures bent by the sound of another segment.</p>"
        f"<table><tr><th>picture{heads}<th>the sound<th>its own picture</tr>"
    )
    own = answers.seen[evidence.pool.unseen]
    for row, other in zip(rows[: len(rows) // 2], rows[len(rows) // 2 :], strict=False):
        latents = np.stack([bent(own[row], answers.imagined_pictures[other], w) for w in SHARES])
        mixed = evidence.mind.picture(latents.astype(np.float32))
        cells = [
            picture_uri(true.images[row]),
            *(picture_uri(picture) for picture in mixed),
            spectrogram_uri(true.mels[other]),
            picture_uri(true.images[other]),
        ]
        yield f"<tr>{''.join(f'<td>{_picture(cell)}' for cell in cells)}</tr>"
    yield "</table>"


def _picture(uri: str) -> str:
    return f"<img alt='' src='{uri}'>"
