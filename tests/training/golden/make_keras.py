"""Make keras.json, what Keras computes on the parity test's inputs.

Needs keras and tensorflow; the environment that `make bench` makes has them:

    benchmarks/.venv/bin/python tests/training/golden/make_keras.py
"""

import json
import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import inputs
import keras
import tensorflow
from keras import layers


def network(normalization: str) -> keras.Model:
    """The lab's AlexNet at b = 8, dropout off, written as the lab writes it."""
    model = keras.Sequential([layers.Input((inputs.SIZE, inputs.SIZE, 1))])
    for number, width in enumerate(inputs.WIDTHS, start=1):
        model.add(layers.Conv2D(width, 3, padding="same"))
        if normalization == "batch":
            model.add(layers.BatchNormalization())
        model.add(layers.Activation("relu"))
        if number in (1, 2, 5):
            model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    for width in inputs.DENSE[:-1]:
        model.add(layers.Dense(width, activation="relu"))
    model.add(layers.Dense(inputs.DENSE[-1], activation="sigmoid"))
    return model


def losses(normalization: str) -> dict:
    """Loss before each of the steps, and in evaluation mode on the first batch after the last step."""
    model = network(normalization)
    with_kernel = [layer for layer in model.layers if isinstance(layer, layers.Conv2D | layers.Dense)]
    for layer, kernel in zip(with_kernel, inputs.initial_weights(), strict=True):
        layer.kernel.assign(kernel)
    model.compile(keras.optimizers.Adam(inputs.LEARNING_RATE), "binary_crossentropy")
    steps = []
    for images, classes in inputs.batches():
        model.reset_metrics()
        steps.append(float(model.train_on_batch(images, classes)))
    model.reset_metrics()
    evaluation = float(model.test_on_batch(*inputs.batches()[0]))
    trainable = sum(int(keras.ops.size(weight)) for weight in model.trainable_weights)
    return {"parameters": trainable, "losses": steps, "evaluation_loss": evaluation}


if __name__ == "__main__":
    golden = {
        "made_with": {"keras": keras.__version__, "tensorflow": tensorflow.__version__},
        "inputs": inputs.digest(),
        "none": losses("none"),
        "batch": losses("batch"),
    }
    Path(__file__).with_name("keras.json").write_text(json.dumps(golden, indent=1) + "\n")
