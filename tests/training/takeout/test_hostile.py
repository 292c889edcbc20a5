"""Damaged, dangerous and merely odd exports: a clear error or a counted entry, never more."""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from takeouts import LANGUAGES, Export, expected, export, in_html, in_json, lines, watch
from ytm_bundle.errors import TakeoutError
from ytm_training.takeout import archives, jsonfile, ledger, streams, text
from ytm_training.takeout.history import History, read_history
from ytm_training.takeout.htmlfile import MAX_CELL

KEPT, DROPPED = expected(lines())
ENGLISH = LANGUAGES["en-US"]
JSON = in_json(ENGLISH, lines())
HTML = in_html(ENGLISH, lines())


def read(tmp_path: Path, content: str | bytes, name: str = "a.json") -> History:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_history(path)


def check_sum(history: History) -> None:
    report = history.report
    assert report.entries == report.kept + sum(report.dropped.values())
    assert report.kept == sum(video.times for video in history.videos)
    assert report.unique_videos == len(history.videos) == sum(report.kinds.values())


def zipped(path: Path, made: Export, **more: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**made.files, **more}.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, made: Export, mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in made.files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("format_", ["json", "html"])
@pytest.mark.parametrize("name", ["takeout.zip", "takeout.tgz", "export", "takeout.tar"])
def test_archives_by_what_they_are(name: str, format_: str, tmp_path: Path) -> None:
    made = export(LANGUAGES["ja"], format_)
    path = tmp_path / name
    if name == "takeout.tar":
        tarred(path, made, "w")
    else:
        (tarred if name.endswith("tgz") else zipped)(path, made)
    history = read_history(path)
    assert (history.report.kept, history.report.dropped) == (KEPT, DROPPED)
    assert history.report.files[0].name == f"{name}: Takeout/{LANGUAGES['ja'].history}.{format_}"


@pytest.mark.parametrize("given_path", ["-001.zip", "-002.zip", "-003.zip", ""])
def test_parts_of_a_split_export(given_path: str, tmp_path: Path) -> None:
    """Whichever part is named, or their folder; the others are found."""
    made = export(ENGLISH, "json")
    stem = "takeout-20261125T140131Z-1"
    zipped(tmp_path / f"{stem}-001.zip", Export({"Takeout/big.mp4": b"0" * 100}))
    zipped(tmp_path / f"{stem}-002.zip", made)
    (tmp_path / f"{stem}-003.zip").write_bytes(b"PK\3\4 cut off")
    zipped(tmp_path / "takeout-other-001.zip", Export({"a.json": b'[{"title": "x"}]'}))
    path = tmp_path / f"{stem}{given_path}" if given_path else tmp_path
    if given_path == "-003.zip":
        with pytest.raises(TakeoutError, match=r"003\.zip: a zip that is cut off"):
            read_history(path)
        return
    report = read_history(path).report
    assert (report.kept, report.dropped) == (KEPT, DROPPED)
    assert any("003.zip" in ignored.name and "cut off" in ignored.why for ignored in report.ignored)


def test_names_in_archives_are_never_followed(tmp_path: Path) -> None:
    names = ["../../../evil.json", "/etc/evil.json", "C:\\evil.json", "a/\x1b[2J\n.json"]
    zipped(tmp_path / "a.zip", Export({name: JSON.encode() for name in names}))
    tarred(tmp_path / "a.tgz", Export({name: JSON.encode() for name in names}))
    before = sorted(tmp_path.parent.rglob("*"))
    for path in (tmp_path / "a.zip", tmp_path / "a.tgz"):
        history = read_history(path)
        assert history.report.kept == KEPT
        assert all(file.name.isprintable() for file in history.report.files)
    assert sorted(tmp_path.parent.rglob("*")) == before


def test_links_and_devices_in_a_tar_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text(JSON, encoding="utf-8")
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo("Takeout/watch-history.json")
            info.type, info.linkname = kind, str(tmp_path / "secret.json")
            archive.addfile(info)
    with pytest.raises(TakeoutError, match="holds no watch history"):
        read_history(tmp_path / "a.tgz")


