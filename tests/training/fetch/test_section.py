"""Seconds of a video, read in pieces: the right ones, and picture and sound in step."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from ytm_training.collect.extract import extract_section, first_starts_s
from ytm_training.collect.sidecar import Facts
from ytm_training.dataset import Settings
from ytm_training.fetch.connection import Piece
from ytm_training.fetch.faults import FetchError
from ytm_training.fetch.fetching import windows
from ytm_training.fetch.ranged import PIECE_BYTES, Allowance, RangedFile
from ytm_training.fetch.remote import ORIGIN_S, open_remote
from ytm_training.fetch.section import Section
from ytm_training.media import open_video

RATE_HZ, FPS = 48000, 25
REAL = Path(__file__).parents[3].parent / "shared" / "data" / "videos"


class Elsewhere:
    """A file on a server, and how much of it was read."""

    def __init__(self, path: Path) -> None:
        self.data = path.read_bytes()
        self.allowance = Allowance(time.monotonic() + 600)
        self.file = RangedFile(self._piece, self.allowance)

    def _piece(self, begin: int, length: int) -> Piece:
        return Piece(self.data[begin : begin + length], len(self.data), whole=False)


def section(paths: list[Path], out: Path, source: str, settings: Settings) -> Section:
    """What fetching writes, from files that play a server's part."""
    with open_remote([Elsewhere(path).file for path in paths]) as remote:
        remote.check()
        assert remote.in_pieces()
        extent = remote.extent()
        remote.copy(windows(first_starts_s(extent, source, settings)), out)
    return Section(out, ORIGIN_S, extent, None, None, None, 0)


def flashing(at_s: float) -> Callable[[float], np.ndarray]:
    """Black, and white for a fifth of a second from a moment on; noise keeps the file large."""
    noise = np.random.default_rng(0).integers(0, 30, (48, 64, 3)).astype(np.uint8)

    def picture(t_s: float) -> np.ndarray:
        lit = at_s - 1e-6 <= t_s < at_s + 0.2
        return np.roll(noise, round(t_s * FPS), 1) + (np.uint8(200) if lit else np.uint8(0))

    return picture


def beeping(at_s: float, seconds: float) -> np.ndarray:
    """Nearly silent, and 2 kHz for a fifth of a second from a moment on."""
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    on = (time_s >= at_s) & (time_s < at_s + 0.2)
    hiss = np.random.default_rng(0).standard_normal(len(time_s)) * 0.002
    return (hiss + 0.5 * on * np.sin(2 * np.pi * 2000 * time_s)).astype(np.float32)


def moments(path: Path, origin_s: float | None, about_s: float) -> tuple[float, float]:
    """When the flash begins and when the beep begins, by the file, near a moment."""
    with open_video(path, origin_s) as video:
        sound = np.abs(video.sound(about_s - 0.5, 1.0, RATE_HZ))
    beep_s = about_s - 0.5 + float(np.argmax(sound > 0.1)) / RATE_HZ
    with open_video(path, origin_s) as video:
        flash_s = next(time_s for time_s, picture in video.frames() if picture.mean() > 100)
    return flash_s, beep_s


FORMS = {
    "mp4": ("film.mp4", {}),
    "mp4 in fragments": ("film.mp4", {"movflags": "frag_keyframe+empty_moov+default_base_moof"}),
    "mp4 as for DASH": ("film.mp4", {"movflags": "dash+global_sidx+frag_keyframe"}),
    "header last": ("film.mov", {}),
    "matroska": ("film.mkv", {}),
    "webm": ("film.webm", {}),
}


def remuxed(path: Path, out: Path, options: dict[str, str], only: str | None = None) -> Path:
    """The same packets in another form; `only` keeps the picture or the sound."""
    with av.open(str(path)) as film, av.open(str(out), "w", options=options) as copy:
        kept = [stream for stream in film.streams if only in (None, stream.type)]
        copies = {stream.index: copy.add_stream_from_template(stream) for stream in kept}
        for packet in film.demux(kept):
            if packet.dts is not None:
                packet.stream = copies[packet.stream_index]
                copy.mux(packet)
    return out


@pytest.fixture(scope="module")
def flash(tmp_path_factory, video_maker) -> Callable[[str], Path]:
    """Half a minute, with a flash and a beep at 21.48 s, in a form."""
    folder = tmp_path_factory.mktemp("flash")
    coded = {
        "h264": video_maker(
            folder / "h264.mp4", 30.0, flashing(21.48), beeping(21.48, 30.0), gop=60
        ),
        "vp8": video_maker(
            *(folder / "vp8.webm", 30.0, flashing(21.48), beeping(21.48, 30.0)),
            codec="libvpx",
            sound_codec="libopus",
            gop=60,
        ),
    }

    def make(form: str) -> Path:
        name, options = FORMS[form]
        path = coded["vp8" if form == "webm" else "h264"]
        (folder / form).mkdir(exist_ok=True)
        return remuxed(path, folder / form / name, options)

    return make


@pytest.mark.parametrize("form", FORMS)
def test_a_flash_and_a_beep_stay_together_and_where_they_were(flash, form, tmp_path) -> None:
    path, out = flash(form), tmp_path / "section.mkv"
    elsewhere = Elsewhere(path)
    with open_remote([elsewhere.file]) as remote:
        assert remote.in_pieces()
        remote.copy([(19.6, 23.4)], out)
    whole, cut = moments(path, None, 21.48), moments(out, ORIGIN_S, 21.48)
    assert cut[0] == pytest.approx(cut[1], abs=0.01)
    # Where an encoder's lead-in of 21 ms counts, it does so in the whole video as well.
    assert cut == pytest.approx(whole, abs=0.01)
    assert cut[1] == pytest.approx(21.48, abs=0.03)
    assert elsewhere.allowance.bytes_read <= len(elsewhere.data)
    with open_video(out, ORIGIN_S) as video, av.open(str(out)) as container:
        assert container.start_time / av.time_base > ORIGIN_S + 15
        assert video.has_sound


