"""`listen.md`: what a bundle shows and plays, in words, pictures and links to sounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ytm_build.pictures.showing import HELD_FOR_S, JUMP_S, VISIT_S, ShownScene, ShownStill
from ytm_build.pictures.sounds import HEARD_S
from ytm_build.pictures.unseen import SEED, Clip
from ytm_bundle.bundle import Bundle


@dataclass(frozen=True)
class Shown:
    """All that the page shows."""

    stills: Sequence[ShownStill]
    scenes: Sequence[ShownScene]
    clips: Sequence[Clip]


def page(bundle: Bundle, shown: Shown) -> str:
    """The text of the page: Markdown."""
    parts = [
        _head(bundle),
        _running(len(shown.scenes)),
        _scenes(shown.scenes),
        _stills(shown.stills),
    ]
    return "\n".join([*parts, _clips(shown.clips)] if shown.clips else parts)


def _head(bundle: Bundle) -> str:
    manifest, sound = bundle.manifest, bundle.manifest.sound
    return f"""# Listen

What a bundle shows and plays. `make pictures` made this page and all it links from the bundle
alone; do not edit it, run that again.

| bundle | preset | id |
|---|---|---|
| {manifest.name} | `{manifest.preset}` | `{bundle.id}` |

A link leads to a sound in Ogg Opus, which browsers play. Spectrograms show up to a second from left
to right, low sounds at the bottom, loud ones bright, all on one scale of
{sound.ceiling_db - sound.floor_db:g} dB. Nothing was chosen for being good: scenes are the first
of each kind, stills and moments lie evenly apart. Pictures are as the camera sees them; the
mirror's screen flips them.

The mirror keeps {manifest.latent_size} numbers of a picture and as many of a second of sound. So
what it *remembers* of a sound is blurred in time and pitch, and what it *answers* to a picture is a
guess at such numbers from others: a sound of the kind that went with such pictures, not a
recording. Each is played in a loop, which is heard as a pulse.
"""


def _running(scenes: int) -> str:
    seconds = VISIT_S[1] - VISIT_S[0]
    rows = _table(
        ("sound", "what happens"),
        (
            f"[The drawn visitor](sounds/visitor.ogg), {seconds:g} s",
            "stands, waves, comes near, raises both arms and steps back; what changes in the sound"
            " changes with the picture",
        ),
        (
            f"[Held](sounds/held.ogg), {HELD_FOR_S:g} s",
            "what the mirror plays while the visitor does not move",
        ),
        (
            f"[Jumps](sounds/jumps.ogg), {scenes * JUMP_S:g} s",
            f"the {scenes} scenes below, {JUMP_S:g} s each; where the picture is suddenly another,"
            " the sound is struck anew",
        ),
    )
    return f"""## As it runs

The sound follows the newest picture, thirty times a second.

{rows}

![The drawn visitor, the mirror's pictures below, and its sounds below those](pictures/visitor.png)
"""


def _scenes(scenes: Sequence[ShownScene]) -> str:
    rows = _table(
        ("scene", "true", "remembered", "the mirror's answer"),
        *(_scene_row(shown) for shown in scenes),
    )
    count, nearest = len(scenes), sum(shown.answered_db < min(shown.other_db) for shown in scenes)
    return f"""## Scenes that it has not learned from

The project draws and sounds them (seed {SEED}): the higher, the higher the pitch; the larger, the
louder; each thing has its own timbre. Side by side: the scene, the mirror's picture, and the
spectrograms of the true sound, of that as remembered, and of the mirror's answer. Each sound lasts
{HEARD_S:g} s: the true one as it was made, the others in a loop. In brackets the distance from the
true sound: root mean square over the spectrogram, in dB.

{rows}

Nearer to the true sound of its own scene than to that of any other: {nearest} of {count} answers.
If answers had nothing to do with the picture, it would be about one.

![The scenes, and what the mirror makes of them](pictures/scenes.png)

The same at a glance, from above: the scenes, the mirror's pictures, the true sounds, the mirror's
answers, and at the bottom the pictures that it imagines from the true sounds alone.
"""


def _scene_row(shown: ShownScene) -> tuple[str, ...]:
    return (
        f"{_strip(shown.name)}<br>{shown.scene.category}",
        _link(shown.name, "true"),
        f"{_link(shown.name, 'remembered')} ({shown.remembered_db:.1f})",
        f"{_link(shown.name, 'answer')} ({shown.answered_db:.1f})",
    )


def _stills(stills: Sequence[ShownStill]) -> str:
    rows = _table(
        ("still", "remembered", "the mirror's answer"),
        *(
            (_strip(shown.name), _link(shown.name, "remembered"), _link(shown.name, "answer"))
            for shown in stills
        ),
    )
    return f"""## Stills of the replay

It has learned from these ([credits](credits.md)). Side by side: the picture, the mirror's, and the
spectrograms of the picture's own sound as remembered and of the mirror's answer.

{rows}

More of them, above what the mirror makes of them:

![Stills, and below each the mirror's picture](pictures/stills.png)
"""


def _clips(clips: Sequence[Clip]) -> str:
    rows = _table(
        ("from left to right", "what", "rights", "found in"),
        *(
            (clip.name, *(fact or "" for fact in (clip.title, clip.licence, clip.origin)))
            for clip in clips
        ),
    )
    return f"""## Open recordings that it has not learned from

Of each ([credits](credits.md)) the picture that is least like its others, the mirror's below it,
and its sound below that.

![Recordings, the mirror's pictures below, and its sounds below those](pictures/clips.png)

{rows}
"""


def _table(*rows: tuple[str, ...]) -> str:
    """A Markdown table, its first row the head."""
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def _strip(name: str) -> str:
    return f"![{name}](pictures/listen/{name}.png)"


def _link(name: str, kind: str) -> str:
    return f"[{kind}](sounds/{name}-{kind}.ogg)"
