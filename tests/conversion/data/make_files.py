"""Makes the small files here with the libraries themselves: python make_files.py (TensorFlow,
tf_keras). Beside each file lies what its library answers: NAME.npz with x and y."""

import os
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf
import tf_keras

HERE = Path(__file__).parent
RNG = np.random.default_rng(0)


def save(name, model, x):
    model.save(HERE / name)
    np.savez_compressed(HERE / f"{name}.npz", x=x, y=model.predict(x, verbose=0))


def cnn(k, side=16):
    layers = k.layers
    first = k.Input((side, side, 1)) if k is keras else layers.InputLayer((side, side, 1))
    return k.Sequential(
        [
            first,
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(4),
            layers.Flatten(),
            layers.Dense(7, activation="softmax"),
        ]
    )


def quantized(model, shape):
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        [RNG.random((1, *shape), np.float32)] for _ in range(64)
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def main():
    keras.utils.set_random_seed(0)
    tf_keras.utils.set_random_seed(0)
    faces = RNG.random((3, 16, 16, 1), np.float32)
    save("keras2.h5", cnn(tf_keras), faces)
    model = cnn(keras)
    content = quantized(model, (16, 16, 1))
    (HERE / "int8.tflite").write_bytes(content)
    np.savez_compressed(HERE / "int8.tflite.npz", x=faces, y=model.predict(faces, verbose=0))
    layers = keras.layers
    lstm = keras.Sequential(
        [
            keras.Input((20, 13)),
            layers.Bidirectional(layers.LSTM(6, return_sequences=True)),
            layers.LSTM(5),
            layers.Dense(8, activation="softmax"),
        ]
    )
    save("lstm.keras", lstm, RNG.standard_normal((3, 20, 13)).astype(np.float32))
    inner = keras.layers.Lambda(lambda x: x / 255)
    keras.Sequential([keras.Input((16, 16, 1)), inner]).save(HERE / "lambda.keras")


main()
