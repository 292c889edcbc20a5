"""Which backend answers, and why: the manifest, the machine and the settings decide.

ONNX Runtime answers from the first picture on, if it is fast enough. Engines that were built for
this machine are looked for meanwhile, loaded and tried in a thread of their own, and answer from
the next picture on. If they fail, ONNX Runtime answers that very picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic_ns, thread_time

import numpy as np

from ytm_bundle.bundle import Bundle
from ytm_bundle.errors import AnswerError, DeviceError
from ytm_device.console import say
from ytm_device.engines.asked import Asked
from ytm_device.engines.engine import Tensor
from ytm_device.engines.golden import expected_of
from ytm_device.engines.mind import ANSWERING, Answer, Mind, OnnxMind, check_finite
from ytm_device.engines.own_thread import OwnThread
from ytm_device.engines.search import Candidate, Search, Wish, load_engines
from ytm_device.health.limits import REFLECTIONS_PER_S
from ytm_device.owner import Owner

FRAME_S = 1 / REFLECTIONS_PER_S
"""A mirror that takes longer for a picture does not move with whoever stands before it."""
SEARCH_WITHIN_S = 1.0
"""Whoever starts waits so long, at most, for what this machine is."""
LOAD_WITHIN_S = 120.0
"""Engines that have not been loaded and tried by then hang."""
TRIES = 3
_LOOK_NS = 1_000_000_000
_NS_PER_S = 1_000_000_000
_SHORT = 8


@dataclass(frozen=True)
class _Built:
    """Engines, and the thread in which they are."""

    candidate: Candidate
    thread: OwnThread[Mind]
    asked: Asked
    begun_ns: int

    @property
    def backend(self) -> str:
        return f"{self.thread.made.result()}, engines {self.candidate.key.folder[:_SHORT]}"


class ChosenMind(Owner):
    """A `Mind` that changes over between two pictures. Used by one thread."""

    def __init__(self, bundle: Bundle, wish: Wish, data: Path, run_dir: Path) -> None:
        """Load the graphs for ONNX Runtime, and begin to look for engines.

        Args:
            bundle: everything of it that is needed later is read here.
            wish: what the settings say.
            data: what lasts on this machine; engines lie there.
            run_dir: gets a mark while engines are asked.

        Raises:
            BundleError: golden vectors or pictures cannot be read.
            DeviceError: a graph cannot be loaded or run, or its answer is not finite.
        """
        self.problem: str | None = None
        """What is wrong with engines that were found; None if nothing is."""
        self._bundle, self._data, self._run_dir, self._wish = bundle, data, run_dir, wish
        self._expected = expected_of(bundle)
        self._built: _Built | None = None
        self._loading: _Built | None = None
        self._second = -1
        self._graphs = OnnxMind({name: bundle.graph_path(name) for name in ANSWERING})
        try:
            self._too_slow = _too_slow(self._graphs, bundle)
        except DeviceError:
            self._graphs.close()
            raise
        self._search = Search(bundle, data, wish)
        # Engines of a bundle that is to come are loaded by the time it comes.
        self._search.wait(SEARCH_WITHIN_S)
        self.look(monotonic_ns(), wish)
        self._say()

    def close(self) -> None:
        """See `Mind.close`."""
        if self._loading is not None:
            self._loading.asked.forget()
            self._loading.thread.close()
        if self._built is not None:
            self._built.thread.close()
        self._graphs.close()

    @property
    def backend(self) -> str:
        """What answers, by name and version."""
        if self._built is not None:
            return self._built.backend
        return "none" if self.silent else self._graphs.backend

    @property
    def engine_key(self) -> str | None:
        """Digest of what the engines that answer depend on; None where none do."""
        return None if self._built is None else self._built.candidate.key.digest

    @property
    def why(self) -> str:
        """Why it is that which answers."""
        if self._built is not None:
            return f"built for this machine: {self._built.candidate.folder}"
        if self._wish.engines == "onnxruntime":
            return "the settings say so"
        if self._loading is not None:
            return "engines for this machine are being loaded"
        return self.problem or self._search.reason or "there are no engines for this machine yet"

    @property
    def silent(self) -> str | None:
        """Why nothing answers; None if something does."""
        if self._built is not None:
            return None
        if self._wish.engines == "tensorrt":
            return f"only TensorRT may answer, and cannot: {self.why}"
        return f"{self._too_slow}; {self.why}" if self._too_slow else None

    def look(self, now_ns: int, wish: Wish) -> None:
        """See, once in every second of CLOCK_MONOTONIC, whether something else is to answer.

        Args:
            now_ns: the time.
            wish: what the settings say by now.
        """
        if now_ns // _LOOK_NS == self._second and wish == self._wish:
            return
        self._second = now_ns // _LOOK_NS
        before = self.backend
        if wish != self._wish:
            self._begin_anew(wish)
        if self._loading is None:
            self._find(now_ns)
        elif self._loading.thread.made.done():
            self._change_over(self._loading)
        elif now_ns - self._loading.begun_ns > LOAD_WITHIN_S * _NS_PER_S:
            self._give_up(self._loading)
        if self.backend != before:
            self._say()

    def answer(self, image: Tensor, noise: Tensor) -> Answer:
        """See `Mind.answer`; what engines answered has been seen to be finite.

        Raises:
            AnswerError: nothing answers; see `silent`.
            DeviceError: ONNX Runtime failed.
        """
        if self._built is not None:
            try:
                return _asked(self._built, image, noise)
            except DeviceError as error:
                self._fall_back(self._built, error)
        if self.silent is not None:
            raise AnswerError(self.silent)
        return self._graphs.answer(image, noise)

    def _begin_anew(self, wish: Wish) -> None:
        for each in (self._loading, self._built):
            if each is not None:
                each.thread.leave()
        self._loading = self._built = self.problem = None
        self._wish, self._search = wish, Search(self._bundle, self._data, wish)

    def _find(self, now_ns: int) -> None:
        current = None if self._built is None else self._built.candidate
        if (found := self._search.newcomer(current)) is None:
            return
        asked = found.asked(self._run_dir)
        load = partial(load_engines, found, self._expected, asked, self._wish)
        self._loading = _Built(found, OwnThread(load), asked, now_ns)

    def _change_over(self, loaded: _Built) -> None:
        self._loading = None
        if (error := loaded.thread.made.exception()) is None:
            if self._built is not None:
                self._built.thread.leave()
            self._built, self.problem = loaded, None
            return
        self._refuse(loaded, f"{loaded.candidate.folder}: {error}")

    def _give_up(self, loading: _Built) -> None:
        self._loading = None
        loading.thread.leave()
        self._refuse(loading, f"{loading.candidate.folder}: no answer within {LOAD_WITHIN_S:g} s")

    def _fall_back(self, built: _Built, error: DeviceError) -> None:
        self._built = None
        built.thread.leave()
        self._refuse(built, f"{built.candidate.folder}: {error}")
        self._say()

    def _say(self) -> None:
        say(f"bundle {self._bundle.id[:_SHORT]}: answered by {self.backend}: {self.why}")

    def _refuse(self, engines: _Built, what: str) -> None:
        self._search.refuse(engines.candidate)
        self.problem = f"{what}; these engines are not used"
        say(self.problem)


def _asked(built: _Built, image: Tensor, noise: Tensor) -> Answer:
    with built.asked.asking():
        answer = built.thread.ask(lambda mind: mind.answer(image, noise)).result()
    check_finite(answer)
    return answer


def _too_slow(mind: Mind, bundle: Bundle) -> str | None:
    """What the log says of a mind that is too slow for a mirror; None for one that is not.

    Processor time counts, of this thread, which does the work: what else the machine does while it
    starts says nothing about later. The least of a few counts, after one to get ready.
    """
    golden = bundle.golden("image_encoder").inputs["image"][:1]
    noise = np.zeros((1, bundle.manifest.latent_size), np.float32)
    check_finite(mind.answer(golden, noise))
    took_s = []
    for _ in range(TRIES):
        begun_s = thread_time()
        mind.answer(golden, noise)
        took_s.append(thread_time() - begun_s)
    if min(took_s) <= FRAME_S:
        return None
    return (
        f"{mind.backend} takes {min(took_s) * 1000:.0f} ms for a picture, more than the"
        f" {FRAME_S * 1000:.0f} ms of a mirror"
    )
