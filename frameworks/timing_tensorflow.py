"""Seconds of integrated gradients in TensorFlow: eager, as a graph, and compiled by XLA."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from frameworks.convert import Conversion, convert_pictures
from frameworks.explain_tensorflow import follow_path
from frameworks.keras_networks import carry_over
from frameworks.stopwatch import STEPS, time_calls


def measure(question: dict[str, np.ndarray], folder: Path) -> tuple[dict[str, np.ndarray], dict]:
    """Times of the convolutional network's maps, on the one thread that `ask_tensorflow` allows."""
    state = {key.removeprefix("cnn/state/"): array for key, array in question.items() if "/state/" in key}
    model = carry_over("cnn", state, Conversion())
    x = tf.constant(convert_pictures(question["cnn/x"], Conversion()))
    target = tf.constant(question["cnn/target"])
    forms = {"TensorFlow, eager": follow_path, "TensorFlow, tf.function": tf.function(follow_path)}
    forms["TensorFlow, XLA"] = tf.function(follow_path, jit_compile=True)
    times = {name: time_calls(lambda f=form: f(model, x, target, 0.5, STEPS).numpy()) for name, form in forms.items()}
    return {}, {"seconds": times}
