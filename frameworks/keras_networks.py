"""The two networks in Keras' layers, for whatever backend Keras runs on."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
from keras import layers

from frameworks.convert import Conversion, State, convert_cnn, convert_mlp


def make_mlp() -> keras.Model:
    """Two hidden layers on digits of 8 x 8."""
    return keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Flatten(name="flatten"),
            layers.Dense(32, name="hidden1"),
            layers.ReLU(name="relu1"),
            layers.Dense(16, name="hidden2"),
            layers.ReLU(name="relu2"),
            layers.Dense(10, name="head"),
        ]
    )


def make_cnn(conversion: Conversion) -> keras.Model:
    """Three convolutions with batch norm, two of them with stride 2."""
    stack = [layers.Input((24, 24, 3))]
    for number, width, stride in ((1, 8, 1), (2, 12, 2), (3, 16, 2)):
        padding = "same"
        if conversion.padding == "explicit":
            stack.append(layers.ZeroPadding2D(1, name=f"pad{number}"))
            padding = "valid"
        conv = layers.Conv2D(width, 3, strides=stride, padding=padding, use_bias=False, name=f"conv{number}")
        norm = layers.BatchNormalization(epsilon=conversion.epsilon, name=f"norm{number}")
        stack += [conv, norm, layers.ReLU(name=f"relu{number}")]
    stack += [layers.Flatten(name="flatten"), layers.Dense(6, name="head")]
    return keras.Sequential(stack)


def carry_over(name: str, state: State, conversion: Conversion, dtype: str = "float32") -> keras.Model:
    """The network of that name with the weights of its twin in PyTorch."""
    with use_precision(dtype):
        model = make_mlp() if name == "mlp" else make_cnn(conversion)
    weights = convert_mlp(state) if name == "mlp" else convert_cnn(state, conversion)
    for layer, arrays in weights.items():
        model.get_layer(layer).set_weights(arrays)
    return model


@contextmanager
def use_precision(dtype: str) -> Iterator[None]:
    """Make layers of that precision within the block: their weights by one setting, their inputs by the other."""
    before = keras.config.floatx()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(before)
        keras.config.set_dtype_policy(before)
