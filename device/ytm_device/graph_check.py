"""Whether a bundle may be let in: run in a process of its own, which `BundleTrial` starts.

A graph can crash what runs it, or never end. Here that ends this process alone. What is found is
printed as one line of JSON: `{"id": ...}`, or `{"refused": ..., "passing": ...}`.
"""

from __future__ import annotations

import argparse
import errno
import json
import math
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from ytm_bundle.bundle import Bundle, open_bundle
from ytm_bundle.errors import AnswerError, YtmError
from ytm_bundle.manifest import GraphName
from ytm_device.engines.engine import Engine, Tensor
from ytm_device.last_good import keep, stated_id

LONGEST_S = 300
"""On the wall clock, where the machine is busy or the disk slow."""
OPENING_TIMES = 3
"""Of the most processor time: what may be taken until the bundle is open."""
SLOWNESS = 10
"""The graphs may take so many times the processor time it took to get to them, if that is more: a
processor that is slow at Python and digests is slow at graphs."""
NICENESS = 10
_FIRST_VICTIM = "1000"
_LASTING = (errno.ENOENT, errno.ENOTDIR)
"""What is missing stays so until somebody puts it there, which is noticed."""


def check_graphs(bundle: Bundle) -> None:
    """Run every graph of `bundle` on its golden inputs, and those that answer on one of its stills.

    Raises:
        BundleError: the golden vectors or stills cannot be read.
        DeviceError: a graph cannot be loaded or run, is off by more than the manifest allows, or
            gives what is not finite.
    """
    # Late: that the engine cannot be loaded must be told like everything else.
    from ytm_device.engines.golden import distance
    from ytm_device.engines.onnx import OnnxEngine

    engines: dict[GraphName, Engine] = {
        name: OnnxEngine(bundle.graph_path(name)) for name in bundle.manifest.graphs
    }
    for name, spec in bundle.manifest.graphs.items():
        golden = bundle.golden(name)
        found = engines[name].run_all(**golden.inputs)
        if not golden.next_state and len(found) == 1:
            # The only output may have any name in the file.
            found = dict.fromkeys([spec.output.name], *found.values())
        for output, right in {spec.output.name: golden.output, **golden.next_state}.items():
            off = distance(found[output], right) if output in found else math.inf
            # Also where it is not a number.
            if not off <= spec.tolerance:
                what = f"its {output} is off by {off:.2g}, over the tolerance {spec.tolerance:g}"
                raise _wrong(bundle, name, what)
    _check_still(bundle, engines)


def _check_still(bundle: Bundle, engines: Mapping[GraphName, Engine]) -> None:
    def run(name: GraphName, **offered: Tensor) -> Tensor:
        inputs = {each.name: offered[each.name] for each in bundle.manifest.graphs[name].inputs}
        found = engines[name].run(**inputs)
        if not np.isfinite(found).all():
            raise _wrong(bundle, name, "answers a still of the bundle with what is not finite")
        return found

    # uint8 (1, h, w, 3) -> float32 (1, 3, h, w) in [0, 1]
    still = (bundle.replay().images[:1].transpose(0, 3, 1, 2) / np.float32(255)).astype(np.float32)
    noise = np.zeros((1, bundle.manifest.latent_size), np.float32)
    latent = run("image_encoder", image=still)
    run("image_decoder", latent=latent)
    heard = run("image_to_sound", latent=latent, image=still, noise=noise)
    run("sound_decoder", latent=heard)


def _wrong(bundle: Bundle, name: GraphName, what: str) -> AnswerError:
    return AnswerError(f"{bundle.graph_path(name)}: {what}; build the bundle again")


def is_passing(error: BaseException) -> bool:
    """Whether the bundle that raised `error` may be found right later: the machine was not."""
    if isinstance(error, MemoryError | ImportError):
        return True
    cause = error if isinstance(error, OSError) else error.__cause__
    return isinstance(cause, OSError) and cause.errno not in (None, *_LASTING)


def _bound(most_cpu_s: float) -> None:
    """End this process should it take too long; neither limit can be evaded by what hangs in C."""
    signal.setitimer(signal.ITIMER_PROF, OPENING_TIMES * most_cpu_s)
    signal.alarm(LONGEST_S)
    # Where memory is short, it is this process that goes.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_VICTIM, encoding="ascii")


def _bound_graphs(most_cpu_s: float) -> None:
    """From now on, end this process should the graphs take too long for this machine."""
    if most_cpu_s:
        allowed_s = max(most_cpu_s, SLOWNESS * time.process_time())
        signal.setitimer(signal.ITIMER_PROF, allowed_s)


def _step_back() -> None:
    """Let whoever else wants the processor have it."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    except PermissionError:
        # The sandboxes of sound and screen allow another policy, but no niceness.
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def judged(path: Path, last_good: Path | None, most_cpu_s: float = 0) -> str:
    """The id of the bundle at `path`, which is good, and is kept at `last_good` from then on.

    One that is kept there already was found good before. This process ends where the graphs take
    longer than `most_cpu_s` of the processor, unless that is slow; 0: any time.

    Raises:
        BundleError: it is not whole.
        DeviceError: its graphs do not do what they must.
        OSError: there is no room to unpack it.
    """
    with open_bundle(path) as bundle:
        bundle.mel_matrices()
        _bound_graphs(most_cpu_s)
        if last_good is None:
            check_graphs(bundle)
        elif stated_id(last_good) != bundle.id:
            check_graphs(bundle)
            try:
                keep(bundle, last_good)
            except OSError as error:
                print(f"{last_good}: the bundle cannot be kept there ({error})", file=sys.stderr)
        return bundle.id


def main(words: Sequence[str] | None = None) -> None:
    """Judge one bundle."""
    parser = argparse.ArgumentParser(prog="graph_check", description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="copy a good one there")
    parser.add_argument("--most-cpu-s", type=float, default=0, metavar="S", help="0: any time")
    parser.add_argument("--nice", action="store_true", help="let everybody else go first")
    arguments = parser.parse_args(words)
    _bound(arguments.most_cpu_s)
    if arguments.nice:
        _step_back()
    verdict: dict[str, object]
    try:
        verdict = {"id": judged(arguments.bundle, arguments.keep, arguments.most_cpu_s)}
    except (YtmError, OSError, MemoryError, ImportError) as error:
        verdict = {"refused": str(error) or repr(error), "passing": is_passing(error)}
    print(json.dumps(verdict))


if __name__ == "__main__":
    main()
