"""`python -m ytm_build.pictures`: a page, what it links, and the same each time."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from ytm_build.pictures import __main__ as pictures
from ytm_build.pictures import showing, tiles, unseen
from ytm_build.pictures.sounds import write_opus
from ytm_bundle.bundle import Bundle, open_bundle
from ytm_bundle.errors import BundleError

LINK = re.compile(r"\]\(((?:pictures|sounds)/[^)]+)\)")
COLUMNS = ("file", "category", "description", "rights_class", "repo", "content_licence_note")
CLIPS = {
    "wave.mp4": ("gesture", "somebody waves", "A"),
    "sign.mp4": ("gesture", "somebody makes a sign", "A"),
    "walk.mp4": ("walking", "somebody walks", "A"),
    "known.mp4": ("walking", "squares", "A"),
    "closed.mp4": ("walking", "somebody famous", "C"),
}


def write_clip(path: Path, rng: np.random.Generator) -> None:
    """A second of one colour with a white square at its end."""
    wall = rng.integers(0, 150, 3).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for index in range(31):
            picture = np.zeros((64, 64, 3), np.uint8) + wall
            if index >= 25:
                picture[16:48, 16:48] = 255
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of clips with `manifest.csv`."""
    folder, rng = tmp_path_factory.mktemp("clips"), np.random.default_rng(0)
    with (folder / "manifest.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for name, (category, description, rights) in CLIPS.items():
            write_clip(folder / name, rng)
            table.writerow([name, category, description, rights, "tests", "CC0"])
    return folder


@pytest.fixture(scope="module")
def bundle_path(built: tuple[Path, object]) -> Path:
    return built[0]


@pytest.fixture(scope="module")
def bundle(bundle_path: Path) -> Iterator[Bundle]:
    with open_bundle(bundle_path) as opened:
        yield opened


def run(*arguments: object) -> tuple[int, str]:
    """The command in this process, with moments in place of seconds: exit code and messages."""
    messages = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["pictures", *map(str, arguments)])
        patch.setattr(showing, "VISIT_S", (3.0, 3.5))
        patch.setattr(showing, "HELD_FOR_S", 0.3)
        patch.setattr(showing, "JUMP_S", 0.1)
        with redirect_stderr(messages):
            try:
                pictures.main()
            except SystemExit as ended:
                return int(ended.code or 0), messages.getvalue()
    return 0, messages.getvalue()


