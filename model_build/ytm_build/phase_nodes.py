"""The first phase of a frame, as nodes of an ONNX graph, with all bins at once.

`ReferenceStream` sweeps twice over the bins: each bin takes its phase along time, or from the bin
beside it if the way through that one is louder. A sweep looks sequential and is not. What the bin
below hands on is a clamp of what that one has reached, and clamps of clamps are clamps; so the
sweep is a prefix scan, done by doubling (Hillis and Steele, "Data parallel algorithms", CACM
29(12), 1986) in as many steps as the number of bins has binary digits. Minima and maxima round
nothing: the ways that are found are those of the sweep. Along them phasors are multiplied by a
second such scan, in another order than the sweep's; only that is rounded differently.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ytm_build.graph_writer import GraphWriter
from ytm_device.sound.streaming import tables

_FAR = 1e30
"""Beyond every logarithm; finite, so that no product with 0 is undefined."""


@dataclass(frozen=True)
class Phasors:
    """Names of a complex tensor's real and imaginary part, float32 (1, bins) each."""

    real: str
    imaginary: str


class PhaseNodes:
    """Adds the first phase to a graph; rows are float32 (1, bins)."""

    def __init__(self, writer: GraphWriter, bins: int) -> None:
        self._writer, self._bins = writer, bins

    def first_phase(self, magnitudes: str, phasors: Phasors) -> Phasors:
        """Phasors of the newest frame.

        Args:
            magnitudes: (2, bins), of the frame before and of the newest one.
            phasors: of the frame before.
        """
        writer = self._writer
        logarithms = writer.add(
            "Log", writer.add("Add", magnitudes, writer.constant(np.float32(tables.FLOOR)))
        )
        before, now = (writer.slice(logarithms, row, row + 1, axis=0) for row in (0, 1))
        found = self._times(self._unit(phasors), self._along(logarithms))
        reached = writer.add("Add", before, writer.constant(np.float32(tables.LEAD)))
        across = self._across(writer.add("Sub", now, before))
        reached, found = self._sweep(reached, now, found, across, from_below=True)
        downwards = Phasors(
            self._shifted(across.real, -1, 1),
            writer.add("Neg", self._shifted(across.imaginary, -1, 0)),
        )
        return self._sweep(reached, now, found, downwards, from_below=False)[1]

    def _along(self, logarithms: str) -> Phasors:
        """From the frame before to this one: half of the time gradients of both."""
        writer, bins = self._writer, self._bins
        turn = 2 * np.pi / tables.OVERLAP * (np.arange(bins) % tables.OVERLAP)
        both = writer.reshape(writer.sum(logarithms, axis=0), 1, bins)
        rise = writer.add("Sub", writer.slice(both, 2, bins, 1), writer.slice(both, 0, bins - 2, 1))
        end = writer.constant(np.zeros((1, 1)))
        slope = writer.add("Concat", end, rise, end, axis=1)
        share = writer.constant(np.float32(1 / (4 * tables.GAMMA * tables.OVERLAP)))
        angle = writer.add("Add", writer.add("Mul", slope, share), writer.constant(turn[None]))
        return Phasors(writer.add("Cos", angle), writer.add("Sin", angle))

    def _across(self, rise: str) -> Phasors:
        """From the bin below to each bin; the lowest has none below, and stays as it is."""
        writer = self._writer
        pair = writer.add("Add", rise, self._shifted(rise, 1, 0))
        share = writer.constant(np.float32(tables.GAMMA * tables.OVERLAP / 4))
        angle = writer.add("Mul", pair, share)
        # A frame begins before its centre, hence pi, left out of the angle for its precision.
        return Phasors(writer.add("Neg", writer.add("Cos", angle)), writer.add("Sin", angle))

    def _sweep(
        self, reached: str, now: str, found: Phasors, step: Phasors, *, from_below: bool
    ) -> tuple[str, Phasors]:
        """One of the sweeps: what is reached, and the phasors, once each bin has asked one side.

        Args:
            reached: what each bin has reached by itself.
            now: what a way through a bin can reach at most.
            found: phasors that bins have by themselves.
            step: what a phasor is multiplied by when it comes from the bin at that side.
            from_below: the side.
        """
        writer, side = self._writer, 1 if from_below else -1
        through = self._shifted(now, side, -_FAR)
        best = self._loudest_ways(reached, through, side)
        offered = writer.add("Min", self._shifted(best, side, -_FAR), through)
        taken = writer.add("Greater", offered, reached)
        start = Phasors(
            writer.add("Where", taken, step.real, found.real),
            writer.add("Where", taken, step.imaginary, found.imaginary),
        )
        one, none = writer.constant(np.float32(1)), writer.constant(np.float32(0))
        return best, self._followed(start, writer.add("Where", taken, one, none), side)

    def _loudest_ways(self, reached: str, through: str, side: int) -> str:
        """The scan of max(reached, min(through, x)), where x is the result of the bin beside."""
        writer, distance = self._writer, 1
        while distance < self._bins:
            beside = self._shifted(reached, side * distance, -_FAR)
            reached = writer.add("Max", reached, writer.add("Min", beside, through))
            through = writer.add("Min", through, self._shifted(through, side * distance, _FAR))
            distance *= 2
        return reached

    def _followed(self, phasors: Phasors, open_: str, side: int) -> Phasors:
        """The scan of products along every way; `open_` is 1 where a way comes from beside."""
        writer, distance = self._writer, 1
        one, none = writer.constant(np.float32(1)), writer.constant(np.float32(0))
        while distance < self._bins:
            going_on = writer.add("Greater", open_, none)
            real = self._shifted(phasors.real, side * distance, 1)
            imaginary = self._shifted(phasors.imaginary, side * distance, 0)
            factor = Phasors(
                writer.add("Where", going_on, real, one),
                writer.add("Where", going_on, imaginary, none),
            )
            phasors = self._times(phasors, factor)
            open_ = writer.add("Mul", open_, self._shifted(open_, side * distance, 0))
            distance *= 2
        return phasors

    def _shifted(self, row: str, by: int, fill: float) -> str:
        """`row` moved up by so many bins, or down if negative; what comes in is `fill`."""
        writer, size = self._writer, abs(by)
        filling = writer.constant(np.full((1, size), fill))
        if by > 0:
            return writer.add("Concat", filling, writer.slice(row, 0, self._bins - size, 1), axis=1)
        return writer.add("Concat", writer.slice(row, size, self._bins, 1), filling, axis=1)

    def _unit(self, phasors: Phasors) -> Phasors:
        """Of length 1: where it is silent for days, rounding would let them grow or shrink."""
        writer = self._writer
        squares = [writer.add("Mul", each, each) for each in (phasors.real, phasors.imaginary)]
        size = writer.add("Sqrt", writer.add("Add", *squares))
        return Phasors(
            writer.add("Div", phasors.real, size), writer.add("Div", phasors.imaginary, size)
        )

    def _times(self, one: Phasors, other: Phasors) -> Phasors:
        """The product of two rows of complex numbers."""
        writer = self._writer
        real = writer.add(
            "Sub",
            writer.add("Mul", one.real, other.real),
            writer.add("Mul", one.imaginary, other.imaginary),
        )
        imaginary = writer.add(
            "Add",
            writer.add("Mul", one.real, other.imaginary),
            writer.add("Mul", one.imaginary, other.real),
        )
        return Phasors(real, imaginary)
