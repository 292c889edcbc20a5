"""NVIDIA's sample root file system made the mirror's, as a tree that NVIDIA's tools can flash."""

from __future__ import annotations

import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from ytm_build.image import extlinux, first_boot, flashing, power
from ytm_build.image.bsp import MARK, Bsp
from ytm_build.image.building import INSIDE, Building
from ytm_build.image.packages import held, nvidias, without_undecided_sources
from ytm_build.image.ready import alone, is_empty, obstacles
from ytm_build.image.running import run
from ytm_build.image.steps import Say, Step, changes, command, follow, show
from ytm_build.image.tree import Change, Linked, Removed, Tree, Written
from ytm_bundle.errors import ImageError, UsageError
from ytm_bundle.files import replacing, sync_folder

_NO_SERVICES = "usr/sbin/policy-rc.d"
_RESOLVER = "../run/systemd/resolve/stub-resolv.conf"
_VENV = "opt/ytm/venv"
_ENABLED = "etc/systemd/system/multi-user.target.wants/ytm.target"


@dataclass(frozen=True)
class Request:
    """What is to be made."""

    clone: Path
    """A clone of this project."""
    work: Path
    """Where wheels are kept, so that the next tree takes less time."""
    bsp: Bsp
    out: Path
    board: str
    """As NVIDIA's tools call it."""
    bundle: Path | None
    ssh_key: Path | None
    console: str | None
    """Where the kernel speaks, such as ttyTCU0; nowhere unless given."""
    power_mode: str | None
    """As nvpmodel calls it; NVIDIA's default unless given."""
    sd_image: Path | None

    @property
    def partial(self) -> Path:
        """Where the tree is made, beside where it will stand."""
        return self.out.with_name(f".{self.out.name}.partial")

    @property
    def tree(self) -> Tree:
        """The root file system that is made."""
        return Tree(self.partial / "rootfs")


def check(request: Request) -> None:
    """Check what was asked for against what is there.

    Raises:
        UsageError: a flag has a value that cannot work.
    """
    boards = request.bsp.boards()
    if request.board not in boards:
        raise UsageError(f"--board: the BSP has no {request.board!r}; it has {', '.join(boards)}")
    if request.sd_image is not None and not flashing.has_sd(request.bsp, request.board):
        raise UsageError(f"--sd-image: NVIDIA's tools make none for {request.board}")
    out, source = request.out.resolve(), request.bsp.folder.resolve()
    if out == source or out in source.parents or source in out.parents:
        raise UsageError(f"--out: {out} and the BSP lie in each other; the BSP is left as it is")
    if os.path.lexists(request.out) and not is_empty(request.out):
        raise UsageError(f"--out: {request.out} is there already; remove it, or give another")
    if os.path.lexists(request.bsp.rootfs.root / INSIDE):
        raise UsageError(f"--bsp: its root has a folder /{INSIDE}; give NVIDIA's own BSP")
    if request.power_mode is not None:
        power.with_mode(request.bsp.rootfs, request.power_mode)


def steps(request: Request) -> list[Step]:
    """How the tree is made, in order."""
    tree, before = request.tree, request.bsp.rootfs
    building = Building(request.clone, request.work, request.bsp, tree)
    copy = ["cp", "-a", "--reflink=auto", "--", str(request.bsp.folder), str(request.partial)]
    hold = building.inside("apt-mark", "hold", *nvidias(before))
    return [
        command("a copy of NVIDIA's BSP", copy, "see whether the disk is full"),
        changes("apt as it is to be meanwhile", before, tree, _while_building),
        command("NVIDIA's packages held", hold, "see what apt-mark said"),
        *building.packages(),
        *building.wheels(),
        _installing(request, building, closing=False),
        building.without_packages(),
        _installing(request, building, closing=True),
        changes("no questions at the first start", before, tree, first_boot.answered),
        changes("what the kernel is told", before, tree, lambda each: _kernel(request, each)),
        *_power(request),
        _clean(request),
        Step("looking at what was made", lambda: ["look"], lambda: look(tree)),
        _finish(request),
        *_sd_image(request),
    ]


def make_tree(request: Request, say: Say) -> None:
    """Make the tree; nothing stands at `request.out` before it is whole.

    Raises:
        ImageError: something is missing on this machine, or a step failed.
    """
    for problem in obstacles(request.bsp, request.out):
        raise ImageError(problem)
    with alone(request.work, request.out.parent):
        shutil.rmtree(request.partial, ignore_errors=True)
        try:
            follow(steps(request), say)
        finally:
            shutil.rmtree(request.partial, ignore_errors=True)


