"""What is typed after `ytm-build-engine`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ytm_build.engine import choice
from ytm_build.engine.choice import places_for
from ytm_bundle.archive import pack
from ytm_bundle.bundle import open_bundle
from ytm_bundle.engines import find_engines
from ytm_bundle.errors import UsageError
from ytm_device.engines.platform import onnx_key

CPU = ("--backend", "onnxruntime")
NEVER_ON_A_BOARD = ("torch", "lightning", "onnx", "pyarrow", "ytm_training")


def test_a_bundle_gets_engines_beside_it(ytm_build_engine, bundle_path: Path) -> None:
    first = ytm_build_engine(bundle_path, *CPU)
    assert first.code == 0, first.said
    lines = first.said.splitlines()
    assert len(lines) == 7
    for name, line in zip(("image_encoder", "image_to_sound"), lines, strict=False):
        assert line.startswith(f"{name}: ")
        for word in (" MB, built in ", "off by ", "(allowed 5e-03)", " ms"):
            assert word in line
    with open_bundle(bundle_path) as bundle:
        assert find_engines([bundle_path / "engines"], onnx_key(bundle)) is not None
        identity = bundle.id
    again = ytm_build_engine(bundle_path, *CPU)
    assert (again.code, again.out) == (0, "")
    assert again.said.endswith("are there; nothing to do\n")
    told = json.loads(ytm_build_engine(bundle_path, *CPU, "--json").out)
    assert (told["built"], told["id"]) == (False, identity)
    assert Path(told["engines"]).is_dir()
    assert len(told["report"]["graphs"]) == 6
    assert json.loads(ytm_build_engine(bundle_path, *CPU, "--json", "--force").out)["built"]


def test_a_packed_bundle_needs_another_place(
    ytm_build_engine, bundle_path: Path, tmp_path: Path
) -> None:
    pack(bundle_path, tmp_path / "bundle.ytm")
    refused = ytm_build_engine(tmp_path / "bundle.ytm", *CPU)
    assert refused.code == 2
    assert "give --into DIR" in refused.said
    ran = ytm_build_engine(tmp_path / "bundle.ytm", *CPU, "--into", tmp_path / "data", "--json")
    assert Path(json.loads(ran.out)["engines"]).parent == tmp_path / "data" / "engines"


def test_on_a_board_engines_go_where_things_last(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "bundle").mkdir()
    of_bundle, lasting = tmp_path / "bundle/engines", tmp_path / "data/engines"
    assert places_for(tmp_path / "bundle", None, tmp_path / "data") == (lasting, of_bundle)
    assert places_for(tmp_path / "bundle", None, tmp_path / "no") == (
        of_bundle,
        tmp_path / "no/engines",
    )
    assert places_for(tmp_path / "x.ytm", None, tmp_path / "data") == (lasting,)
    assert places_for(tmp_path / "bundle", tmp_path / "in") == (tmp_path / "in/engines",)
    with pytest.raises(UsageError, match="a packed bundle holds no engines"):
        places_for(tmp_path / "x.ytm", None, tmp_path / "no")


@pytest.mark.skipif(Path("/proc/driver/nvidia").exists(), reason="there is a GPU here")
@pytest.mark.parametrize("backend", ["auto", "tensorrt"])
def test_without_a_gpu_it_says_what_can_be_had_instead(
    ytm_build_engine, bundle_path: Path, backend: str
) -> None:
    ran = ytm_build_engine(bundle_path, "--backend", backend)
    assert ran.code == 1
    assert ran.said.count("\n") == 1
    assert "--backend onnxruntime" in ran.said
    assert not (bundle_path / "engines").exists()


def test_a_place_that_cannot_be_written_is_one_line(
    ytm_build_engine, bundle_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    for into in (tmp_path / "file", Path("/proc/1/no")):
        ran = ytm_build_engine(bundle_path, *CPU, "--into", into)
        assert ran.code == 1
        assert f"error: {into}/engines: engines cannot be written there" in ran.said


def test_what_it_depends_on_here_is_described(ytm_build_engine) -> None:
    told = json.loads(ytm_build_engine("--describe", "--json").out)
    assert told["keys"][-1]["backend"] == "onnxruntime"
    assert told["keys"][-1]["graphs"] == {}
    assert told["keys"][-1]["gpu"] in ytm_build_engine("--describe").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["RUN"], "is a run; give --out BUNDLE"),
        (["BUNDLE", "--out", "x"], "is a bundle already; leave out --out"),
        (["--out", "x"], "--out: of which run?"),
        (["RUN", "--out", "x", "--force"], "--force: not with --out"),
        (["RUN", "--out", "x", "--on", "a@b"], "--on: not with --out"),
        (["BUNDLE", "--name", "x"], "--name: only with --out"),
        (["BUNDLE", "--ssh-option", "Port=1"], "--ssh-option: only with --on"),
        (["BUNDLE", "--board-data", "/x"], "--board-data: only with --on"),
        (["BUNDLE", "--on", "-oX=1"], "give USER@BOARD"),
        (["--describe", "--force"], "--force: not with --describe"),
        (["BUNDLE", "--backend", "cuda"], "'cuda' is not one of"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    ytm_build_engine, bundle_path: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.json").touch()
    known = {"RUN": tmp_path / "run", "BUNDLE": bundle_path}
    ran = ytm_build_engine(*(known.get(word, word) for word in words))
    assert ran.code == 2
    assert said in ran.said


@pytest.mark.parametrize("what", ["nothing", "photos"])
def test_what_is_no_bundle_is_named(ytm_build_engine, tmp_path: Path, what: str) -> None:
    (tmp_path / "photos").mkdir()
    ran = ytm_build_engine(tmp_path / what, *CPU)
    assert ran.code == 1
    assert str(tmp_path / what) in ran.said


def test_a_bundle_that_lost_its_digests_is_still_called_a_bundle(
    ytm_build_engine, bundle_path: Path
) -> None:
    (bundle_path / "SHA256SUMS").unlink()
    ran = ytm_build_engine(bundle_path, *CPU)
    assert ran.code == 1
    assert f"{bundle_path / 'SHA256SUMS'}: cannot be read" in ran.said


def test_without_a_bundle_it_is_that_of_the_machine(
    ytm_build_engine, bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ytm_build import command

    installed = shutil.copytree(bundle_path, tmp_path / "data/bundle")
    source = command.SettingsSource(base=tmp_path / "none", data=tmp_path / "data")
    monkeypatch.setattr(command, "SettingsSource", lambda: source)
    ran = ytm_build_engine(*CPU, "--json")
    assert json.loads(ran.out)["bundle"] == str(installed)
    (tmp_path / "data/mirror.toml").write_text(f'bundle = "{bundle_path}"\n')
    assert json.loads(ytm_build_engine(*CPU, "--json").out)["bundle"] == str(bundle_path)


def test_engines_are_made_without_what_a_board_has_not() -> None:
    script = (
        "import sys\n"
        f"sys.modules |= dict.fromkeys({NEVER_ON_A_BOARD!r})\n"
        "sys.argv = ['ytm-build-engine', '--describe']\n"
        "from ytm_build.command import main\n"
        "main()\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "onnxruntime" in ran.stdout


def test_what_can_run_engines_is_what_the_settings_know() -> None:
    assert [each.value for each in choice.Backend] == ["auto", "tensorrt", "onnxruntime"]
