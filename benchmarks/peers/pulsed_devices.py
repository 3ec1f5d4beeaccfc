"""Pulsed memory cells beside aihwkit's, which go from one pulse to the next.

    pip install aihwkit==1.1.0 torch==2.10.0
    python benchmarks/peers_pulsed_devices.py

First single cells that are all alike, without noise: pulses up from the lowest state,
then as many down. Then many cells, with the variation and the noise of each: what the
state is on average, and how it is spread, after some pulses up and some down.

aihwkit's `up_down` of $b$ makes steps of 1 up and $1 - b$ down: our step is the mean.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np
import torch
from aihwkit.simulator.configs import SingleRPUConfig, devices
from aihwkit.utils.visualization import (
    compute_pulse_response,
    get_tile_for_plotting,
)

from pnnjax.circuits import (
    IDENTICAL,
    ConstantStep,
    ExponentialStep,
    LinearStep,
    PowerStep,
    SoftBounds,
    Variation,
)

CELLS, TILT = 4000, 0.1
ALIKE = {"dw_min_dtod": 0.0, "up_down_dtod": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0}
BOUNDS = {"w_max": 0.6, "w_min": -0.6}
OURS = {"low": -0.6, "high": 0.6}

# Ours, theirs, and what is varied in theirs alone unless it is set to zero.
CASES = {
    "constant step": (ConstantStep, {}, devices.ConstantStepDevice, {}),
    "linear step": (
        LinearStep,
        {"slope_up": 0.3, "slope_down": 0.6, "slope_spread": 0.0},
        devices.LinearStepDevice,
        {
            "gamma_up": 0.3,
            "gamma_down": 0.6,
            "gamma_up_dtod": 0.0,
            "gamma_down_dtod": 0.0,
        },
    ),
    "soft bounds": (SoftBounds, {}, devices.SoftBoundsDevice, {}),
    "exponential step": (ExponentialStep, {}, devices.ExpStepDevice, {}),
    "power step": (
        PowerStep,
        {"exponent_up": 1.5, "exponent_down": 1.5, "exponent_spread": 0.0},
        devices.PowStepDevice,
        {"pow_gamma": 1.5, "pow_gamma_dtod": 0.0},
    ),
}


def theirs(make, settings, order, cells, step, alike):
    """States after each pulse of `order`: `"pulses cells"`."""
    torch.manual_seed(0)
    varied = {**ALIKE, "dw_min_std": 0.0} if alike else {}
    device = make(dw_min=step, up_down=TILT, **BOUNDS, **settings, **varied)
    config = SingleRPUConfig(device=device)
    tile = get_tile_for_plotting(config, cells, noise_free=False)
    tile.set_weights(torch.full((cells, 1), -0.2))
    return compute_pulse_response(tile, order.astype(float))[:, :, 0]


def ours(make, settings, ups, downs, cells, step, alike):
    """The state after pulses up, and after pulses down that follow."""
    mean = 1 - TILT / 2
    vary = IDENTICAL if alike else Variation(step=0.3 / mean, asymmetry=0.01 / mean)
    tilt = TILT / 2 / mean
    device = make(step * mean, **OURS, asymmetry=tilt, variation=vary, **settings)
    one, two, three = jax.random.split(jax.random.key(0), 3)
    start = jnp.full(cells, -0.2)
    cell = device.manufacture(start, key=None if alike else one)
    # As theirs are when they are set.
    start = jnp.clip(start, cell.low, cell.high)
    high, cell = device.pulse(
        start, cell, jnp.full(cells, ups), jnp.zeros(cells), key=two
    )
    low, _ = device.pulse(
        high, cell, jnp.zeros(cells), jnp.full(cells, downs), key=three
    )
    return np.asarray(high), np.asarray(low)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--step", type=float, default=0.002)
    step = parser.parse_args().step
    for name, (make, settings, other, others) in CASES.items():
        worst = 0.0
        for count in (1, 10, 100, 400):
            order = np.repeat([1, -1], count)
            found = theirs(other, others, order, 1, step, True)
            high, low = ours(make, settings, count, count, 1, step, True)
            error = high - found[count - 1], low - found[-1]
            worst = max(worst, np.abs(error).max())
        print(f"{name:18} alike: largest difference {worst / 1.2:.1e} of the range")
        order = np.repeat([1, -1], 50)
        found = theirs(other, others, order, CELLS, step, False)
        pair = ours(make, settings, 50, 50, CELLS, step, False)
        for when, mine, other_ones in zip(
            ("50 up", "and 50 down"), pair, (found[49], found[-1]), strict=True
        ):
            print(
                f"{'':18} varied, {when:12} mean {mine.mean():.4f} and "
                f"{other_ones.mean():.4f}, deviation {mine.std():.4f} and "
                f"{other_ones.std():.4f}"
            )


if __name__ == "__main__":
    main()
