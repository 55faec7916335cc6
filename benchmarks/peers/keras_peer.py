"""The lab's AlexNet as a Keras user writes it: Sequential, compile, fit on arrays in memory."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
from gate import BASE, BATCH, LEARNING_RATE, SIZE, Gate, arguments, pixels
from keras import layers


def network(batch_norm: bool) -> keras.Model:
    model = keras.Sequential([keras.Input((SIZE, SIZE, 1))])
    for number, width in enumerate((1, 2, 4, 4, 2), start=1):
        model.add(layers.Conv2D(width * BASE, 3, padding="same"))
        if batch_norm:
            model.add(layers.BatchNormalization())
        model.add(layers.ReLU())
        if number in (1, 2, 5):
            model.add(layers.MaxPooling2D(2))
    model.add(layers.Flatten())
    model.add(layers.Dense(64, activation="relu"))
    model.add(layers.Dense(64, activation="relu"))
    model.add(layers.Dense(1, activation="sigmoid", dtype="float32"))
    return model


class Turns(keras.callbacks.Callback):
    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self.gate = gate

    def on_epoch_begin(self, epoch, logs=None) -> None:
        self.gate.wait()

    def on_test_begin(self, logs=None) -> None:
        self.gate.training_ends()

    def on_epoch_end(self, epoch, logs=None) -> None:
        self.gate.epoch_ends()


def main() -> None:
    told = arguments()
    if told.precision == "bf16":
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    images, labels = pixels(told.images)
    images = images.astype("float32") / 255
    n = told.images
    model = network(told.task == "lab-1b")
    model.compile(keras.optimizers.Adam(LEARNING_RATE), "binary_crossentropy", metrics=["accuracy"])
    model.fit(
        images[:n],
        labels[:n],
        batch_size=BATCH,
        epochs=told.epochs,
        validation_data=(images[n:], labels[n:]),
        verbose=0,
        callbacks=[Turns(Gate())],
    )


if __name__ == "__main__":
    main()
