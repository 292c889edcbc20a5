"""What can be set about the sound, checked."""

from __future__ import annotations

from dataclasses import dataclass, field

from ytm_bundle.errors import UsageError
from ytm_device.sound.sink import PERIODS
from ytm_device.sound.volume import Volume

CEILING_DBFS = -1.0
"""No sample is louder, unless another ceiling is asked for."""
LOUDNESS_LUFS = -20.0
"""What the answers and the stills of every bundle are brought to, unless another loudness is asked
for: of one channel, ITU-R BS.1770."""
MAX_PERIODS = 64


@dataclass(frozen=True)
class SoundSettings:
    """Fails when it is made if a value is out of range."""

    volume: Volume = field(default_factory=Volume)
    loudness_lufs: float = LOUDNESS_LUFS
    """LUFS of one channel, from -60 to 0: how loud the answers and the stills of any bundle are at
    0 dB."""
    ceiling_dbfs: float = CEILING_DBFS
    """dB below full scale, from -40 to 0: no sample is louder."""
    strike: bool = True
    """A sudden change of the picture strikes the sound anew."""
    periods: int = PERIODS
    """Periods in the card's buffer, from 2 to `MAX_PERIODS`: fewer are heard sooner, more forgive
    more."""

    def __post_init__(self) -> None:
        if self.volume.night is None and self.volume.night_db != Volume.night_db:
            raise UsageError("--night-volume-db: means nothing without --night; give both")
        _check("--loudness-lufs", self.loudness_lufs, -60, 0, "LUFS")
        _check("--ceiling-dbfs", self.ceiling_dbfs, -40, 0, "dB")
        _check("--periods", self.periods, 2, MAX_PERIODS, "periods")

    def arguments(self) -> list[str]:
        """The flags of `ytm-mirror`, with values, that say what is not the default."""
        default, volume = SoundSettings, self.volume
        stated = {
            "--volume-db": (volume.master_db, Volume.master_db),
            "--night": (volume.night, Volume.night),
            "--night-volume-db": (volume.night_db, Volume.night_db),
            "--loudness-lufs": (self.loudness_lufs, default.loudness_lufs),
            "--ceiling-dbfs": (self.ceiling_dbfs, default.ceiling_dbfs),
            "--periods": (self.periods, default.periods),
        }
        found = [f"{flag}={value}" for flag, (value, usual) in stated.items() if value != usual]
        return found if self.strike else [*found, "--no-strike"]

    def flags(self) -> list[str]:
        """The same without values."""
        return [argument.split("=")[0] for argument in self.arguments()]


def _check(flag: str, value: float, least: float, most: float, unit: str) -> None:
    if not least <= value <= most:
        raise UsageError(f"{flag} {value:g}: give {unit} from {least:g} to {most:g}")
