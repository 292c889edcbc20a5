"""Opening and writing bundles: what is whole is opened, what is not is named and left alone."""

import shutil
import stat
import subprocess
import zipfile

import numpy as np
import pytest

from ytm_bundle.archive import pack
from ytm_bundle.bundle import check_writable, open_bundle, writing_bundle
from ytm_bundle.checksums import check_sums, write_sums
from ytm_bundle.errors import BundleError


@pytest.fixture
def bundle(tiny_bundle_path, tmp_path):
    """A copy of the tiny bundle that may be spoiled."""
    return shutil.copytree(tiny_bundle_path, tmp_path / "bundle")


def test_bundle_opens_with_all_its_parts(bundle):
    with open_bundle(bundle) as opened:
        spec = opened.manifest
        matrices, replay = opened.mel_matrices(), opened.replay()
        golden = opened.golden("sound_decoder")
    assert matrices.forward.shape == (spec.sound.n_mels, spec.sound.bins)
    assert replay.mels.shape[1:] == spec.sound.mel_shape
    assert golden.output.shape[1:] == spec.sound.mel_shape
    assert len(opened.id) == 64


def test_a_graph_that_the_manifest_states_must_be_there(bundle):
    (bundle / "graphs/image_decoder.onnx").unlink()
    write_sums(bundle)
    with pytest.raises(BundleError, match=r"image_decoder\.onnx: missing"), open_bundle(bundle):
        pass


def test_file_and_folder_are_the_same_bundle(bundle, tmp_path):
    archive = tmp_path / "bundle.ytm"
    pack(bundle, archive)
    with open_bundle(bundle) as folder, open_bundle(archive) as file:
        assert folder.id == file.id
        assert folder.manifest == file.manifest
        unpacked = file.folder
        assert unpacked != bundle
    assert not unpacked.exists()


def test_sha256sum_agrees_with_the_list(bundle):
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"],
        cwd=bundle,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "name", ["manifest.json", "mel.npz", "replay.npz", "golden.npz", "graphs/image_encoder.onnx"]
)
def test_flipped_bit_is_found_and_named(bundle, name):
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).write_bytes(data)
    with pytest.raises(BundleError, match=rf"{name}: damaged"), open_bundle(bundle):
        pass


@pytest.mark.parametrize("name", ["manifest.json", "replay.npz", "graphs/sound_decoder.onnx"])
def test_missing_file_is_named(bundle, name):
    (bundle / name).unlink()
    with pytest.raises(BundleError, match=rf"{name}: missing"), open_bundle(bundle):
        pass
    write_sums(bundle)
    with pytest.raises(BundleError, match=name), open_bundle(bundle):
        pass


def test_unlisted_file_is_refused_but_engines_may_be_added(bundle):
    (bundle / "engines" / "key").mkdir(parents=True)
    (bundle / "engines" / "key" / "image_encoder.engine").write_bytes(b"x")
    check_sums(bundle)
    (bundle / "extra.txt").write_text("x")
    with pytest.raises(BundleError, match="not listed"), open_bundle(bundle):
        pass


def test_linked_file_is_refused(bundle, tmp_path):
    elsewhere = tmp_path / "elsewhere.npz"
    shutil.move(bundle / "mel.npz", elsewhere)
    (bundle / "mel.npz").symlink_to(elsewhere)
    with pytest.raises(BundleError, match=r"mel\.npz"), open_bundle(bundle):
        pass


@pytest.mark.parametrize("keep", [0, 10, 200, -10])
def test_cut_list_is_refused(bundle, keep):
    text = (bundle / "SHA256SUMS").read_text()
    (bundle / "SHA256SUMS").write_text(text[:keep])
    with pytest.raises(BundleError, match="SHA256SUMS: damaged"), open_bundle(bundle):
        pass


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("mel.npz", {"forward": np.zeros((2, 2), np.float32)}, "forward is float32"),
        ("mel.npz", {"other": np.zeros(3)}, "lacks the array"),
        ("mel.npz", {"forward": np.array([None])}, "cannot be read"),
    ],
)
def test_arrays_of_the_wrong_kind_are_refused(bundle, name, array, words):
    np.savez(bundle / name, **array)
    write_sums(bundle)
    with open_bundle(bundle) as opened, pytest.raises(BundleError, match=words):
        opened.mel_matrices()


