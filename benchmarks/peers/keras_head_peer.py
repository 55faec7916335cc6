"""A head on features in memory as a Keras user writes it: Sequential, compile, fit; no validation."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import tensorflow as tf
from gate import BATCH, LEARNING_RATE, Gate
from heads import DROPOUT, HIDDEN, arguments, features
from keras import layers


class Turns(keras.callbacks.Callback):
    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self.gate = gate

    def on_epoch_begin(self, epoch, logs=None) -> None:
        self.gate.wait()

    def on_epoch_end(self, epoch, logs=None) -> None:
        self.gate.training_ends()
        self.gate.epoch_ends()


def main() -> None:
    told = arguments()
    tf.config.threading.set_intra_op_parallelism_threads(told.threads)
    tf.config.threading.set_inter_op_parallelism_threads(told.threads)
    values, labels = features(told.rows, told.inputs)
    model = keras.Sequential(
        [
            keras.Input((told.inputs,)),
            layers.Dense(HIDDEN, activation="relu"),
            layers.Dropout(DROPOUT),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(LEARNING_RATE),
        "binary_crossentropy",
        metrics=["accuracy"],
        steps_per_execution=told.steps_per_execution,
    )
    n = told.rows
    model.fit(values[:n], labels[:n], batch_size=BATCH, epochs=told.epochs, verbose=0, callbacks=[Turns(Gate())])


if __name__ == "__main__":
    main()
