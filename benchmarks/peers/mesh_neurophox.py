"""neurophox in an environment of its own: `mesh.py` starts it."""

import sys

import numpy as np
import tensorflow as tf
from elsewhere import serve
from mesh_signal import signals
from neurophox.tensorflow import RM
from side_by_side import Here


def main(modes):
    layer = RM(modes)
    x, target = map(tf.constant, signals(modes))

    def backward(x, target):
        with tf.GradientTape() as tape:
            y = layer(x)
            power = tf.math.real(y) ** 2 + tf.math.imag(y) ** 2
            loss = tf.reduce_mean((power - target) ** 2)
        return tape.gradient(loss, layer.trainable_variables)

    y = layer(x).numpy()
    bars = [bar.numpy() for bar in backward(x, target)]
    lost = np.abs(np.linalg.norm(y, axis=-1) - np.linalg.norm(x, axis=-1)).max()
    assert lost < 1e-3 and all(np.any(bar != 0) for bar in bars), lost
    forward, gradient = tf.function(layer), tf.function(backward)
    serve(
        {
            "forward": Here(lambda: forward(x).numpy()),
            "forward and gradient": Here(
                lambda: [bar.numpy() for bar in gradient(x, target)]
            ),
        },
        {
            "neurophox": "0.1.0a4",
            "tensorflow": tf.__version__,
            "its numpy": np.__version__,
        },
        dict.fromkeys(("forward", "forward and gradient"), "TensorFlow graph"),
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