def show_tree(request: Request, say: Say) -> None:
    """Say how the tree would be made, and what stands in the way; nothing is changed."""
    for problem in obstacles(request.bsp, request.out):
        say(f"not here: {problem}")
    show(steps(request), say)


def _while_building(tree: Tree) -> list[Change]:
    """Names on the net are found, and no package starts its service on this machine."""
    return [
        *without_undecided_sources(tree),
        Linked("etc/resolv.conf", _RESOLVER),
        Written(_NO_SERVICES, "#!/bin/sh\nexit 101\n", 0o755),
    ]


def _installing(request: Request, building: Building, *, closing: bool) -> Step:
    """provisioning/install.sh, from within the tree, where no link can lead it out."""
    inside = request.tree.root / INSIDE
    script = f"/{INSIDE}/tree/provisioning/install.sh"
    words = ["bash", script, "--wheels", f"/{INSIDE}/wheels", "--jetson"]
    shown, copies = [], []
    for flag, source, name in (
        ("--bundle", request.bundle, "bundle"),
        ("--ssh-key", request.ssh_key, "key.pub"),
    ):
        if source is not None and not closing:
            words += [flag, f"/{INSIDE}/{name}"]
            shown.append(f"copy {source} to /{INSIDE}/{name}")
            copies.append((source, inside / name))
    words += ["--close"] if closing else []
    whole = building.inside(*words)

    def do() -> None:
        for source, target in copies:
            shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
        run(whole, "see what install.sh said")

    return Step("closing" if closing else "installing", lambda: [*shown, shlex.join(whole)], do)


def _kernel(request: Request, tree: Tree) -> list[Change]:
    text = tree.read(extlinux.PATH)
    if text is None:
        raise ImageError(f"/{extlinux.PATH}: is missing; run apply_binaries.sh of the BSP")
    return [Written(extlinux.PATH, extlinux.with_parameters(text, request.console))]


def _power(request: Request) -> list[Step]:
    mode = request.power_mode
    if mode is None:
        return []
    before, tree = request.bsp.rootfs, request.tree
    return [changes(f"power mode {mode}", before, tree, lambda each: power.with_mode(each, mode))]


def _clean(request: Request) -> Step:
    def do() -> None:
        shutil.rmtree(request.tree.root / INSIDE)
        request.tree.change([Removed(_NO_SERVICES)])

    return Step(
        "nothing of building is left", lambda: [f"remove /{INSIDE}", f"remove /{_NO_SERVICES}"], do
    )


def look(tree: Tree) -> None:
    """Check that a tree which was made is the mirror's.

    Raises:
        ImageError: it is not, and why.
    """
    problems = first_boot.still_asked(tree)
    if tree.target(_ENABLED) is None:
        problems.append(f"/{_ENABLED} is missing")
    if not tree.path(f"{_VENV}/bin/ytm-mirror").is_file():
        problems.append(f"/{_VENV} holds no ytm-mirror")
    if not tree.names(f"{_VENV}/lib", ["python3*"]):
        problems.append(f"/{_VENV} holds no Python packages")
    if not tree.path("opt/ytm/tensorrt/tensorrt").is_dir():
        problems.append("TensorRT is not linked")
    free = sorted(set(nvidias(tree)) - held(tree))
    if free:
        problems.append(f"{', '.join(free)} may be upgraded")
    if problems:
        raise ImageError(f"{tree.root}: is not as it should be: {'; '.join(problems)}")


def _finish(request: Request) -> Step:
    """The tree takes its place, whole and on the disk."""
    text = flashing.text(request.bsp, request.board)

    def do() -> None:
        (request.partial / MARK).write_text(text, encoding="utf-8")
        run(["sync", "--file-system", str(request.partial)], "see whether the disk is well")
        if request.out.is_dir():
            request.out.rmdir()
        request.partial.rename(request.out)
        sync_folder(request.out.parent)

    shown = [f"write {MARK}:", *(f"  {line}" for line in text.splitlines())]
    shown.append(f"mv {request.partial} {request.out}")
    return Step("the tree takes its place", lambda: shown, do)


def _sd_image(request: Request) -> list[Step]:
    image = request.sd_image
    if image is None:
        return []

    def do() -> None:
        with replacing(image) as temporary:
            words = flashing.sd_words(request.out, request.board, temporary.absolute())
            run(words, "see what NVIDIA's tool said")

    words = flashing.sd_words(request.out, request.board, image)
    return [Step("an image for an SD card, by NVIDIA's tool", lambda: [shlex.join(words)], do)]
