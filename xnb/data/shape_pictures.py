"""Generated pictures of one object that is known pixel by pixel.

The form of one object tells the class: its size, angle and colour, and the textured background, are drawn without
looking at the class, and all forms cover the same area. Its position is uniform wherever the form fits in, so a long
bar stays nearer to the middle than a disk: from the position alone, 26 % of the classes can be guessed instead of
17 %. Two facts are tested on a trained network: new backgrounds leave the accuracy, deleted objects leave chance. They
show that the object is needed, not that its pixels are all the evidence: a form has two sides, and a ring whose hole
is filled is a disk. `widen_masks` takes in what lies just outside.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from scipy import ndimage

from xnb.check import require
from xnb.data.drawing import FORMS, Pose, cover_form, draw_clouds, draw_colour, draw_form, draw_pose, move_inside
from xnb.data.split import Part, Split
from xnb.types import Masks

SHAPE_CLASSES = tuple(FORMS)
SHAPE_AREA = (0.06, 0.14)  # of the picture; below, forms of 32 x 32 pictures blur into one another
_NOISE = 0.03  # deviation of the noise on an object
BLUR = 1.0  # pixels: the deviation of the Gaussian that takes the finest grain from a background
MARK_COLOURS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]], dtype=float)


@dataclass(frozen=True)
class ShapeEdit:
    """What of every labelled object is drawn otherwise; all other pixels stay as they are, to the last bit.

    Args:
        form: another form, of the same area at the same place and angle, moved in where it would stand out of the
            picture; the label is that of the new form.
        colour: red, green and blue in [0, 1]; the noise of the object stays.
        shift: rows and columns by which it is moved, as far as it fits in.
    """

    form: str | None = None
    colour: tuple[float, float, float] | None = None
    shift: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        known = self.form is None or self.form in SHAPE_CLASSES
        require(known, "ShapeEdit: form must be a class of shapes", self.form, 'ShapeEdit(form="square")')
        colour = self.colour or (0, 0, 0)
        fits = len(colour) == 3 and all(0 <= value <= 1 for value in colour)
        require(fits, "ShapeEdit: colour is three numbers in [0, 1]", self.colour, "ShapeEdit(colour=(1.0, 0.0, 0.0))")


@dataclass(frozen=True)
class _ShapeStyle:
    """The size of the pictures and what is drawn beside the object, see `shapes`."""

    size: int
    distractors: int
    watermark: float | None
    second: bool
    objects: bool
    blurred: tuple[str, ...]
    edit: ShapeEdit


def shapes(
    size: int = 32,
    n: tuple[int, int] = (2000, 500),
    seed: int = 0,
    *,
    distractors: int = 0,
    watermark: float | None = None,
    second: bool = False,
    background: int | None = None,
    objects: bool = True,
    blurred: tuple[str, ...] = (),
    edit: ShapeEdit | None = None,
) -> Split:
    """Colour pictures `(N, 3, size, size)` of a disk, square, triangle, cross, ring or bar, with exact masks.

    A pixel belongs to the mask if its centre lies in the object; nothing is smoothed. Classes take turns. Picture i
    is a function of (seed, part, i), whatever `n`; part is 0 for training and 1 for testing.

    Args:
        size: side in pixels, at least 16.
        n: number of training and test pictures.
        distractors: dots of random colour that mean nothing, below the object.
        watermark: probability that the colour of a mark in the lower right corner agrees with the class, as in
            Clever Hans tests; 1/6 is chance, None draws no mark. The mark lies on top, and not in the mask.
        second: also draw an object of another class, of half the area; the label and the mask are the larger one's.
        background: another seed for the backgrounds alone: the same objects before new ones.
        objects: False leaves out the labelled object alone; a network that looks at nothing else is then at chance.
        blurred: classes whose backgrounds are slightly blurred: a cue that tells these classes and has no place.
        edit: what of the objects is drawn otherwise: the same pictures, one thing changed. Backgrounds are blurred by
            the form that the picture had.

    Raises:
        ValueError: `size`, `n`, `distractors` or `watermark` out of range, an unknown class in `blurred`.
    """
    require(size >= 16, "shapes: size must be at least 16 pixels", size, "size=32")
    require(min(n) >= 0, "shapes: n must be two numbers of pictures", n, "n=(2000, 500)")
    require(distractors >= 0, "shapes: distractors is a number of dots", distractors, "distractors=3")
    fits = watermark is None or 0 <= watermark <= 1
    require(fits, "shapes: watermark is a probability, or None", watermark, "watermark=0.9")
    known = set(blurred) <= set(SHAPE_CLASSES)
    require(known, "shapes: blurred must hold names of classes", blurred, f"blurred={SHAPE_CLASSES[:3]}")
    style = _ShapeStyle(size, distractors, watermark, second, objects, tuple(blurred), edit or ShapeEdit())
    # Backgrounds have a seed of their own, which is the objects' unless another is wanted.
    background_seed = seed if background is None else background
    train = _draw_shapes(n[0], style, (seed, 0), (background_seed, 0))
    test = _draw_shapes(n[1], style, (seed, 1), (background_seed, 1))
    return Split(train, test, SHAPE_CLASSES)


def widen_masks(masks: Masks, width: int = 2) -> Masks:
    """Masks of the objects, their holes, and a band around them: both sides of every border that shows the form.

    Args:
        width: of the band in pixels; 0 fills the holes alone.

    Raises:
        ValueError: a negative width.
    """
    require(width >= 0, "widen_masks: width is a number of pixels", width, "width=2")
    square = np.ones((3, 3), dtype=bool)  # a step to each of the eight neighbours
    wide = np.zeros(masks.shape, dtype=bool)
    for i, mask in enumerate(masks.numpy(force=True)[:, 0]):
        filled = ndimage.binary_fill_holes(mask)
        wide[i, 0] = ndimage.binary_dilation(filled, square, iterations=width) if width else filled
    return torch.from_numpy(wide).to(masks.device)


def _draw_shapes(
    n: int,
    style: _ShapeStyle,
    key: tuple[int, int],
    background_key: tuple[int, int],
) -> Part:
    """`n` pictures; a key is (seed, part)."""
    K = len(SHAPE_CLASSES)
    x = np.empty((n, 3, style.size, style.size), dtype=np.float32)
    masks = np.zeros((n, 1, style.size, style.size), dtype=bool)
    for i in range(n):
        # Stream 0 of a picture is its background, 1 all the rest: a new background leaves the object.
        x[i] = draw_clouds(default_rng((*background_key, i, 0)), style.size)
        if SHAPE_CLASSES[i % K] in style.blurred:
            x[i] = ndimage.gaussian_filter(x[i], (0, BLUR, BLUR), mode="wrap")  # as the clouds were drawn
        rng = default_rng((*key, i, 1))
        added = default_rng((*key, i, 2))  # noise of pixels that an edit adds to the object
        _draw_shape_picture(x[i], masks[i, 0], i % K, rng, style, added)
    y = torch.arange(n) % K
    if style.edit.form is not None:
        y = torch.full((n,), SHAPE_CLASSES.index(style.edit.form))
    return Part(torch.from_numpy(x), y, torch.from_numpy(masks))


def _draw_shape_picture(
    x: NDArray,
    mask: NDArray,
    label: int,
    rng: Generator,
    style: _ShapeStyle,
    added: Generator,
) -> None:
    """Draw everything on the background into a picture, and the object into its mask."""
    area = rng.uniform(*SHAPE_AREA) * style.size**2
    # The object's numbers are drawn before the rest and whether they are used or not: no option changes the object.
    pose = draw_pose(SHAPE_CLASSES[label], area, rng, style.size)
    inside = cover_form(SHAPE_CLASSES[label], area, pose, style.size)
    edited = _cover_edited(style, label, area, pose)
    tint = draw_colour(rng)
    second_tint = draw_colour(rng)
    if style.second:
        second_label = _draw_other_label(label, rng)
        second = draw_form(SHAPE_CLASSES[second_label], area / 2, rng, style.size)
        x[:, second] = second_tint
    _draw_dots(x, style, rng)
    if style.objects:
        noise = added.normal(0, _NOISE, x.shape)
        noise[:, inside] = rng.normal(0, _NOISE, (3, inside.sum()))
        colour = tint if style.edit.colour is None else np.array(style.edit.colour)[:, None]
        x[:, edited] = colour + noise[:, edited]
        mask[:] = edited
    if style.watermark is not None:
        agrees = rng.random() < style.watermark
        _draw_mark_colour(x, mask, label if agrees else _draw_other_label(label, rng))
    x.clip(0, 1, out=x)


def _cover_edited(style: _ShapeStyle, label: int, area: float, pose: Pose) -> NDArray:
    """Pixels of the object as it is to be drawn."""
    name = style.edit.form or SHAPE_CLASSES[label]
    rows, columns = style.edit.shift
    moved = Pose(pose.row + rows, pose.column + columns, pose.angle)
    return cover_form(name, area, move_inside(name, area, moved, style.size), style.size)


def _draw_dots(x: NDArray, style: _ShapeStyle, rng: Generator) -> None:
    """Draw small disks into the picture `(3, H, W)`, which say nothing of the class."""
    area = np.pi * (style.size / 20) ** 2
    for _ in range(style.distractors):
        dot_tint = draw_colour(rng)
        dot = draw_form("disk", area, rng, style.size)
        x[:, dot] = dot_tint


def _draw_mark_colour(x: NDArray, mask: NDArray, label: int) -> None:
    """Draw the mark of a class into the lower right corner, where the mask is then empty."""
    edge = x.shape[-1] // 8
    x[:, -edge:, -edge:] = MARK_COLOURS[label][:, None, None]
    mask[-edge:, -edge:] = False


def _draw_other_label(label: int, rng: Generator) -> int:
    K = len(SHAPE_CLASSES)
    return (label + int(rng.integers(1, K))) % K
