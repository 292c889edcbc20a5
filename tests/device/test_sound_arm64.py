"""The compiled stream on the boards' processor, emulated."""

from __future__ import annotations

import ctypes
import runpy
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from waiting import HANG_S
from ytm_bundle.bundle import open_bundle
from ytm_device.bundles import DEMO_BUNDLE
from ytm_device.sound.streaming import compiled
from ytm_device.sound.streaming.compiled import CompiledStream
from ytm_device.sound.streaming.tables import StreamTables

HOPS = 6
COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
LIBRARIES = "/usr/aarch64-linux-gnu"
TREE = Path(__file__).resolve().parents[2]


def _package_flags() -> list[str]:
    """What the package's own build compiles the kernel with."""
    flags: list[str] = runpy.run_path(str(TREE / "hatch_build.py"))["FLAGS"]
    return flags


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`kernel_alone.c`, compiled as the package compiles the kernel."""
    if not (shutil.which(COMPILER) and shutil.which(EMULATOR)):
        pytest.skip(f"needs {COMPILER} and {EMULATOR} (gcc-aarch64-linux-gnu, qemu-user)")
    built = tmp_path_factory.mktemp("arm64") / "kernel_alone"
    source = Path(__file__).with_name("kernel_alone.c")
    flags = [flag for flag in _package_flags() if flag not in ("-fPIC", "-shared")]
    command = [COMPILER, *flags, "-Werror", "-o", built, source, "-lm"]
    subprocess.run(command, check=True, timeout=HANG_S)
    return built


def _written(stream: CompiledStream, mel: np.ndarray) -> bytes:
    """A stream as `kernel_alone.c` reads it, before its first hop."""
    arrays = stream._constants | stream._state
    names = compiled._ARRAYS.split()
    parts = [
        ctypes.string_at(ctypes.addressof(stream._struct), ctypes.sizeof(stream._struct)),
        struct.pack("<ii", len(names), len(mel)),
        *(arrays[name].tobytes() for name in names),
        mel.tobytes(),
    ]
    return b"".join(struct.pack("<i", len(part)) + part for part in parts)


def test_the_first_hops_are_the_same_on_arm64(program: Path) -> None:
    with open_bundle(DEMO_BUNDLE) as bundle:
        sound = bundle.manifest.sound
        tables = StreamTables(sound, sound.inversion, bundle.mel_matrices())
        mel = np.ascontiguousarray(sound.unscale(bundle.replay().mels[0]).T[:HOPS])
    stream = CompiledStream(tables)
    written = _written(stream, mel)
    here = np.zeros((HOPS, tables.hop), np.float32)
    for row, hop in zip(mel, here, strict=True):
        stream.push(row, hop)
    command = [EMULATOR, "-L", LIBRARIES, str(program)]
    done = subprocess.run(command, input=written, capture_output=True, check=True, timeout=HANG_S)
    there = np.frombuffer(done.stdout, np.float32).reshape(here.shape)
    assert np.abs(here).max() > 0
    assert np.abs(there - here).max() < 1e-3 * np.abs(here).max()