def bomb(tmp_path: Path, kind: str) -> Path:
    """A history of one entry, then blanks that pack to nearly nothing."""
    blanks = JSON[:-2].encode() + b" " * (streams.FREE_BYTES + (1 << 20)) + b"]"
    path = tmp_path / f"bomb.{kind}"
    made = Export({"Takeout/watch-history.json": blanks})
    return zipped(path, made) if kind == "zip" else tarred(path, made)


@pytest.mark.parametrize("kind", ["zip", "tgz"])
def test_bombs(kind: str, tmp_path: Path) -> None:
    with pytest.raises(TakeoutError, match="unpacks to more than 200 times its size"):
        read_history(bomb(tmp_path, kind))


def test_a_tar_whose_header_never_ends(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 8 << 30
    path = tmp_path / "a.tar"
    with path.open("wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        file.truncate(archives._HEADER_BYTES + (2 << 20))
    with pytest.raises(TakeoutError, match=r"a header without end|cannot be unpacked|200 times"):
        read_history(path)


def test_a_zip_with_too_many_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_DIRECTORY_BYTES", 100)
    with pytest.raises(TakeoutError, match="of names"):
        read_history(zipped(tmp_path / "a.zip", export(ENGLISH, "json")))


def test_more_than_a_history_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MAX_BYTES", 1000)
    with pytest.raises(TakeoutError, match="GiB of history"):
        read(tmp_path, JSON)


def test_views_beyond_the_limit_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "MAX_KEPT", 3)
    history = read(tmp_path, JSON)
    assert history.report.kept == 3
    assert history.report.dropped["beyond the limit"] == KEPT - 3
    check_sum(history)


def test_archives_in_archives_are_named(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", export(ENGLISH, "json")).read_bytes()
    path = zipped(tmp_path / "outer.zip", Export({"a/inner.zip": inner}))
    with pytest.raises(TakeoutError, match=r"a/inner\.zip: an archive in an archive"):
        read_history(path)


def test_encrypted_members_are_named(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", Export({"watch-history.json": JSON.encode()}))
    content = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(mark) + flags] |= 1
    path.write_bytes(content)
    with pytest.raises(TakeoutError, match="encrypted"):
        read_history(path)


def test_a_zip_that_is_cut_off(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", export(ENGLISH, "json"))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(TakeoutError, match="cut off; download it again"):
        read_history(path)


@pytest.mark.parametrize(("content", "format_"), [(JSON, "json"), (HTML, "html")])
def test_damage_inside_a_zip_keeps_what_was_read_before(
    content: str, format_: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"a.{format_}", content + " " * (1 << 20))
    path.write_bytes(path.read_bytes().replace(b"No channel is known", b"No channel is knows"))
    history = read_history(path)
    (file,) = history.report.files
    assert not file.complete
    assert "CRC" in str(file.damage)
    assert history.report.kept == KEPT


def test_damage_before_anything_was_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.json", JSON)
    path.write_bytes(path.read_bytes().replace(b"No channel is known", b"No channel is knows"))
    with pytest.raises(TakeoutError, match=r"a\.json: damaged: Bad CRC"):
        read_history(path)


def test_a_tgz_that_is_cut_off_keeps_what_was_read_before(tmp_path: Path) -> None:
    made = Export({"a.json": JSON.encode(), "b.mp4": os.urandom(1 << 17)})
    path = tarred(tmp_path / "a.tgz", made)
    path.write_bytes(path.read_bytes()[: -(1 << 14)])
    report = read_history(path).report
    assert (report.kept, report.dropped) == (KEPT, DROPPED)
    assert report.ignored[-1].name == "a.tgz"
    assert "damaged" in report.ignored[-1].why


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9, 0.999])
def test_json_that_is_cut_off(share: float, tmp_path: Path) -> None:
    history = read(tmp_path, JSON[: int(share * len(JSON))])
    assert not history.report.files[0].complete
    assert history.report.dropped.get("malformed", 0) <= 1
    assert 0 < history.report.entries <= len(lines())
    check_sum(history)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9])
def test_html_that_is_cut_off(share: float, tmp_path: Path) -> None:
    begin = HTML.index("outer-cell")
    history = read(tmp_path, HTML[: int(begin + share * (len(HTML) - begin))], "a.html")
    assert not history.report.files[0].complete
    assert history.report.dropped.get("malformed", 0) <= 1
    assert 0 < history.report.entries < len(lines())
    check_sum(history)


