"""Formulas in float64, written from the published contracts and not from the engine's code.

Pictures are functions of x and y, so that a crop of them is known exactly, whatever the filter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inference.pipeline.types import Detection, Face, Landmarks

# Eyes, nose and mouth corners as fractions of the crop, as the vendors publish them.
TEMPLATES = {
    "arcface_112_v1": [
        (0.35473214, 0.45658929),
        (0.64526786, 0.45658929),
        (0.5, 0.61154464),
        (0.37913393, 0.776875),
        (0.62086607, 0.776875),
    ],
    "arcface_112_v2": [
        (0.34191607, 0.46157411),
        (0.65653393, 0.45983393),
        (0.500225, 0.64050536),
        (0.37097589, 0.82469196),
        (0.63151696, 0.82325089),
    ],
    "arcface_128": [
        (0.36167656, 0.40387734),
        (0.63696719, 0.40235469),
        (0.50019687, 0.56044219),
        (0.38710391, 0.72160547),
        (0.61507734, 0.72034453),
    ],
    "ffhq_512": [
        (0.37691676, 0.46864664),
        (0.62285697, 0.46912813),
        (0.50123859, 0.61331904),
        (0.39308822, 0.725411),
        (0.61150205, 0.72490465),
    ],
    "mtcnn_512": [
        (0.36562865, 0.46733799),
        (0.63305391, 0.46585885),
        (0.50019127, 0.61942959),
        (0.39032951, 0.77598822),
        (0.61178945, 0.77476328),
    ],
}


@dataclass(frozen=True)
class Scene:
    """A picture as a function: smooth waves of RGB 0..255."""

    seed: int
    wave_px: float = 90.0

    def rgb(self, x, y):
        random = np.random.default_rng(self.seed)
        total = np.zeros((*np.shape(x), 3))
        for _ in range(4):
            direction = random.uniform(0, np.pi, 3)
            wave = self.wave_px * random.uniform(0.8, 3, 3)
            phase = random.uniform(0, 2 * np.pi, 3)
            along = np.multiply.outer(x, np.cos(direction)) + np.multiply.outer(
                y, np.sin(direction)
            )
            total += np.sin(along * 2 * np.pi / wave + phase)
        return 128 + total * 25

    def image_bgr(self, width, height):
        y, x = np.mgrid[0:height, 0:width].astype(np.float64)
        return np.rint(self.rgb(x, y)[:, :, ::-1]).astype(np.uint8)

    def crop_rgb(self, five, template, size):
        """(S, S, 3) as seen through the crop; pixel centres at whole numbers."""
        v, u = np.mgrid[0:size, 0:size].astype(np.float64)
        back = invert(similarity(five, template, size))
        return self.rgb(*move(back, u, v))


def five_at(x, y, side, angle_deg, seed=0):
    """(5, 2): a face of about this template side, no template fits it without a rest."""
    points = np.asarray(TEMPLATES["arcface_112_v2"]) * side - side / 2
    points += np.random.default_rng(seed).normal(0, 0.015 * side, (5, 2))
    angle = np.deg2rad(angle_deg)
    turn = np.asarray([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return points @ turn.T + [x, y]


def face_of(five, outline=None):
    """A face as the analysis would hand it on."""
    points = np.asarray(five, np.float32)
    low, high = points.min(axis=0), points.max(axis=0)
    reach = (high - low) * 0.6
    box = np.concatenate([low - reach, high + reach]).astype(np.float32)
    landmarks = Landmarks(
        five=points,
        score=1.0,
        outline=None if outline is None else np.asarray(outline, np.float32),
    )
    return Face(detection=Detection(box_xyxy=box, points=points, score=1.0), landmarks=landmarks)


def similarity(five, template, size):
    """(2, 3): least squares for x' = ax - by + tx, y' = bx + ay + ty, as linear equations."""
    five = np.asarray(np.asarray(five, np.float32), np.float64)
    wanted = np.asarray(TEMPLATES[template]) * size
    rows, right = [], []
    for (x, y), (u, v) in zip(five, wanted, strict=True):
        rows += [[x, -y, 1, 0], [y, x, 0, 1]]
        right += [u, v]
    a, b, tx, ty = np.linalg.lstsq(np.asarray(rows), np.asarray(right), rcond=None)[0]
    return np.asarray([[a, -b, tx], [b, a, ty]])


def invert(matrix):
    return np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]


def move(matrix, x, y):
    return (
        matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2],
        matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2],
    )


def bilinear(plane, x, y):
    """Values of an (H, W) plane at x, y; 0 beside it."""
    height, width = plane.shape
    framed = np.zeros((height + 2, width + 2))
    framed[1:-1, 1:-1] = plane
    x, y = np.clip(x + 1, 0, width + 0.999), np.clip(y + 1, 0, height + 0.999)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right, down = x - left, y - top
    upper = framed[top, left] * (1 - right) + framed[top, left + 1] * right
    lower = framed[top + 1, left] * (1 - right) + framed[top + 1, left + 1] * right
    return upper * (1 - down) + lower * down


def resized(plane, size):
    """A square plane at another size: means of whole blocks, or straight lines between centres."""
    old = len(plane)
    if old % size == 0:
        step = old // size
        return plane.reshape(size, step, size, step, *plane.shape[2:]).mean(axis=(1, 3))
    at = np.clip((np.arange(size) + 0.5) * old / size - 0.5, 0, old - 1)
    first = np.minimum(at.astype(int), old - 2)
    share = at - first
    matrix = np.zeros((size, old))
    matrix[np.arange(size), first] = 1 - share
    matrix[np.arange(size), first + 1] += share
    rows = np.tensordot(matrix, plane, axes=1)
    return np.moveaxis(np.tensordot(matrix, rows, axes=(1, 1)), 0, 1)


def gaussian(plane, sigma):
    """Gaussian of an (H, W) plane, mirrored at the border without repeating the edge."""
    return _smoother(plane.shape[0], sigma) @ plane @ _smoother(plane.shape[1], sigma).T


def _smoother(size, sigma):
    """(S, S): row i holds the weights of all pixels in the smoothed pixel i."""
    radius = min(int(np.ceil(6 * sigma)), size - 1)
    at = np.arange(-radius, radius + 1)
    kernel = np.exp(-(at**2) / (2 * sigma**2))
    kernel /= kernel.sum()
    places = np.abs(np.arange(size)[:, np.newaxis] + at)
    places = np.where(places >= size, 2 * (size - 1) - places, places)
    matrix = np.zeros((size, size))
    np.add.at(matrix, (np.arange(size)[:, np.newaxis], places), kernel)
    return matrix


def soft_edge(mask):
    """The edge moves inwards; sigma 5 px on a crop of 256 px."""
    return np.clip((gaussian(mask, 5 * len(mask) / 256) - 0.5) * 2, 0, 1)


def box_mask(size, blur=0.3, padding=(0, 0, 0, 0)):
    amount = int(size * 0.5 * blur)
    border = max(amount // 2, 1)
    top, right, bottom, left = (max(border, int(size * percent / 100)) for percent in padding)
    mask = np.ones((size, size))
    mask[:top] = mask[:, :left] = 0
    mask[size - bottom :] = mask[:, size - right :] = 0
    return gaussian(mask, amount * 0.25) if amount else mask


def embedding(scene, five):
    """What the recogniser's stand-in sees in a picture: pooled pixels of -1..1 less their mean."""
    crop = scene.crop_rgb(five, "arcface_112_v2", 112) / 127.5 - 1
    planes = crop.transpose(2, 0, 1)
    pooled = planes.reshape(3, 14, 8, 14, 8).mean(axis=(2, 4)).reshape(-1)[38:550]
    return (pooled - pooled.mean()) * 2


def unit(vector):
    return vector / np.sqrt((vector**2).sum())
