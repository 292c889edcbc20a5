"""The Fourier transform of real frames, and back, as matrix products in an ONNX graph.

No runtime's own operator is used: TensorRT has none. A transform of n = n1 * n2 samples is two
small products with a turn of every value between them (Cooley and Tukey, "An algorithm for the
machine calculation of complex Fourier series", 1965), so that the constants of a transform of 1,024
samples take 40 kB instead of the whole matrix's 4 MB. Complex values are real and imaginary part
along an axis of two.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ytm_build.graph_writer import GraphWriter

Matrix = npt.NDArray[np.float64]


class FourierNodes:
    """Adds transforms of `rows` frames of `n_fft` samples, a power of two, to a graph."""

    def __init__(self, writer: GraphWriter, rows: int, n_fft: int) -> None:
        self._writer, self._rows, self._n_fft = writer, rows, n_fft
        self._first = 1 << (n_fft.bit_length() - 1) // 2
        self._second = n_fft // self._first
        self._half = self._second // 2 + 1
        """Of the second factor's frequencies, those that a real signal's spectrum consists of."""

    def forward(self, frames: str) -> str:
        """float32 (rows, n_fft) -> float32 (rows, 2, n_fft // 2 + 1)."""
        writer, rows, first, second = self._writer, self._rows, self._first, self._second
        along = _angles(first, first, first)
        # Sample second * a + b, frequency c + first * d: over a, a turn by b * c, over b.
        inner = np.concatenate([np.cos(along), -np.sin(along)])[np.newaxis]
        columns = writer.reshape(frames, rows, first, second)
        partial = writer.add("MatMul", writer.constant(inner), columns)
        turned = self._turned(partial, -_angles(first, second, self._n_fft))
        outer = _angles(second, self._half, second)
        real = np.concatenate([np.cos(outer), -np.sin(outer)], axis=1)
        imaginary = np.concatenate([np.sin(outer), np.cos(outer)], axis=1)
        both = writer.constant(np.stack([real, imaginary])[np.newaxis])
        spectra = writer.sum(writer.add("MatMul", turned, both), axis=1)
        spectra = writer.reshape(spectra, rows, first, 2, self._half)
        spectra = writer.add("Transpose", spectra, perm=[0, 2, 3, 1])
        spectra = writer.reshape(spectra, rows, 2, self._half * first)
        return writer.slice(spectra, 0, self._n_fft // 2 + 1, axis=2)

    def inverse(self, spectra: str) -> str:
        """float32 (rows, 2, n_fft // 2 + 1) -> float32 (rows, n_fft)."""
        writer, rows, first, second = self._writer, self._rows, self._first, self._second
        weights = np.full(self._n_fft // 2 + 1, 2 / self._n_fft)
        weights[[0, -1]] /= 2
        weighted = writer.add("Mul", spectra, writer.constant(weights))
        rest = writer.constant(np.zeros((rows, 2, first - 1)))
        whole = writer.add("Concat", weighted, rest, axis=2)
        outer = _angles(second, self._half, second)
        real = np.concatenate([np.cos(outer), -np.sin(outer)], axis=1)
        imaginary = np.concatenate([np.sin(outer), np.cos(outer)], axis=1)
        both = writer.constant(np.concatenate([real, imaginary])[np.newaxis])
        partial = writer.add("MatMul", both, writer.reshape(whole, rows, 2 * self._half, first))
        turned = self._turned(partial, _angles(second, first, self._n_fft))
        along = _angles(first, first, first)
        inner = writer.constant(np.stack([np.cos(along), -np.sin(along)])[np.newaxis])
        frames = writer.sum(writer.add("MatMul", turned, inner), axis=1)
        frames = writer.add("Transpose", frames, perm=[0, 2, 1])
        return writer.reshape(frames, rows, self._n_fft)

    def _turned(self, tensor: str, angles: Matrix) -> str:
        """(rows, 2 * a, b), complex, by angles (a, b) in radians: (rows, 2, a, b)."""
        writer, (down, across) = self._writer, angles.shape
        cosine, sine = np.cos(angles), np.sin(angles)
        factors = np.stack([np.stack([cosine, -sine]), np.stack([sine, cosine])])
        parts = writer.reshape(tensor, self._rows, 1, 2, down, across)
        products = writer.add("Mul", parts, writer.constant(factors[np.newaxis]))
        return writer.sum(products, axis=2)


def _angles(down: int, across: int, turn: int) -> Matrix:
    """Radians (down, across): the product of both indices, `turn` of which are a whole turn."""
    # Whole turns are left out before the rounding.
    products = np.outer(np.arange(down), np.arange(across)) % turn
    return np.asarray(2 * np.pi * products / turn)
