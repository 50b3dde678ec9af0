"""Real records that scikit-learn ships: handwritten digits and breast-cancer diagnoses."""

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.model_selection import train_test_split

from xnb.data.split import Part, Split


def _split(x: np.ndarray, y: np.ndarray, test: int, seed: int) -> list[np.ndarray]:
    return train_test_split(x, y, test_size=test, stratify=y, random_state=seed)


def _part(x: np.ndarray, y: np.ndarray) -> Part:
    return Part(torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.int64))


def digits(seed: int = 0) -> Split:
    """1,797 handwritten digits of 8 x 8 pixels, `(N, 1, 8, 8)` in [0, 1]; 500 of them for testing, stratified.

    Several digits are by the same hand and writers are not recorded, so the test part may know its writers.
    """
    raw = load_digits()
    x_train, x_test, y_train, y_test = _split(raw.images[:, None] / 16, raw.target, 500, seed)
    return Split(_part(x_train, y_train), _part(x_test, y_test), tuple(str(name) for name in raw.target_names))


def patients(seed: int = 0) -> Split:
    """569 breast tumours in 30 measurements of cell nuclei, `(N, 30)`; 169 of them for testing, stratified.

    Unit: standard deviations from the mean, both of the training part, so that the test part stays unseen.
    Classes: malignant (0), benign (1).
    """
    raw = load_breast_cancer()
    x_train, x_test, y_train, y_test = _split(raw.data, raw.target, 169, seed)
    mean, std = x_train.mean(0), x_train.std(0)
    names = tuple(map(str, raw.target_names)), tuple(map(str, raw.feature_names))
    return Split(_part((x_train - mean) / std, y_train), _part((x_test - mean) / std, y_test), *names)
