"""What can be set about the sound."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ytm_device.settings.section import DayHours, Section, Text, Unit
from ytm_device.sound.sink import PERIODS
from ytm_device.sound.volume import SILENCE_DB, Volume

CEILING_DBFS = -1.0
"""No sample is louder, unless another ceiling is asked for."""
LOUDNESS_LUFS = -20.0
"""What the answers and the stills of every bundle are brought to, unless another loudness is asked
for: of one channel, ITU-R BS.1770."""


class SoundSettings(Section):
    """What is heard, and how loud."""

    pcm: Text = None
    """The sound card, as `aplay -L` names it; absent: the first one found."""
    volume_db: Annotated[float, Field(ge=SILENCE_DB, le=12), Unit("dB")] = Volume.master_db
    """Louder or softer; the least is silence."""
    night: DayHours = None
    """When it is night; holds only while the clock is known to be set. Absent: never."""
    night_volume_db: Annotated[float, Field(ge=SILENCE_DB, le=0), Unit("dB")] = Volume.night_db
    """Added to the volume at night."""
    loudness_lufs: Annotated[float, Field(ge=-60, le=0), Unit("LUFS")] = LOUDNESS_LUFS
    """How loud the answers and stills of any bundle are at volume 0, of one channel."""
    ceiling_dbfs: Annotated[float, Field(ge=-40, le=0), Unit("dB")] = CEILING_DBFS
    """No sample is louder; 0 is full scale."""
    strike: bool = True
    """A sudden movement strikes the sound anew."""
    periods: Annotated[int, Field(ge=2, le=64), Unit("periods")] = PERIODS
    """In the card's buffer: fewer are heard sooner, more forgive more."""

    @property
    def volume(self) -> Volume:
        """What is set about how loud it is."""
        return Volume(self.volume_db, self.night_volume_db, self.night)
