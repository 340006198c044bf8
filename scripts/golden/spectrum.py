#!/usr/bin/env python3
"""Eigenvalues and singular values by scipy, for crates/harness/tests/golden/spectrum.json.

Needs numpy and scipy: `python3 scripts/golden/spectrum.py > crates/harness/tests/golden/spectrum.json`.
"""

import json

import numpy as np
import scipy
from scipy import linalg


def matrices():
    """Of odd sizes: one drawn, one with complex pairs only, one defective, one whose scales span fourteen decades."""
    draws = np.random.Generator(np.random.PCG64(7))
    yield "drawn", draws.normal(size=(7, 7)) / np.sqrt(7)
    turn = np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    yield "turns", linalg.block_diag(0.9 * turn, 1.1 * turn @ turn)
    yield "defective", np.array([[0.5, 1.0, 0.0], [0.0, 0.5, 1.0], [0.0, 0.0, 0.5]])
    scales = np.diag(10.0 ** -np.arange(0, 15, 3))
    q, _ = linalg.qr(draws.normal(size=(5, 5)))
    yield "graded", q @ scales @ q.T


def main():
    found = []
    for name, matrix in matrices():
        values = linalg.eigvals(matrix)
        order = np.lexsort((values.imag, values.real))
        found.append(
            {
                "name": name,
                "size": len(matrix),
                "values": matrix.ravel().tolist(),
                "eigenvalues": [[v.real, v.imag] for v in values[order]],
                "singular_values": linalg.svdvals(matrix).tolist(),
            }
        )
    print(json.dumps({"scipy": scipy.__version__, "matrices": found}, indent=1))


if __name__ == "__main__":
    main()
