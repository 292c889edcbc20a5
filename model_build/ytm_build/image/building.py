"""On the way to a Jetson's tree: system packages, and wheels for its Python and processor."""

from __future__ import annotations

import hashlib
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

from ytm_build.image.bsp import Bsp
from ytm_build.image.clone import (
    CERTIFICATES_INSIDE,
    certificates,
    copy_clone,
    listed_packages,
    pip_environment,
)
from ytm_build.image.packages import installed
from ytm_build.image.pinned import BUILT, Pin, download_words, pins
from ytm_build.image.running import run
from ytm_build.image.steps import Step, command
from ytm_build.image.tree import Tree

INSIDE = "build"
"""The folder in the tree in which everything is made, and which goes at the end."""
_APT = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--yes", "--quiet")
_ONLINE = "see that the sources in the tree's /etc/apt can be reached"
_CUDA = ("cuda-cudart-dev-{cuda}", "cuda-driver-dev-{cuda}", "cuda-nvcc-{cuda}")
# NVIDIA's library of random numbers is not needed, and so not linked.
_PYCUDA = "CUDA_ENABLE_CURAND = False\n"
_PYCUDA_SETTINGS = ".aksetup-defaults.py"


@dataclass
class Building:
    """The steps that need what is removed again: compilers, headers, a folder for wheels."""

    clone: Path
    work: Path
    bsp: Bsp
    tree: Tree
    """The root file system that is made, a copy of the BSP's."""
    _before: set[str] = field(default_factory=set)

    def inside(self, *words: str) -> list[str]:
        """The command that runs `words` in the tree."""
        return [str(self.clone / "provisioning/inside.sh"), str(self.tree.root), *words]

    def packages(self) -> list[Step]:
        """System packages: those that stay, then those that building needs."""
        cuda = [name.format(cuda=self.bsp.generation.cuda) for name in _CUDA]
        stay = self._missing(listed_packages(self.clone, "", "jetson"))
        go = self._missing([*listed_packages(self.clone, "build", "jetson-build"), *cuda])
        look = Step("system packages: what is there", lambda: ["look"], self._look)
        steps = [*self._apt("the mirror's", stay), look, *self._apt("for building", go)]
        if stay or go:
            update = self.inside(*_APT, "update")
            steps.insert(0, command("system packages: the lists", update, _ONLINE))
        return steps

    def without_packages(self) -> Step:
        """Removes again what was installed for building."""
        purge = (*_APT, "purge")

        def do() -> None:
            names = sorted(installed(self.tree) - self._before)
            if names:
                run(self.inside(*purge, *names), "see what apt-get said")

        shown = [" ".join([*self.inside(*purge), "(what was installed for building)"])]
        return Step("removing what only building needed", lambda: shown, do)

    def wheels(self) -> list[Step]:
        """Wheels of everything, as /build/wheels in the tree: fetched, or built there."""
        kept = self.work / f"wheels-jetson-{self._key()}"
        steps = [self._sources()]
        if not kept.is_dir():
            steps += self._all_wheels(kept)
        own = self._pip("wheel", "--no-deps", f"--wheel-dir=/{INSIDE}/own", f"/{INSIDE}/tree")
        steps.append(command("the project's own wheel", own, "see what pip said"))
        into = self.tree.root / INSIDE / "wheels"

        def collect() -> None:
            shutil.copytree(kept, into)
            for wheel in (self.tree.root / INSIDE / "own").glob("*.whl"):
                shutil.copy(wheel, into)

        shown = [f"copy {kept}/*.whl and /{INSIDE}/own/*.whl to /{INSIDE}/wheels"]
        return [*steps, Step("all wheels in one place", lambda: shown, collect)]

    def _missing(self, names: list[str]) -> list[str]:
        there, renamed = installed(self.bsp.rootfs), self.bsp.generation.renamed
        here = [renamed.get(name, name) for name in names]
        return [name for name in here if name not in there]

    def _apt(self, what: str, names: list[str]) -> list[Step]:
        if not names:
            return []
        words = self.inside(*_APT, "install", "--no-install-recommends", *names)
        return [command(f"system packages: {what}", words, _ONLINE)]

    def _look(self) -> None:
        self._before.clear()
        self._before.update(installed(self.tree))

    def _pinned(self) -> list[Pin]:
        files = ("requirements.txt", "requirements-jetson.txt")
        text = "\n".join((self.clone / "provisioning" / name).read_text() for name in files)
        return pins(text, self.bsp.generation.python)

    def _key(self) -> str:
        lines = [self.bsp.release, *(pin.line for pin in self._pinned())]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

    def _sources(self) -> Step:
        """The clone, pip and what it trusts, in the tree."""
        inside = self.tree.root / INSIDE

        def do() -> None:
            copy_clone(self.clone, inside / "tree")
            shutil.copy(certificates(), self.tree.root / CERTIFICATES_INSIDE.lstrip("/"))
            (inside / _PYCUDA_SETTINGS).write_text(_PYCUDA)
            run(self.inside("python3", "-m", "venv", f"/{INSIDE}/pip"), "see what Python said")

        shown = [
            f"copy what git knows of {self.clone} to /{INSIDE}/tree, {certificates()} beside it",
            f"write /{INSIDE}/{_PYCUDA_SETTINGS}: {_PYCUDA.strip()}",
            " ".join(self.inside("python3", "-m", "venv", f"/{INSIDE}/pip")),
        ]
        return Step("sources and pip in the tree", lambda: shown, do)

    def _all_wheels(self, kept: Path) -> list[Step]:
        """The pinned packages: fetched by this machine's pip, or built in the tree."""
        partial = self.work / "wheels-jetson.partial"
        lists = {"fetched": partial / "fetched.txt", "built": partial / "built.txt"}
        inside = self.tree.root / INSIDE

        def write() -> None:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            for pin in self._pinned():
                with lists["built" if pin.name in BUILT else "fetched"].open("a") as file:
                    file.write(f"{pin.line}\n")
            shutil.copy(lists["built"], inside / "built.txt")

        def keep() -> None:
            for wheel in (inside / "built").glob("*.whl"):
                shutil.copy(wheel, partial)
            for path in lists.values():
                path.unlink()
            partial.rename(kept)

        names = {kind: self._names(kind == "built") for kind in lists}
        fetch = download_words(lists["fetched"], partial, self.bsp.generation)
        build = ("--no-deps", "--require-hashes", f"--wheel-dir=/{INSIDE}/built")
        return [
            Step(
                "Python packages: which are fetched, and which are built",
                lambda: [f"write {lists[kind]}: {' '.join(names[kind])}" for kind in lists],
                write,
            ),
            command(
                f"Python packages: wheels for aarch64, Python {self.bsp.generation.python}",
                [sys.executable, "-m", "pip", "--quiet", *fetch],
                "see that PyPI can be reached",
            ),
            command(
                "Python packages: what has no wheel, built in the tree; long where it is emulated",
                self._pip("wheel", *build, f"--requirement=/{INSIDE}/built.txt"),
                "see what pip said",
            ),
            Step("Python packages: kept for the next time", lambda: [f"keep {kept}"], keep),
        ]

    def _names(self, built: bool) -> list[str]:
        return [pin.name for pin in self._pinned() if (pin.name in BUILT) == built]

    def _pip(self, *words: str) -> list[str]:
        environment = pip_environment() | {"HOME": f"/{INSIDE}"}
        environment["PATH"] = f"/usr/local/cuda/bin:{environment['PATH']}"
        settings = [f"{name}={value}" for name, value in environment.items()]
        python = f"/{INSIDE}/pip/bin/python"
        return self.inside("env", *settings, python, "-m", "pip", "--quiet", *words)
