"""What can be typed after `ytm-mirror`, flag by flag, as its help says it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Verb = Annotated[
    str | None,
    typer.Argument(
        metavar="[reflect|sound|screen|ctl]",
        help="Run one service; without it, all three. ctl speaks to those that run: see"
        " ytm-mirror ctl --help.",
    ),
]
Camera = Annotated[
    str | None,
    typer.Option(
        metavar="DEVICE|FILE|demo",
        help="A camera by its path, a CSI camera as csi:0, a video file, played for ever, or the"
        " drawn visitor. Without it: the first camera found, else the drawn visitor.",
    ),
]
Engines = Annotated[
    str | None,
    typer.Option(
        metavar="auto|tensorrt|onnxruntime",
        help="What may run the graphs. auto: engines for this machine, else ONNX Runtime.",
    ),
]
Bundle = Annotated[
    Path | None,
    typer.Option(help="A bundle, folder or .ytm. Without it: the installed one, else a demo."),
]
Record = Annotated[
    Path | None,
    typer.Option(
        metavar="OUT.mp4",
        help="Render what a file or the drawn visitor would cause; never with a camera.",
    ),
]
Seconds = Annotated[float | None, typer.Option(help="Stop after so long.")]
Headless = Annotated[
    bool, typer.Option("--headless", help="Want neither screen nor sound card; to measure.")
]
Pcm = Annotated[
    str | None, typer.Option(metavar="NAME", help="The sound card, as `aplay -L` names it.")
]
VolumeDb = Annotated[
    float | None, typer.Option(metavar="DB", help="Louder or softer, from -60 (silence) to 12.")
]
Night = Annotated[
    str | None,
    typer.Option(
        metavar="HH:MM-HH:MM",
        help="When it is night; holds only while the clock is known to be set.",
    ),
]
NightVolumeDb = Annotated[
    float | None,
    typer.Option(metavar="DB", help="Added to the volume at night, from -60 to 0."),
]
LoudnessLufs = Annotated[
    float | None, typer.Option(metavar="LUFS", help="How loud any bundle is at volume 0.")
]
CeilingDbfs = Annotated[
    float | None, typer.Option(metavar="DB", help="No sample is louder; 0 is full scale.")
]
Strike = Annotated[
    bool | None,
    typer.Option("--strike/--no-strike", help="A sudden movement strikes the sound anew."),
]
Periods = Annotated[
    int | None,
    typer.Option(help="Periods in the card's buffer: fewer answer sooner, more forgive more."),
]
Window = Annotated[
    bool | None, typer.Option("--window", help="A window instead of the whole screen.")
]
Rotation = Annotated[
    int | None,
    typer.Option(metavar="DEGREES", help="Turn the picture clockwise: 0, 90, 180 or 270."),
]
Settings = Annotated[Path, typer.Option(metavar="FILE", help="The settings; flags are over them.")]
Data = Annotated[
    Path,
    typer.Option(
        metavar="DIR",
        help="What lasts: mirror.toml, which is over the settings, and the installed bundle.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the figures at the end as JSON.")]
RunDir = Annotated[
    Path | None, typer.Option(help="Where services that are started one by one meet.")
]
WithParent = Annotated[bool, typer.Option("--with-parent", hidden=True)]
