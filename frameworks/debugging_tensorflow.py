"""Debugging information as TensorFlow gives it: models of inner outputs, numeric checks, a confusion, TensorBoard."""

import re
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from frameworks.planted import BUGS, RATE, WIDTHS, Trial, draw_batches, plant


def build(trial: Trial) -> keras.Model:
    """The network with the weights that the trial begins with."""
    stack = [layers.Input((64,))]
    for name, (_, after) in WIDTHS.items():
        stack.append(layers.Dense(after, name=name))
        if name != "head":
            stack.append(layers.ReLU(name=name.replace("hidden", "relu")))
    model = keras.Sequential(stack)
    for name, arrays in trial.start.items():
        model.get_layer(name).set_weights(arrays)
    return model


def train(model: keras.Model, trial: Trial) -> list[float]:
    """Train in place; the loss of each step."""
    model.compile(
        optimizer=keras.optimizers.SGD(RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    losses = []
    for rows in draw_batches(len(trial.x)):
        losses.append(float(model.train_on_batch(trial.x[rows], trial.y[rows])))
        model.reset_metrics()
    return losses


def find_dead_units(model: keras.Model, x: tf.Tensor) -> dict[str, float]:
    """Share of each ReLU's units that no input switches on."""
    relus = [layer for layer in model.layers if isinstance(layer, layers.ReLU)]
    inner = keras.Model(model.inputs, [layer.output for layer in relus])
    dead = {}
    for layer, output in zip(relus, inner(x), strict=True):
        silent = tf.reduce_all(output <= 0, 0)
        dead[layer.name] = float(tf.reduce_mean(tf.cast(silent, tf.float32)))
    return dead


def find_bad_operation(model: keras.Model, x: tf.Tensor, y: tf.Tensor) -> str:
    """The operation in which numeric checks see infinity or NaN, under a loss written by hand; empty if none."""
    tf.debugging.enable_check_numerics()
    try:
        with tf.GradientTape() as tape:
            probability = tf.gather(tf.nn.softmax(model(x)), y, batch_dims=1)
            loss = -tf.reduce_mean(tf.math.log(probability))
        tape.gradient(loss, model.trainable_variables)
    except tf.errors.InvalidArgumentError as error:
        return re.findall(r'op "(\w+)"', error.message)[0]
    finally:
        tf.debugging.disable_check_numerics()
    return ""


def find_label_shift(model: keras.Model, x: tf.Tensor, y: tf.Tensor) -> int:
    """How far predictions most often lie from the labels, in digits; 0 where most are right."""
    predicted = tf.argmax(model(x), 1)
    offsets = (predicted - y) % 10
    return int(tf.argmax(tf.math.bincount(tf.cast(offsets, tf.int32), minlength=10)))


def write_events(model: keras.Model, x: tf.Tensor, losses: list[float], folder: Path) -> None:
    """Loss of each step, the first layer's outputs and the graph, for TensorBoard."""
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default():
        for step, loss in enumerate(losses):
            tf.summary.scalar("loss", loss, step)
        tf.summary.histogram("hidden1", model.get_layer("hidden1")(x), len(losses))
        tf.summary.graph(trace_graph(model))
    writer.close()


def trace_graph(model: keras.Model) -> tf.Graph:
    """What the network calls, as `tf.function` traces it."""
    signature = tf.TensorSpec((None, 64), tf.float32)
    return tf.function(model).get_concrete_function(signature).graph


def list_operations(model: keras.Model) -> list[str]:
    """Kinds of the graph's operations, in order."""
    return [operation.type for operation in trace_graph(model).get_operations()]


def debug(question: dict[str, np.ndarray], folder: Path) -> tuple[dict[str, np.ndarray], dict]:
    """Train with each bug, and ask every tool about each; event files of the run without a bug go to `folder`."""
    losses, found = {}, {}
    test_x, test_y = question["test x"], tf.constant(question["test y"])
    for bug in BUGS:
        trial = plant(bug, question["x"], question["y"])
        model = build(trial)
        bad = find_bad_operation(model, tf.constant(trial.x[:64]), tf.constant(trial.y[:64]))
        losses[bug] = train(model, trial)
        # The test pictures come the way the training's do, but their labels are right.
        x = tf.constant(plant(bug, test_x, question["test y"]).x)
        dead = find_dead_units(model, x)
        found[bug] = {"dead": dead, "bad operation": bad, "label shift": find_label_shift(model, x, test_y)}
        if bug == "none":
            write_events(model, x, losses[bug], folder / "events")
            found[bug]["operations"] = list_operations(model)
    return {f"losses/{bug}": np.array(values) for bug, values in losses.items()}, {"found": found}
