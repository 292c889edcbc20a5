"""Lines that name videos, and lines that do not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ytm_bundle.errors import UsageError
from ytm_training.fetch.addresses import (
    BadAddressError,
    address_of,
    is_youtube,
    read_links,
    source_of,
)

ID = "dQw4w9WgXcQ"


@pytest.mark.parametrize(
    "text",
    [
        ID,
        f"https://www.youtube.com/watch?v={ID}",
        f"https://www.youtube.com/watch?app=desktop&v={ID}&t=42s&list=PL1",
        f"http://m.youtube.com/watch?v={ID}#x",
        f"https://music.youtube.com/watch?v={ID}&feature=share",
        f"https://youtu.be/{ID}?t=3",
        f"https://www.youtube.com/shorts/{ID}",
        f"https://www.youtube.com/live/{ID}?si=abc",
        f"https://www.youtube-nocookie.com/embed/{ID}",
        f"https://YouTube.com/v/{ID}",
    ],
)
def test_every_form_of_a_youtube_address_is_its_id(text) -> None:
    assert source_of(text) == ID
    assert address_of(ID) == f"https://www.youtube.com/watch?v={ID}"


def test_another_address_is_itself_without_its_fragment() -> None:
    text = "https://example.org/a%20b.mp4?x=1&y=2"
    assert source_of(f"{text}#t=10") == text == address_of(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("hello", "neither a YouTube id nor"),
        ("ftp://example.org/x", "neither a YouTube id nor"),
        ("file:///etc/passwd", "neither a YouTube id nor"),
        ("https://", "neither a YouTube id nor"),
        ("https://[bad", "not an address"),
        ("https://me:secret@example.org/v", "a name or password"),
        ("https://example.org/a b", "a space or a control character"),
        ("https://www.youtube.com/playlist?list=PL1", "a playlist or channel"),
        ("https://www.youtube.com/@somebody", "a playlist or channel"),
        ("https://www.youtube.com/watch?v=short", "no video's address"),
        ("https://youtu.be/", "no video's address"),
        ("https://example.org/" + "x" * 3000, "longer than"),
    ],
)
def test_what_names_no_video_is_refused(text, why) -> None:
    with pytest.raises(BadAddressError, match=why) as caught:
        source_of(text)
    assert "secret" not in str(caught.value)


@settings(max_examples=300)
@given(st.text(max_size=80))
def test_any_text_is_a_source_or_refused(text) -> None:
    try:
        source = source_of(text)
    except BadAddressError:
        return
    assert is_youtube(source) or source.startswith("http")
    assert source_of(source) == source


def test_a_list_has_comments_blanks_doubles_and_bad_lines(tmp_path) -> None:
    path = tmp_path / "urls.txt"
    path.write_bytes(
        f"\ufeff# mine\n\n{ID}\r\nhttps://youtu.be/{ID} # again\nnonsense\n"
        "https://example.org/v.mp4\n  aaaaaaaaaaa  \n".encode()
    )
    links = read_links(path)
    assert links.sources == (ID, "https://example.org/v.mp4", "aaaaaaaaaaa")
    assert links.repeated == 1
    assert [(line.number, "nonsense" in line.why) for line in links.bad] == [(5, True)]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "names no video"),
        (b"# only\n", "names no video"),
        (b"what\n", "line 1: 'what'"),
        (b"\xff\xfe", "not a text"),
    ],
)
def test_a_list_without_videos_is_refused(content, why, tmp_path: Path) -> None:
    path = tmp_path / "urls.txt"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=why):
        read_links(path)


def test_a_list_that_is_not_there_is_refused(tmp_path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_links(tmp_path / "no.txt")
