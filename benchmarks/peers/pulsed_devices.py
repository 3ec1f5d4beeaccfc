"""Pulsed memory cells: times and states of us beside aihwkit's same cells.

    pip install aihwkit==1.1.0 torch==2.10.0
    python benchmarks/peers/pulsed_devices.py

First single cells that are all alike, without noise: pulses up from the lowest state,
then as many down, which must agree to a thousandth of the range at each count. Then
many cells, with the variation and the noise of each: what the state is on average, and
how it is spread, after some pulses up and some down. What is timed is 50 pulses up and
50 down on 4000 cells: aihwkit goes from one pulse to the next, we jump.

aihwkit's `up_down` of $b$ makes steps of 1 up and $1 - b$ down: our step is the mean.
"""

import jax
import jax.numpy as jnp
import numpy as np
import torch
from aihwkit.simulator.configs import SingleRPUConfig, devices
from aihwkit.utils.visualization import (
    compute_pulse_response,
    get_tile_for_plotting,
)
from side_by_side import Here, begin, contest, finish, versions

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


def check_alike(case: str, step: float) -> float:
    """The largest difference of cells without noise, in shares of the range."""
    make, settings, other, others = CASES[case]
    worst = 0.0
    for count in (1, 10, 100, 400):
        order = np.repeat([1, -1], count)
        found = theirs(other, others, order, 1, step, True)
        high, low = ours(make, settings, count, count, 1, step, True)
        error = high - found[count - 1], low - found[-1]
        worst = max(worst, float(np.abs(error).max()) / 1.2)
    print(f"{case:18} alike: largest difference {worst:.1e} of the range")
    assert worst < 1e-3, f"{case}: cells that are alike differ by {worst:.1e}"
    return worst


def print_varied(case: str, step: float) -> None:
    make, settings, other, others = CASES[case]
    found = theirs(other, others, np.repeat([1, -1], 50), CELLS, step, False)
    pair = ours(make, settings, 50, 50, CELLS, step, False)
    for when, mine, other_ones in zip(
        ("50 up", "and 50 down"), pair, (found[49], found[-1]), strict=True
    ):
        print(
            f"{'':18} varied, {when:12} mean {mine.mean():.4f} and "
            f"{other_ones.mean():.4f}, deviation {mine.std():.4f} and "
            f"{other_ones.std():.4f}"
        )


def timed(case: str, step: float) -> dict[str, Here]:
    """The pulses alone: cells that vary are made before."""
    make, settings, other, others = CASES[case]
    device = make(step, **OURS, **settings)
    start = jnp.full(CELLS, -0.2)
    cells = device.manufacture(start, key=jax.random.key(0))

    @jax.jit
    def pulses(state, cells, key):
        for counts, own in zip(((50, 0), (0, 50)), jax.random.split(key), strict=True):
            up, down = (jnp.full(CELLS, float(count)) for count in counts)
            state, cells = device.pulse(state, cells, up, down, key=own)
        return state

    config = SingleRPUConfig(
        device=other(dw_min=step, up_down=TILT, **BOUNDS, **others)
    )
    tile = get_tile_for_plotting(config, CELLS, noise_free=False)
    x, up = -torch.ones(1, 1), torch.ones(1, CELLS)

    def their_pulses():
        for direction in np.repeat([1.0, -1.0], 50):
            tile.update(x, direction * up)

    key = jax.random.key(1)
    return {
        "pnnjax": Here(
            lambda: jax.block_until_ready(pulses(start, cells, key)), weighed=False
        ),
        "aihwkit": Here(their_pulses),
    }


def main():
    def add(parser):
        parser.add_argument("--step", type=float, default=0.002)

    options = begin(__doc__, add)
    torch.set_num_threads(1)
    rows = []
    for case in list(CASES)[2:3] if options.quick else CASES:
        worst = check_alike(case, options.step)
        print_varied(case, options.step)
        what = f"{case}, {CELLS} cells, 50 pulses up and 50 down"
        found = contest(what, timed(case, options.step), options.rounds)
        note = f"cells alike: {worst:.0e} of the range"
        rows += [row._replace(note=note) for row in found]
    finish(rows, options, versions("pnnjax", "jax", "aihwkit", "torch"))


if __name__ == "__main__":
    main()
