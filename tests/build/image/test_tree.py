"""A root file system that is not this machine's: nothing in it leads out of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ytm_build.image.tree import Linked, Removed, Tree, Written
from ytm_bundle.errors import ImageError


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/passwd").write_text("this machine's")
    return tmp_path / "outside"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    (tmp_path / "root/usr/lib").mkdir(parents=True)
    (tmp_path / "root/lib").symlink_to("usr/lib")
    return Tree(tmp_path / "root")


def test_links_in_it_are_followed_as_from_inside(tree: Tree) -> None:
    (tree.root / "absolute").symlink_to("/usr/lib")
    (tree.root / "usr/lib/up").symlink_to("../../../../../usr")
    assert tree.path("lib/x") == tree.root / "usr/lib/x"
    assert tree.path("absolute/x") == tree.root / "usr/lib/x"
    assert tree.path("lib/up/x") == tree.root / "usr/x"
    assert tree.path("../../usr") == tree.root / "usr"


def test_a_link_out_of_it_leads_to_a_place_in_it(tree: Tree, outside: Path) -> None:
    (tree.root / "etc").symlink_to(outside)
    (tree.root / "up").symlink_to("../outside")
    assert tree.read("etc/passwd") is None
    assert tree.read("up/passwd") is None
    tree.change([Written("etc/passwd", "ours"), Removed("up/passwd"), Linked("up/x", "y")])
    assert (outside / "passwd").read_text() == "this machine's"
    assert [each.name for each in outside.iterdir()] == ["passwd"]
    assert tree.read("etc/passwd") == "ours"


def test_a_file_is_replaced_and_never_written_through(tree: Tree, outside: Path) -> None:
    (tree.root / "conf").symlink_to(outside / "passwd")
    tree.change([Written("conf", "ours", 0o755)])
    assert (outside / "passwd").read_text() == "this machine's"
    assert not (tree.root / "conf").is_symlink()
    assert (tree.root / "conf").stat().st_mode & 0o777 == 0o755
    tree.change([Linked("conf", "/dev/null"), Linked("conf", "other")])
    assert tree.target("conf") == "other"


def test_a_circle_of_links_is_refused(tree: Tree) -> None:
    (tree.root / "etc").symlink_to("/etc")
    (tree.root / "a").symlink_to("b")
    (tree.root / "b").symlink_to("a")
    for name in ("etc/passwd", "a"):
        with pytest.raises(ImageError, match="round in a circle"):
            tree.read(name)
        with pytest.raises(ImageError, match="round in a circle"):
            tree.change([Written(f"{name}/x", "")])


def test_names_are_matched(tree: Tree) -> None:
    for name in ("a.conf", "b.conf", "c.txt"):
        (tree.root / "usr/lib" / name).touch()
    assert tree.names("lib", ["*.conf", "c*"]) == ["lib/a.conf", "lib/b.conf", "lib/c.txt"]
    assert tree.names("missing", ["*"]) == []


def test_changes_are_described_and_not_made(tree: Tree) -> None:
    (tree.root / "file").write_text("one\ntwo\n")
    changes = [Written("file", "one\nthree\n"), Linked("a", "/b"), Removed("file")]
    assert tree.described(changes) == [
        "write /file",
        "  @@ -1,2 +1,2 @@",
        "   one",
        "  -two",
        "  +three",
        "link /a -> /b",
        "remove /file",
    ]
    assert (tree.root / "file").read_text() == "one\ntwo\n"
    assert not (tree.root / "a").is_symlink()


def test_what_is_no_text_and_what_cannot_be_written_is_said(tree: Tree) -> None:
    (tree.root / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ImageError, match="binary: cannot be read"):
        tree.read("binary")
    with pytest.raises(ImageError, match="cannot be changed"):
        tree.change([Written("binary/below", "")])
