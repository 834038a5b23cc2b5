"""The source's face shape in the form the mesh swapper takes it."""

from __future__ import annotations

import numpy as np

from inference.pipeline.topology import POINT_COUNT, face_topology
from inference.pipeline.types import Doubles, Floats

# Lips move with the expression, so they hardly count when one face is fitted to another.
_LIP_WEIGHT = 0.05


def fit_weights() -> Doubles:
    """(468,) float64: how much each vertex counts in a shape fit."""
    weights = np.ones(POINT_COUNT)
    weights[face_topology().lips] = _LIP_WEIGHT
    return weights


def shape_basis(shape: Doubles) -> Floats:
    """Basis of all poses of a face shape.

    Args:
        shape: (468, 3) float64, any unit and pose.

    Returns:
        (468, 4) float32 Q that spans 1, x, y and z with Q^T W Q = I for the fit weights W, so that
        Q Q^T W t is the weighted least-squares fit of the shape to points t.
    """
    root = np.sqrt(fit_weights())[:, np.newaxis]
    centred = shape - shape.mean(axis=0)
    span = np.hstack([np.ones((POINT_COUNT, 1)), centred / np.abs(centred).max()])
    orthonormal, _ = np.linalg.qr(span * root)
    return np.asarray(orthonormal / root, dtype=np.float32)
