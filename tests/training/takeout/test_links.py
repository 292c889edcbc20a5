"""What links lead to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytm_training.takeout.links import MAX_CHARACTERS, parse_link

ID = "dQw4w9WgXcQ"


@pytest.mark.parametrize(
    "url",
    [
        f"https://www.youtube.com/watch?v={ID}",
        f"http://youtube.com/watch?v={ID}&t=43s",
        f"https://www.youtube.com/watch?t=1m&v={ID}#t=9",
        f"https://www.youtube.com/watch?v={ID}&list=PLabc&index=3",
        f"https://www.youtube.com/watch?v\\u003d{ID}\\u0026t=1",
        f"https://www.youtube.com/watch?a=b&amp;v={ID}",
        f"https://www.youtube.com/watch?v={ID}?feature=share",
        f"https://www.youtube.com/watch/{ID}",
        f"https://m.youtube.com/watch?v={ID}",
        f"https://gaming.youtube.com/watch?v={ID}",
        f"https://WWW.YOUTUBE.COM/watch?v={ID}",
        f"www.youtube.com/watch?v={ID}",
        f"//www.youtube.com/watch?v={ID}",
        f"https://youtu.be/{ID}",
        f"https://youtu.be/{ID}?t=43",
        f"https://www.youtube.com/embed/{ID}?autoplay=1",
        f"https://www.youtube.com/v/{ID}",
        f"https://www.youtube-nocookie.com/embed/{ID}",
        f"https://www.youtubekids.com/watch?v={ID}",
        f"https://www.youtube.com/attribution_link?a=x&u=%2Fwatch%3Fv%3D{ID}%26feature%3Dshare",
        f"https://www.google.com/url?q=https%3A%2F%2Fwww.youtube.com%2Fwatch%3Fv%3D{ID}&sa=U",
        f"https://consent.google.co.uk/m?continue=https://www.youtube.com/watch?v={ID}",
    ],
)
def test_videos(url: str) -> None:
    link = parse_link(url)
    assert (link.kind, link.id, link.music) == ("video", ID, False)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        (f"https://www.youtube.com/shorts/{ID}", "short"),
        (f"https://www.youtube.com/shorts/{ID}?feature=share", "short"),
        (f"https://youtube.com/live/{ID}", "live"),
        ("https://www.youtube.com/post/UgkxAbCdEfGhIjKlMn", "post"),
        ("https://www.youtube.com/channel/UCabcdefghijklmnopqrstuv/community?lb=Ugkx", "post"),
        ("https://www.youtube.com/@ann/posts", "post"),
        ("https://www.youtube.com/playlist?list=PLabc", "playlist"),
        ("https://music.youtube.com/browse/VLPLabc", "playlist"),
        ("https://www.youtube.com/channel/UCabcdefghijklmnopqrstuv", "channel"),
        ("https://www.youtube.com/@ann", "channel"),
        ("https://www.youtube.com/c/ann", "channel"),
        ("https://www.youtube.com/user/ann", "channel"),
        ("https://www.youtube.com/results?search_query=cats", "search"),
        ("https://music.youtube.com/search?q=cats", "search"),
        ("https://www.youtube.com/stories/abc", "story"),
        ("https://www.youtube.com/", "page"),
        ("https://www.youtube.com/premium", "page"),
        (f"https://www.evilyoutube.com/watch?v={ID}", "elsewhere"),
        (f"https://youtube.com.evil.org/watch?v={ID}", "elsewhere"),
        (f"https://example.org/?u=https://www.youtube.com/watch?v={ID}", "elsewhere"),
        ("https://www.google.com/search?q=cats", "elsewhere"),
        ("", "elsewhere"),
        ("https://[", "elsewhere"),
        ("javascript:alert(1)", "elsewhere"),
        ("https://www.youtube.com/watch?v=" + "a" * MAX_CHARACTERS, "elsewhere"),
    ],
)
def test_other_links(url: str, kind: str) -> None:
    assert parse_link(url).kind == kind


def test_music() -> None:
    assert parse_link(f"https://music.youtube.com/watch?v={ID}") == ("video", ID, True)


@pytest.mark.parametrize("bad", ["", "short", "a" * 12, "dQw4w9WgXc!", "dQw4w9WgXc\u0661"])
def test_a_video_without_an_id(bad: str) -> None:
    for url in (f"https://www.youtube.com/watch?v={bad}", f"https://www.youtube.com/shorts/{bad}"):
        assert parse_link(url).id is None


@given(st.text() | st.text().map(lambda text: f"https://www.youtube.com/{text}"))
def test_no_text_makes_it_fail(url: str) -> None:
    link = parse_link(url)
    assert link.id is None or len(link.id) == 11