@pytest.mark.parametrize("chunk_bytes", [1, 7, 61, 1024])
@pytest.mark.parametrize("format_", ["json", "html"])
def test_where_a_file_is_cut_into_pieces_does_not_matter(
    chunk_bytes: int, format_: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "CHUNK_BYTES", chunk_bytes)
    write = in_json if format_ == "json" else in_html
    history = read(tmp_path, write(LANGUAGES["ja"], lines()).replace(".mdl-cell{margin:8px}", ""))
    assert (history.report.kept, history.report.dropped) == (KEPT, DROPPED)
    assert history.report.undated == 0
    assert "動画の題名" in {video.title for video in history.videos}


def test_a_caption_without_links_makes_no_ad(tmp_path: Path) -> None:
    plain = re.sub(r'<a href="https://myaccount[^>]*>([^<]*)</a>', r"\1", HTML)
    assert plain != HTML
    history = read(tmp_path, plain)
    assert (history.report.kept, history.report.dropped) == (KEPT, DROPPED)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_what_may_not_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(JSON, encoding="utf-8")
    path.chmod(0)
    with pytest.raises(TakeoutError, match="Permission denied"):
        read_history(path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("content", [JSON, HTML])
def test_encodings(encoding: str, content: str, tmp_path: Path) -> None:
    history = read(tmp_path, content.encode(encoding))
    assert (history.report.kept, history.report.dropped) == (KEPT, DROPPED)
    assert "動画の題名" in {video.title for video in history.videos}


def test_latin_1_where_utf_8_should_be(tmp_path: Path) -> None:
    made = [{"title": "Vous avez regardé l'été", "titleUrl": watch(n)} for n in range(5)]
    history = read(tmp_path, json.dumps(made, ensure_ascii=False).encode("latin-1"))
    assert history.report.kept == 5
    assert all("regardé" in str(video.title) for video in history.videos)


@pytest.mark.parametrize(
    "content",
    [b"", b"   \n", b"\0\0\0\0", b"[]", b"[", b'{"titleUrl": "x"}', b"\xff\xfe", b"42", b"null",
     b"hello", b"\x89PNG\r\n", b"<html></html>", b"<", b"PK", b"\x1f\x8b", b"PK\5\6" + b"\0" * 18],
)  # fmt: skip
def test_what_holds_no_history_is_named_with_what_to_do(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(
        TakeoutError, match=r"a\.json.*(in Google Takeout choose|download it again)"
    ):
        read(tmp_path, content)


@pytest.mark.parametrize(
    "entry",
    ["null", "42", '"text"', "[]", "[[[]]]", "{}", '{"title": 5, "titleUrl": []}', "tru", '{"a": }',
     '{"titleUrl": {"a": 1}}', '{"title": ["a"], "time": 3}', '{"title": "\\ud800", "x": nul}',
     "[" * 5000 + "]" * 5000, '{"a":' * 100_000 + "1" + "}" * 100_000, '{"title": "\\x"}'],
)  # fmt: skip
def test_entries_that_are_none_are_counted_one_by_one(entry: str, tmp_path: Path) -> None:
    good = json.dumps({"title": "Watched x", "titleUrl": watch(1)})
    history = read(tmp_path, f"[{good},{entry},{good},\n {entry} , {good}]")
    assert history.report.kept == 3
    assert history.report.dropped == {"malformed": 2}
    assert history.report.files[0].complete


def test_wrong_types_beside_a_good_link_do_not_matter(tmp_path: Path) -> None:
    entry = {"titleUrl": watch(1), "header": [], "subtitles": [[]], "details": 4, "time": "\0"}
    history = read(tmp_path, json.dumps([entry, {**entry, "subtitles": {"name": 1}}]))
    assert (history.report.kept, history.report.undated) == (2, 2)


@pytest.mark.parametrize("where", ["title", "x"])
def test_huge_strings_are_passed_over(where: str, tmp_path: Path) -> None:
    good = {"title": "Watched x", "titleUrl": watch(1)}
    huge = {**good, where: 'a\\"{' * jsonfile.MAX_ENTRY}
    history = read(tmp_path, json.dumps([good, huge, good]))
    assert history.report.kept == 2
    assert history.report.dropped == {"too large": 1}


def test_huge_cells_are_passed_over(tmp_path: Path) -> None:
    huge = HTML.replace("No channel is known", "x" * (MAX_CELL + 1))
    history = read(tmp_path, huge)
    assert history.report.kept == KEPT - 1
    assert history.report.dropped == {**DROPPED, "too large": 1}


def test_cells_that_never_end(tmp_path: Path) -> None:
    cell = '<div class="content-cell body">'
    history = read(tmp_path, HTML.replace("</body></html>", cell * 100_000))
    assert history.report.kept == KEPT
    check_sum(history)


@pytest.mark.parametrize("odd", ["<" + "a" * 60_000, "<a " + 'href="' * 9000 + ">", "<" * 60_000])
def test_what_would_take_a_careless_pattern_hours(odd: str, tmp_path: Path) -> None:
    entry = f'<div class="outer-cell"><div class="content-cell">{odd}</div></div>'
    history = read(tmp_path, HTML.replace("</body></html>", entry * 40 + "</body></html>"))
    assert history.report.kept == KEPT
    check_sum(history)


def test_nul_bytes(tmp_path: Path) -> None:
    for content in (JSON, HTML):
        assert read(tmp_path, content.replace("A song", "A\0 song")).report.kept == KEPT


def test_undated_entries_are_kept(tmp_path: Path) -> None:
    history = read(tmp_path, HTML.replace("2026", "the year"))
    assert history.report.kept == history.report.undated == KEPT
    assert all(video.watched is None for video in history.videos)
    assert (history.report.first, history.report.last) == (None, None)
    assert [video.id for video in history.videos] == sorted(video.id for video in history.videos)


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch], ids=["folder", "file"])
def test_nothing_there(make: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "a"
    with pytest.raises(TakeoutError, match=r"a: cannot be read \(No such file"):
        read_history(path)
    make(path)
    with pytest.raises(TakeoutError, match="holds no watch history"):
        read_history(path)


def test_devices_are_refused() -> None:
    with pytest.raises(TakeoutError, match="neither a file nor a folder"):
        read_history(Path("/dev/zero"))


def test_a_search_history_given_by_name_is_refused(tmp_path: Path) -> None:
    searches = [line for line in lines() if line.becomes == "search"]
    with pytest.raises(TakeoutError, match=r"a\.json: a search history"):
        read(tmp_path, in_json(ENGLISH, searches))


def test_what_cannot_be_a_view_alone_is_still_reported(tmp_path: Path) -> None:
    history = read(tmp_path, '[{"title": "Watched a video that has been removed"}, 7]')
    assert history.report.dropped == {"malformed": 1, "removed": 1}


URLS = st.sampled_from([line.url for line in lines()]) | st.text(max_size=60) | st.none()
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "titleUrl": URLS,
        "title": st.text(max_size=30) | ANYTHING,
        "time": st.datetimes().map(str) | st.just("2026-11-25T14:01:31Z") | ANYTHING,
        "details": ANYTHING,
        "subtitles": st.just([{"name": "a"}]) | ANYTHING,
        "header": ANYTHING,
    },
)
QUICK = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@QUICK
@given(st.lists(ENTRIES | ANYTHING, max_size=12), st.booleans())
def test_nothing_is_lost_silently(tmp_path: Path, entries: list[object], twice: bool) -> None:
    """Whatever a list holds, each of it is an entry that is kept or counted under one reason."""
    folder = tmp_path / "property"
    folder.mkdir(exist_ok=True)
    every = [{"title": "Watched x", "titleUrl": watch(1)}, *entries]
    names = ["a.json", "b.json"][: 1 + twice]
    for name in ("a.json", "b.json"):
        (folder / name).unlink(missing_ok=True)
    for name in names:
        (folder / name).write_text(json.dumps(every), encoding="utf-8")
    history = read_history(folder)
    check_sum(history)
    assert history.report.entries == len(every) * len(names)
    once = read_history(folder / "a.json")
    assert {video.id: video.times for video in history.videos} == {
        video.id: video.times for video in once.videos
    }


@QUICK
@given(st.binary(max_size=300), st.integers(0, len(JSON)), st.sampled_from([JSON, HTML]))
def test_bytes_anywhere_make_no_traceback(tmp_path: Path, junk: bytes, at: int, whole: str) -> None:
    content = whole.encode()
    try:
        history = read(tmp_path, content[-at:] + junk + content[:at])
    except TakeoutError:
        return
    check_sum(history)
