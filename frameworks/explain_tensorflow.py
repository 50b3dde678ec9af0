"""Three explanations as a user of TensorFlow writes them: `GradientTape`, `tf.function`, a model of inner outputs."""

import keras
import numpy as np
import tensorflow as tf


def pick_scores(logits: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Each input's target logit."""
    return tf.gather(logits, target, batch_dims=1)


def gradient(model: keras.Model, x: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Gradient of each input's target logit."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        score = pick_scores(model(x, training=False), target)
    return tape.gradient(score, x)


def follow_path(
    model: keras.Model,
    x: tf.Tensor,
    target: tf.Tensor,
    baseline: float,
    steps: int = 64,
) -> tf.Tensor:
    """Integrated gradients: the gradient averaged along the path from the baseline."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    nodes = tf.constant((nodes + 1) / 2, x.dtype)
    weights = tf.constant(weights / 2, x.dtype)
    start = tf.fill(tf.shape(x), tf.cast(baseline, x.dtype))
    total = tf.zeros_like(x)
    for step in tf.range(steps):
        between = start + nodes[step] * (x - start)
        total += weights[step] * gradient(model, between, target)
    return (x - start) * total


integrated_gradients = tf.function(follow_path)


def grad_cam(model: keras.Model, x: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Grad-CAM of `relu3`, by a second model that returns it too."""
    both = keras.Model(model.inputs, [model.get_layer("relu3").output, model.outputs[0]])
    with tf.GradientTape() as tape:
        maps, logits = both(x, training=False)
        score = pick_scores(logits, target)
    slope = tape.gradient(score, maps)
    weights = tf.reduce_mean(slope, (1, 2), keepdims=True)
    cam = tf.nn.relu(tf.reduce_sum(weights * maps, 3, keepdims=True))
    return tf.image.resize(cam, x.shape[1:3], method="bilinear")  # in single precision, whatever comes
