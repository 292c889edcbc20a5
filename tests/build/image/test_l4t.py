"""Which releases of NVIDIA's system are taken, and why not."""

from __future__ import annotations

import pytest

from build.image.bsp_tree import release_text
from ytm_build.image.l4t import GENERATIONS, KNOWN, generation, known, release_of
from ytm_bundle.errors import ImageError


@pytest.mark.parametrize(
    ("text", "release"),
    [
        (release_text("36.4.3"), "36.4.3"),
        (release_text("36.4.0"), "36.4.0"),
        ("# R39 (release), REVISION: 2.1\n", "39.2.1"),
        ("# R38 (release), REVISION: 4, GCID: 1\n", "38.4.0"),
    ],
)
def test_the_release_is_read(text: str, release: str) -> None:
    assert release_of(text) == release


@pytest.mark.parametrize(
    "text", ["", "# R36 (release)\n", "R36.4.3", "\0\0", "# R (release), REVISION: 4"]
)
def test_what_says_no_release_is_refused(text: str) -> None:
    with pytest.raises(ImageError, match="says no release"):
        release_of(text)


@pytest.mark.parametrize("release", ["36.4.0", "36.4.4", "36.5.0", "38.4.0", "39.2.1"])
def test_good_releases_of_both_generations_are_taken(release: str) -> None:
    assert known(release).refused == ""


@pytest.mark.parametrize(
    ("release", "why"), [("36.4.7", "CUDA memory"), ("36.3.0", r"TensorRT is 8\.6")]
)
def test_bad_releases_are_refused_with_reason_source_and_another(release: str, why: str) -> None:
    with pytest.raises(ImageError, match=rf"{why}.*https://\S+.*take one of .*36\.4\.4"):
        known(release)


@pytest.mark.parametrize("release", ["35.6.1", "36.4.9", "40.0.0"])
def test_unknown_releases_are_refused(release: str) -> None:
    with pytest.raises(ImageError, match="nobody has looked at it; take one of"):
        known(release)


def test_each_entry_is_complete() -> None:
    for release, each in KNOWN.items():
        assert each.source.startswith("https://"), release
        assert int(release.split(".")[0]) in GENERATIONS
        assert generation(release).python in {"3.10", "3.12"}