def test_numbers_that_are_not_finite_are_refused(bundle):
    with np.load(bundle / "mel.npz") as arrays:
        spoilt = {name: array.copy() for name, array in arrays.items()}
    spoilt["inverse"][0, 0] = np.nan
    np.savez(bundle / "mel.npz", **spoilt)
    write_sums(bundle)
    with open_bundle(bundle) as opened, pytest.raises(BundleError, match="not finite"):
        opened.mel_matrices()


def _zip(path, entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in entries:
            file.writestr(name, data)
    return path


def _link(name):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([("../evil.txt", b"x")], "unsafe name"),
        ([("a/../../evil.txt", b"x")], "unsafe name"),
        ([("/evil.txt", b"x")], "unsafe name"),
        ([("..\\evil.txt", b"x")], "unsafe name"),
        ([(_link("link"), b"/etc/passwd")], "unsafe name"),
        ([("bomb", bytes(50 << 20))], "zip bomb"),
        ([(f"{index}", b"") for index in range(1001)], "1001 files"),
        ([], "SHA256SUMS"),
    ],
)
def test_unsafe_archive_is_refused_and_writes_nothing(tmp_path, entries, words):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    archive = _zip(inner / "bad.ytm", entries)
    with pytest.raises(BundleError, match=words), open_bundle(archive):
        pass
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [archive]


def test_archive_that_lies_about_its_size_is_refused(tmp_path):
    archive = _zip(tmp_path / "lies.ytm", [("file", bytes(1 << 20))])
    data = archive.read_bytes()
    archive.write_bytes(data.replace((1 << 20).to_bytes(4, "little"), (9).to_bytes(4, "little")))
    with pytest.raises(BundleError, match=r"lies\.ytm"), open_bundle(archive):
        pass


@pytest.mark.parametrize("data", [b"", b"not a zip", b"PK\x03\x04" + bytes(40)])
def test_what_is_no_archive_is_refused(tmp_path, data):
    path = tmp_path / "bad.ytm"
    path.write_bytes(data)
    with pytest.raises(BundleError, match=r"bad\.ytm: not a whole"), open_bundle(path):
        pass


def test_truncated_archive_is_refused(bundle, tmp_path):
    archive = tmp_path / "cut.ytm"
    pack(bundle, archive)
    archive.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(BundleError, match=r"cut\.ytm"), open_bundle(archive):
        pass


def test_no_bundle_at_all(tmp_path):
    with pytest.raises(BundleError, match="no such bundle"), open_bundle(tmp_path / "nothing"):
        pass
    with pytest.raises(BundleError, match=r"is .* a bundle"), open_bundle(tmp_path):
        pass


@pytest.mark.parametrize("name", ["new", "new.ytm"])
def test_failed_writing_leaves_what_was_there(bundle, tmp_path, name):
    target = tmp_path / name
    with open_bundle(bundle) as source, writing_bundle(target) as folder:
        shutil.copytree(source.folder, folder, dirs_exist_ok=True)
    with open_bundle(target) as before:
        identity = before.id

    def fail():
        with writing_bundle(target) as folder:
            (folder / "half").write_text("x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with open_bundle(target) as after:
        assert after.id == identity
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["bundle", name])


def test_incomplete_bundle_never_appears(tmp_path):
    def incomplete():
        with writing_bundle(tmp_path / "new") as folder:
            (folder / "manifest.json").write_text("{}")

    with pytest.raises(BundleError):
        incomplete()
    assert list(tmp_path.iterdir()) == []


def test_writing_over_something_else_is_refused(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_text("x")
    (tmp_path / "text.ytm").write_text("x")
    for name in ("photos", "text.ytm"):
        with pytest.raises(BundleError, match="is not a bundle"):
            check_writable(tmp_path / name)
    (tmp_path / "file").write_text("x")
    with pytest.raises(BundleError, match="cannot be written"):
        check_writable(tmp_path / "file" / "bundle")
