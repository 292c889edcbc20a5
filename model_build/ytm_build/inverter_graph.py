"""The streaming inverter as an ONNX graph: one hop of `ReferenceStream`, its state in and out.

It computes in float32 throughout: in float16 a phase would be rounded to a thousandth of a turn and
squared magnitudes would leave the range. Shapes are fixed, batch 1; see `ytm_bundle.manifest` for
what goes in and comes out.
"""

from __future__ import annotations

import numpy as np
import onnx

from ytm_build.fourier_nodes import FourierNodes
from ytm_build.graph_writer import GraphWriter
from ytm_build.phase_nodes import PhaseNodes, Phasors
from ytm_device.sound.streaming import tables
from ytm_device.sound.streaming.tables import StreamTables

OPSET = 18
_TINIEST = 1e-20


def inverter_model(shared: StreamTables) -> onnx.ModelProto:
    """The graph for a stream: what `ReferenceStream.push` does, and nothing of what it keeps."""
    return _Inverter(shared).model()


class _Inverter:
    """Adds the steps of a hop to a graph, in the order of `ReferenceStream.push`.

    Rows are unfinished frames, `frames` of them, the newest last. Spectra are (frames, 2, bins),
    real and imaginary part.
    """

    def __init__(self, shared: StreamTables) -> None:
        self._shared = shared
        self._writer = GraphWriter()
        self._fourier = FourierNodes(self._writer, shared.frames, shared.n_fft)
        self._forward = self._writer.constant(shared.forward)
        self._bands = self._writer.add("Transpose", self._forward, perm=[1, 0])
        self._tiny = self._writer.constant(np.float32(tables.TINY))

    def model(self) -> onnx.ModelProto:
        """The whole graph."""
        shared, writer = self._shared, self._writer
        frames, bins = shared.frames, shared.bins
        recent = writer.reshape("recent", frames, shared.n_mels)
        known = writer.add("Concat", recent, "power", axis=0)
        mel = writer.slice(known, 1, frames + 1, 0)
        linear = self._linear(known)
        start = writer.slice(linear, 1, frames + 1, 0)
        old = writer.reshape("phasors", frames, 2, bins)
        phasors = self._phasors(old, writer.slice(linear, frames - 1, frames + 1, 0))
        start = writer.reshape(start, frames, 1, bins)
        past = writer.reshape("past", shared.span)
        spectra, size = self._iterated(writer.add("Mul", phasors, start), start, mel, past)
        unit = writer.add("Div", spectra, writer.add("Max", size, self._tiny))
        # Where nothing sounds the phase stays, so that it is there when something does.
        sounds = writer.add("Greater", size, self._tiny)
        kept = writer.add("Where", sounds, unit, phasors)
        writer.reshape(mel, 1, frames, shared.n_mels, name="next_recent")
        writer.reshape(kept, 1, frames, 2, bins, name="next_phasors")
        self._finish(spectra, past)
        state = {
            "recent": (1, frames, shared.n_mels),
            "phasors": (1, frames, 2, bins),
            "past": (1, shared.span),
        }
        outputs = {"hop": (1, shared.hop)} | {f"next_{key}": at for key, at in state.items()}
        return writer.model("inverter", {"power": (1, shared.n_mels)} | state, outputs, OPSET)

    def _linear(self, power: str) -> str:
        """Mel power (rows, n_mels) -> first linear magnitudes (rows, bins)."""
        writer, inverse = self._writer, self._shared.inverse
        product = writer.add("MatMul", power, writer.constant(inverse.T))
        linear = writer.add("Max", product, writer.constant(np.float32(0)))
        if self._shared.updates:
            most = writer.add("ReduceMax", linear, writer.constant([1], np.int64), keepdims=1)
            share = writer.constant(np.float32(tables.LEAST_SHARE))
            linear = writer.add("Max", linear, writer.add("Mul", most, share))
            wanted = writer.add("MatMul", power, self._forward)
        for _ in range(self._shared.updates):
            bands = writer.add("MatMul", linear, self._bands)
            found = writer.add("MatMul", bands, self._forward)
            found = writer.add("Max", found, writer.constant(np.float32(_TINIEST)))
            linear = writer.add("Mul", linear, writer.add("Div", wanted, found))
        return writer.add("Sqrt", linear)

    def _phasors(self, old: str, magnitudes: str) -> str:
        """Phasors to begin with: those of unfinished frames, moved on by one, and the newest's."""
        writer, frames, bins = self._writer, self._shared.frames, self._shared.bins
        last = writer.slice(old, frames - 1, frames, 0)
        parts = [writer.reshape(writer.slice(last, part, part + 1, 1), 1, bins) for part in (0, 1)]
        newest = PhaseNodes(writer, bins).first_phase(magnitudes, Phasors(*parts))
        both = writer.add("Concat", newest.real, newest.imaginary, axis=0)
        newest_row = writer.reshape(both, 1, 2, bins)
        if frames == 1:
            return newest_row
        return writer.add("Concat", writer.slice(old, 1, frames, 0), newest_row, axis=0)

    def _iterated(self, spectra: str, start: str, mel: str, past: str) -> tuple[str, str]:
        """Fast Griffin-Lim: spectra at the end, and their magnitudes (frames, 1, bins)."""
        writer, iterations = self._writer, self._shared.iterations
        momentum = writer.constant(np.float32(tables.MOMENTUM))
        rebuilt = None
        for iteration in range(iterations):
            last, rebuilt = rebuilt, self._analysed(self._pieces(spectra), past)
            ahead = rebuilt
            if last is not None:
                step = writer.add("Mul", writer.add("Sub", rebuilt, last), momentum)
                ahead = writer.add("Add", rebuilt, step)
            size = writer.add("Max", self._size(ahead), self._tiny)
            if iteration < iterations // 2:
                factors = writer.add("Div", start, size)
            else:
                factors = self._factors(size, start, mel)
            spectra = writer.add("Mul", ahead, factors)
        return spectra, self._size(spectra)

    def _size(self, spectra: str) -> str:
        """Magnitudes, (frames, 1, bins)."""
        return self._writer.add(
            "ReduceL2", spectra, self._writer.constant([1], np.int64), keepdims=1
        )

    def _factors(self, size: str, start: str, mel: str) -> str:
        """What brings spectra of magnitudes `size` nearest to the known mel, (frames, 1, bins)."""
        writer, shared = self._writer, self._shared
        flat = writer.reshape(size, shared.frames, shared.bins)
        band = writer.add("MatMul", writer.add("Mul", flat, flat), self._bands)
        least = writer.add("Mul", mel, writer.constant(np.float32(1e-12)))
        least = writer.add("Add", least, writer.constant(np.float32(_TINIEST)))
        missing = writer.add("Div", mel, writer.add("Max", band, least))
        cover = shared.forward.sum(axis=0) + np.float32(1e-12)
        change = writer.add("MatMul", missing, self._forward)
        change = writer.add("Div", change, writer.constant(cover[np.newaxis]))
        wanted = writer.reshape(writer.add("Sqrt", change), shared.frames, 1, shared.bins)
        most = writer.add("Mul", start, writer.constant(np.float32(tables.RISE)))
        return writer.add("Min", wanted, writer.add("Div", most, size))

    def _pieces(self, spectra: str) -> str:
        """Windowed frames, (frames, n_fft), of spectra."""
        window = self._writer.constant(self._shared.window)
        return self._writer.add("Mul", self._fourier.inverse(spectra), window)

    def _analysed(self, pieces: str, past: str) -> str:
        """Spectra of the signal that these pieces and the past make together."""
        writer, shared = self._writer, self._shared
        signal = writer.add("Add", self._overlapped(pieces), past)
        signal = writer.add("Mul", signal, writer.constant(shared.gain))
        row = writer.reshape(signal, 1, shared.span)
        starts = [index * shared.hop for index in range(shared.frames)]
        views = [writer.slice(row, start, start + shared.n_fft, 1) for start in starts]
        frames = writer.add("Concat", *views, axis=0)
        return self._fourier.forward(writer.add("Mul", frames, writer.constant(shared.window)))

    def _overlapped(self, pieces: str) -> str:
        """(frames, n_fft), each a hop after the one before -> their sum, (span,)."""
        writer, shared = self._writer, self._shared
        # Rows one hop longer than the result, written one after the other and read as rows of its
        # length, stand each a hop further on.
        rest = writer.constant(np.zeros((shared.frames, shared.frames * shared.hop)))
        longer = writer.add("Concat", pieces, rest, axis=1)
        flat = writer.reshape(longer, shared.frames * (shared.span + shared.hop))
        kept = writer.slice(flat, 0, shared.frames * shared.span, 0)
        return writer.sum(writer.reshape(kept, shared.frames, shared.span), axis=0)

    def _finish(self, spectra: str, past: str) -> None:
        """Let the oldest frame become past; what no later frame reaches is the hop."""
        writer, shared = self._writer, self._shared
        hop, span = shared.hop, shared.span
        piece = writer.slice(self._pieces(spectra), 0, 1, 0)
        if shared.look_ahead:
            later = writer.constant(np.zeros((1, span - shared.n_fft)))
            piece = writer.add("Concat", piece, later, axis=1)
        whole = writer.add("Add", writer.reshape(past, 1, span), piece)
        done = writer.slice(whole, 0, hop, 1)
        writer.add("Div", done, writer.constant(np.float32(shared.whole)), name="hop")
        silence = writer.constant(np.zeros((1, hop)))
        writer.add("Concat", writer.slice(whole, hop, span, 1), silence, axis=1, name="next_past")