def test_picture_and_sound_from_files_of_their_own_stay_together(flash, tmp_path) -> None:
    path = flash("mp4 as for DASH")
    parts = [remuxed(path, tmp_path / f"{kind}.mp4", {}, kind) for kind in ("video", "audio")]
    out = tmp_path / "section.mkv"
    with open_remote([Elsewhere(part).file for part in parts]) as remote:
        remote.copy([(19.6, 23.4)], out)
    flash_s, beep_s = moments(out, ORIGIN_S, 21.48)
    assert flash_s == pytest.approx(beep_s, abs=0.01)
    assert beep_s == pytest.approx(21.48, abs=0.03)


def assert_same_segments(path: Path, tmp_path: Path, source: str, settings: Settings) -> None:
    """What comes of a part is what comes of the whole; both by the length that its header says."""
    fetched = section([path], tmp_path / "part.mkv", source, settings)
    part = extract_section(fetched, source, Facts(), settings)
    there = replace(fetched, path=path, origin_s=None)
    whole = extract_section(there, source, Facts(), settings)
    assert len(part.segments) == settings.per_video
    assert [one.segment_id for one in part.segments] == [one.segment_id for one in whole.segments]
    for one, other in zip(part.segments, whole.segments, strict=True):
        assert one.onset_s == pytest.approx(other.onset_s, abs=0.011)
        assert one.image.shape == other.image.shape
        ours, theirs = (np.abs(np.fft.rfft(each.sound)) for each in (one, other))
        assert np.corrcoef(ours, theirs)[0, 1] > 0.99
        if one.onset_s == other.onset_s:
            assert np.abs(one.image.astype(int) - other.image).mean() < 8


@pytest.mark.parametrize("count", [1, 5])
def test_the_seconds_are_those_that_a_whole_file_gives(flash, count, tmp_path) -> None:
    assert_same_segments(flash("mp4"), tmp_path, "film", Settings(count, 3, RATE_HZ))


def test_real_videos_give_the_seconds_that_their_files_give(tmp_path) -> None:
    if not REAL.is_dir():
        pytest.skip(f"needs the videos in {REAL}, which a clone does not have")
    for name in ("blender_tears_of_steel_battle.webm", "vas_cough.mp4", "lego_robot.mov"):
        assert_same_segments(REAL / name, tmp_path, name, Settings(2, 0, RATE_HZ))


def test_what_cannot_be_read_in_pieces_is_said_to_be_so(tmp_path, video_maker) -> None:
    path = video_maker(tmp_path / "film.avi", 2.0, codec="mpeg4", sound_codec="mp3")
    with open_remote([Elsewhere(path).file]) as remote:
        assert not remote.in_pieces()


def test_what_has_no_sound_is_said_to_be_so(tmp_path, video_maker) -> None:
    path = video_maker(tmp_path / "film.mp4", 2.0, silent=True)
    with open_remote([Elsewhere(path).file]) as remote, pytest.raises(FetchError, match="no sound"):
        remote.check()


def test_windows_that_touch_are_one() -> None:
    assert windows([0.5]) == [(0.0, 3.5)]
    assert windows([10.0, 12.0, 40.0]) == [(8.0, 15.0), (38.0, 43.0)]


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"", "not a video"),
        (b"text " * 10_000, "not a video"),
        (b"\0\0\0\x18ftypmp42" + bytes(5000), "broken"),
    ],
)
def test_noise_is_no_video(head, reason, tmp_path) -> None:
    path = tmp_path / "noise.mp4"
    path.write_bytes(head)
    with pytest.raises(FetchError, match=reason), open_remote([Elsewhere(path).file]):
        pass


def test_a_fault_under_ffmpegs_hands_is_the_fault_that_is_raised(flash, tmp_path) -> None:
    data = flash("mp4").read_bytes()

    def read(begin: int, length: int) -> Piece:
        if begin >= PIECE_BYTES:
            raise FetchError("too many requests", "limited", 7.0)
        return Piece(data[begin : begin + length], len(data), whole=False)

    file = RangedFile(read, Allowance(time.monotonic() + 600))
    with pytest.raises(FetchError, match="too many requests") as caught, open_remote([file]) as far:
        far.copy([(19.6, 23.4)], tmp_path / "section.mkv")
    assert caught.value.retry_after_s == 7.0


def test_a_video_may_cost_so_much_and_no_more() -> None:
    def endless(begin: int, length: int) -> Piece:
        return Piece(bytes(length), 1 << 40, whole=False)

    file = RangedFile(endless, Allowance(time.monotonic() + 600, max_bytes=4 * PIECE_BYTES))
    for place in range(4):
        file.seek(place * PIECE_BYTES)
        assert file.read(1) == b"\0"
    file.seek(4 * PIECE_BYTES)
    with pytest.raises(FetchError, match="too large"):
        file.read(1)
    late = RangedFile(endless, Allowance(time.monotonic() + 600))
    late._allowance.ends_s = 0.0
    late.seek(PIECE_BYTES)
    with pytest.raises(FetchError, match="unreachable"):
        late.read(1)