@pytest.fixture(scope="module")
def out(bundle_path: Path, clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command wrote, with clips."""
    folder = tmp_path_factory.mktemp("docs")
    flags = ("--videos", clips, "--manifest", clips / "manifest.csv")
    code, said = run("--bundle", bundle_path, "--out", folder, *flags)
    assert code == 0, said
    return folder


def links(folder: Path) -> set[str]:
    return set(LINK.findall((folder / "listen.md").read_text(encoding="utf-8")))


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_page_names_the_bundle_and_links_every_file_and_no_other(
    out: Path, bundle: Bundle
) -> None:
    text = (out / "listen.md").read_text(encoding="utf-8")
    assert f"| small | `continuous` | `{bundle.id}` |" in text
    assert links(out) == files(out).keys() - {"listen.md"}
    assert {"sounds/visitor.ogg", "sounds/held.ogg", "sounds/jumps.ogg"} < links(out)


def test_files_are_small_and_can_be_opened(out: Path) -> None:
    for link in links(out):
        assert (out / link).stat().st_size <= tiles.MAX_BYTES
        if link.endswith(".png"):
            with Image.open(out / link) as image:
                assert image.height >= 112
        else:
            with av.open(str(out / link)) as container:
                assert container.streams.audio[0].codec_context.name == "opus"


def test_open_clips_from_many_categories_are_shown_and_no_others(out: Path) -> None:
    rows = re.findall(r"^\| (\w+) \| .* \| CC0 \| tests \|$", (out / "listen.md").read_text(), re.M)
    assert rows == ["sign", "walk", "wave"]
    with Image.open(out / "pictures/clips.png") as image:
        first = np.asarray(image.convert("RGB"))[:112, :112]
    assert first[56, 56].min() > 230  # the square is what that clip is shown for
    assert first[4, 4].max() < 170


def test_again_without_clips_all_else_is_the_same_and_their_sheet_is_gone(
    out: Path, bundle_path: Path, tmp_path: Path
) -> None:
    before = files(out)
    for name, data in before.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path / "pictures/own.png").write_bytes(b"somebody else's")
    code, said = run("--bundle", bundle_path, "--out", tmp_path)
    assert code == 0, said
    after = files(tmp_path)
    assert before.keys() - after.keys() == {"pictures/clips.png"}
    assert after.keys() - before.keys() == {"pictures/own.png"}
    assert {name for name in before.keys() & after.keys() if before[name] != after[name]} == {
        "listen.md"
    }


def test_scenes_are_of_every_kind_and_heard(bundle: Bundle) -> None:
    scenes = unseen.unseen_scenes(bundle)
    assert [each.scene.category for each in scenes] == list(unseen.KINDS)
    assert {each.scene.seed for each in scenes} == {unseen.SEED} != {unseen.LEARNED_SEED}
    assert all(each.mel.max() > 0 for each in scenes)


def test_a_scene_that_was_learned_is_not_shown_as_unseen(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = unseen.unseen_scenes(bundle)[0].scene
    mark = unseen._mark_of(unseen.file_name(scene))
    learned = bundle.manifest.model_copy(update={"learned": (mark,)})
    known = Bundle(bundle.folder, bundle.id, learned)
    with pytest.raises(BundleError, match="which is to be shown as unseen"):
        unseen.unseen_scenes(known)


def test_where_every_clip_is_known_or_closed_there_is_nothing_to_show(
    bundle_path: Path, clips: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table.csv"
    table.write_text("file,description,rights_class\nknown.mp4,squares,A\nclosed.mp4,other,C\n")
    flags = ("--videos", clips, "--manifest", table, "--out", tmp_path / "docs")
    code, said = run("--bundle", bundle_path, *flags)
    assert code == 2
    assert "no clip of rights class A that this bundle has not learned from" in said
    assert not (tmp_path / "docs").exists()


def test_videos_need_their_table(clips: Path) -> None:
    assert run("--videos", clips) == (2, "error: --videos and --manifest: give both or neither\n")


@pytest.mark.parametrize("rate_hz", [44100, 48000])
def test_a_sound_is_the_same_each_time_and_sounds_the_same(rate_hz: int, tmp_path: Path) -> None:
    tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(rate_hz) / rate_hz)).astype(np.float32)
    paths = [tmp_path / "one.ogg", tmp_path / "two.ogg"]
    for path in paths:
        write_opus(path, tone, rate_hz)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with av.open(str(paths[0])) as container:
        heard = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
    assert heard.size == pytest.approx(48000, abs=2000)
    spectrum = np.abs(np.fft.rfft(heard[8000:40000]))
    assert np.argmax(spectrum) * 48000 / 32000 == pytest.approx(440, abs=2)


def test_a_large_picture_gets_fewer_colours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "MAX_BYTES", 10_000)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    tiles.write_png(tmp_path / "noise.png", noise)
    tiles.write_png(tmp_path / "plain.png", noise[:16])
    with Image.open(tmp_path / "noise.png") as large, Image.open(tmp_path / "plain.png") as small:
        assert (large.mode, small.mode) == ("P", "RGB")
    assert (tmp_path / "noise.png").stat().st_size < 10_000


def test_a_spectrogram_has_low_bands_at_the_bottom() -> None:
    mel = np.zeros((128, 100), np.float32)
    mel[:10] = 1
    tile = tiles.spectrogram_tile(mel).astype(int).sum(axis=2)
    assert tile[-1].min() > tile[0].max() + 300
