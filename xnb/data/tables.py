"""Real records that scikit-learn ships: handwritten digits and breast-cancer diagnoses."""

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.model_selection import train_test_split

from xnb.data.split import Part, Split


def digits(seed: int = 0) -> Split:
    """1,797 handwritten digits of 8 x 8 pixels, `(N, 1, 8, 8)` in [0, 1]; 500 of them for testing, stratified.

    Several digits are by the same hand and writers are not recorded, so the test part may know its writers.
    """
    raw = load_digits()
    x = raw.images[:, None] / 16
    x_train, x_test, y_train, y_test = _split_stratified(x, raw.target, 500, seed)
    train = _convert_table(x_train, y_train)
    test = _convert_table(x_test, y_test)
    return Split(train, test, classes=tuple(map(str, raw.target_names)))


def patients(seed: int = 0) -> Split:
    """569 breast tumours in 30 measurements of cell nuclei, `(N, 30)`; 169 of them for testing, stratified.

    Unit: standard deviations from the mean, both of the training part, so that the test part stays unseen.
    Classes: malignant (0), benign (1).
    """
    raw = load_breast_cancer()
    x_train, x_test, y_train, y_test = _split_stratified(raw.data, raw.target, 169, seed)
    mean = x_train.mean(0)
    std = x_train.std(0)
    train = _convert_table((x_train - mean) / std, y_train)
    test = _convert_table((x_test - mean) / std, y_test)
    classes = tuple(map(str, raw.target_names))
    return Split(train, test, classes, features=tuple(map(str, raw.feature_names)))


def hold_out(part: Part, n: int, seed: int = 0) -> tuple[Part, Part]:
    """Return a part without `n` of its inputs, and these: to set a threshold on what nothing was fitted to.

    Stratified: classes are as frequent in both.
    """
    rows = torch.arange(len(part))
    rest, held_out = train_test_split(rows, test_size=n, stratify=part.y, random_state=seed)
    return part[rest], part[held_out]


def _split_stratified(
    x: np.ndarray,
    y: np.ndarray,
    test: int,
    seed: int,
) -> list[np.ndarray]:
    """`x_train, x_test, y_train, y_test`, with `test` rows for testing and classes as frequent in both."""
    return train_test_split(x, y, test_size=test, stratify=y, random_state=seed)


def _convert_table(x: np.ndarray, y: np.ndarray) -> Part:
    inputs = torch.tensor(x, dtype=torch.float32)
    labels = torch.tensor(y, dtype=torch.int64)
    return Part(inputs, labels)
