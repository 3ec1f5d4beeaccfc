"""How the energy of a system falls while it settles."""

from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._layer import AbstractEnergyLayer
from ..integrators import AbstractRelaxation, FixedSteps
from ._style import GRAY, PALETTE, checked, figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def energy_descent(
    layer: AbstractEnergyLayer,  # whose field `relaxation` is a relaxation
    x: Float[Array, "batch ..."],
    nudge: Float[Array, "batch outputs"] | None = None,
    steps: int = 20,
) -> "Figure":
    """Energy and outputs against the step of the relaxation.

    Above, the energy over that of the last step: the median of the batch, and a band
    that holds the middle 80 % of it. Below, the outputs of the first example, up to
    four of the largest named. With a `nudge`, as many steps under it follow those of
    the free phase; its energy is drawn over the last one's, with the nudge's part.

    **Raises:** `ValueError` if there are no `steps`, or values that are not finite.
    """
    if steps < 1:
        raise ValueError(f"`steps` must be at least 1, but is {steps}.")
    layer = eqx.tree_at(
        lambda l: l.relaxation,
        layer,
        FixedSteps(1, 1),
        is_leaf=lambda node: isinstance(node, AbstractRelaxation),
    )
    phases, state = [], layer.initial_state(x)
    for force in [None] if nudge is None else [None, nudge]:
        state, energy, output = _record(layer, state, x, force, steps)
        phases.append(
            (checked(energy, "energy", 2), checked(output, "output", 3)[:, 0])
        )
    reached = np.max([np.abs(output).max(0) for _, output in phases], axis=0)
    shown = [k for k in np.argsort(reached)[:-5:-1] if reached[k] > reached.max() / 10]
    with style():
        fig = figure(5.0, 4.6)
        above, below = fig.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        for k, (energy, output) in enumerate(phases):
            step = np.arange(len(energy)) + k * steps
            _draw_energy(above, step, energy, ("Free", "Nudged")[k], PALETTE[k])
            below.set_prop_cycle(None)
            for index, unit in enumerate(output.T):
                label = f"{index}" if k == 0 and index in shown else "_"
                below.plot(step, unit, linewidth=1.2, label=label)
        for ax in (above, below):
            ax.grid(True)
            if nudge is not None:
                ax.axvline(steps, color=GRAY, linestyle=":", linewidth=1.2)
        above.set(ylabel="Energy above its end", yscale="log")
        below.set(xlabel="Step", ylabel="Outputs")
        below.get_xaxis().get_major_locator().set_params(integer=True)
        below.legend(title="Unit", loc="best")
        if nudge is not None:
            above.legend()
    return fig


@eqx.filter_jit
def _record(layer: Any, state: Any, x: Array, nudge: Array | None, steps: int) -> Any:
    """The last state; energies and outputs from the first on, "steps+1 batch ..."."""

    def look(state):
        energy, output = layer.energy(state, x), layer.readout(state)
        if nudge is not None:
            energy = energy + jnp.sum(nudge * output, axis=-1)
        return energy, output

    def step(state, _):
        state = layer.relax(state, x, nudge)
        return state, look(state)

    first = look(state)
    state, rest = jax.lax.scan(step, state, None, length=steps)
    energy, output = jax.tree.map(
        lambda one, more: jnp.concatenate([one[None], more]), first, rest
    )
    return state, energy, output


def _draw_energy(
    ax: "Axes", step: np.ndarray, energy: np.ndarray, label: str, color: str
) -> None:
    above = energy - energy[-1]
    # What rounding leaves says nothing, and zero has no logarithm.
    noise = np.finfo(energy.dtype).eps * np.abs(energy).max()
    low, middle, high = np.quantile(np.maximum(above, noise), [0.1, 0.5, 0.9], axis=1)
    ax.plot(step, middle, color=color, label=label)
    ax.fill_between(step, low, high, color=color, alpha=0.2, linewidth=0)
