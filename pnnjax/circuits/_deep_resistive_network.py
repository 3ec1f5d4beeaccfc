"""Deep resistive network: layers of nodes with diodes, joined by conductances."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .._layer import AbstractBoundedLayer, AbstractClampableLayer, Facts
from ..integrators import AbstractRelaxation, FixedSteps

Voltages = tuple[Float[Array, "..."], ...]
"""Of the free nodes, layer by layer (V): hidden ones first, the outputs last."""


def rectified(voltage: Float[Array, "*batch m"]) -> Float[Array, "*batch m"]:
    """Nearest voltages that ideal diodes allow: the first half >= 0, the rest <= 0."""
    up = voltage.shape[-1] - voltage.shape[-1] // 2
    sign = jnp.where(jnp.arange(voltage.shape[-1]) < up, 1, -1).astype(voltage.dtype)
    sign = jnp.broadcast_to(sign, voltage.shape)
    return sign * jax.nn.relu(sign * voltage)


class DeepResistiveNetwork(AbstractBoundedLayer, AbstractClampableLayer):
    r"""Nodes in layers, each joined to each of the next layer by a resistor.

    Each input $x$ drives two voltage sources, at $a_0x$ and $-a_0x$. An ideal diode to
    ground keeps a hidden node of its layer's first half from going negative, and one of
    the second half from going positive; a current source $b$ feeds each node. A
    bidirectional amplifier behind each hidden node shows $a$ times its voltage to the
    next layer, and takes $1/a$ of the current that flows there. Voltages settle where

    $$E = \sum_{\ell=1}^{L} a^{2-2\ell}\Big[\tfrac12\sum_{ij} g^\ell_{ij}
    \big(p^\ell_i - v^\ell_j\big)^2 - \sum_j b^\ell_j v^\ell_j\Big]$$

    (W) is least, with $p^1 = (a_0x, -a_0x)$ and $p^{\ell+1} = a v^\ell$: this is
    Kirchhoff's current law. $E$ is convex, and its minimum over one layer is explicit:
    the currents that would flow into each node if it were grounded, over all that it
    is connected to, rectified. One step of the relaxation sets the odd layers so, then
    the even ones. The output (V) is the last layer, which has no diodes.

    Only ratios count: one factor on all conductances, currents and nudges changes no
    voltage. With ideal diodes, $a$ is a mere scale of the voltages of each layer.

    **Source:** Scellier, *ICML* (PMLR 235, 2024), arXiv:2402.11674; the amplifiers:
    Kendall et al. (2020), arXiv:2006.01981.
    """

    conductance: tuple[Float[Array, "_ _"], ...]  # S
    current: tuple[Float[Array, " _"], ...]  # A
    relaxation: AbstractRelaxation
    input_gain: float
    gain: float
    window: tuple[float, float]  # S
    facts = Facts(conservative=True, smooth=True)

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        key: PRNGKeyArray,
        input_gain: float = 1.0,
        gain: float = 1.0,
        scale: float = 1.0,  # S
        window: tuple[float, float] = (0.0, math.inf),  # S
        relaxation: AbstractRelaxation = FixedSteps(4, 4),
    ):
        r"""Layers of `sizes`, inputs first; `key` draws the conductances.

        **Arguments:** `input_gain`, `gain`: $a_0$ and $a$. `scale`: behind $n$ sources
        or nodes, conductances begin uniform in 0 to `scale`$/\sqrt n$, then moved into
        `window`, which is what can be built. Current sources begin at zero.
        **Raises:** `ValueError` if a layer is empty, or there is but one; if a gain or
        the scale is not positive, or the window no range of conductances, or none that
        they begin in.
        """
        _check(sizes, input_gain, gain, scale, window)
        counts = [2 * sizes[0], *sizes[1:-1]]
        keys = jax.random.split(key, len(counts))
        self.conductance = tuple(
            _within(scale / math.sqrt(n) * jax.random.uniform(own, (n, m)), window)
            for own, n, m in zip(keys, counts, sizes[1:], strict=True)
        )
        self.current = tuple(jnp.zeros(m) for m in sizes[1:])
        self.relaxation = relaxation
        self.input_gain = input_gain
        self.gain = gain
        self.window = window

    def __call__(
        self, x: Float[Array, "*batch n"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "*batch m"]:
        return self.readout(self.relax(self.initial_state(x, key=key), x, None))

    def initial_state(
        self, x: Float[Array, "*batch n"], *, key: PRNGKeyArray | None = None
    ) -> Voltages:
        del key
        return tuple(jnp.zeros((*x.shape[:-1], b.size), x.dtype) for b in self.current)

    def relax(
        self,
        state: Voltages,
        x: Float[Array, "*batch n"],
        nudge: Float[Array, "*batch m"] | None,
    ) -> Voltages:
        circuit = self._circuit(x, nudge)
        free = range(len(state))
        return self.relaxation(
            lambda state: _sweep(circuit, state, free),
            state,
            nudged=nudge is not None,
        )

    def relax_clamped(
        self,
        state: Voltages,
        x: Float[Array, "*batch n"],
        output: Float[Array, "*batch m"],
    ) -> Voltages:
        circuit = self._circuit(x, None)
        free = range(len(state) - 1)
        return self.relaxation(
            lambda state: _sweep(circuit, state, free),
            (*state[:-1], output),
            nudged=True,
        )

    def readout(self, state: Voltages) -> Float[Array, "*batch m"]:
        return state[-1]

    def residual(self, state: Voltages, x: Float[Array, "*batch n"]) -> Voltages:
        r"""What flows into each node and is not taken up by its diode (A).

        It is weighed by $a^{2-2\ell}$, as the energy is.
        """
        circuit = self._circuit(x, None)
        return tuple(
            weight * _spread(load, node) * (_settled(circuit, state, layer) - node)
            for layer, (weight, load, node) in enumerate(
                zip(self._weights(), circuit.loads, state, strict=True)
            )
        )

    def energy(
        self, state: Voltages, x: Float[Array, "*batch n"]
    ) -> Float[Array, "*batch"]:
        """$E$, less its value with all free nodes at 0 V (W).

        That value is the same for all states, and so large that in single precision the
        difference between two of them would drown in it.
        """
        circuit = self._circuit(x, None)
        energy = jnp.zeros(x.shape[:-1], x.dtype)
        for layer, weight in enumerate(self._weights()):
            node, load = state[layer], circuit.loads[layer]
            upstream = jnp.sum(_from_before(circuit, state, layer) * node, -1)
            energy += weight * (node**2 @ load / 2 - upstream)
        return energy

    def project(self) -> "DeepResistiveNetwork":
        inside = tuple(_within(g, self.window) for g in self.conductance)
        return eqx.tree_at(lambda layer: layer.conductance, self, inside)

    def _parameters(self, x: Array) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """Conductances and currents in the precision of the input."""
        return jax.tree.map(
            lambda leaf: leaf.astype(x.dtype), (self.conductance, self.current)
        )

    def _weights(self) -> list[float]:
        """By what the power of each layer counts in the energy."""
        return [self.gain ** (-2 * layer) for layer in range(len(self.current))]

    def _circuit(self, x: Array, nudge: Array | None) -> "_Circuit":
        """All that does not change while the voltages settle."""
        conductance, current = self._parameters(x)
        plus, minus = jnp.split(conductance[0], 2)
        driven = self.input_gain * (x @ (plus - minus))
        injected = [jnp.broadcast_to(b, (*x.shape[:-1], b.size)) for b in current]
        injected[0] += driven
        if nudge is not None:
            injected[-1] -= nudge / self._weights()[-1]
        loads = [jnp.sum(g, 0) for g in conductance]
        for layer, g in enumerate(conductance[1:]):
            loads[layer] += jnp.sum(g, 1)
        return _Circuit(conductance, injected, _checked(loads, conductance), self.gain)


class _Circuit(NamedTuple):
    conductance: tuple[Array, ...]
    injected: list[Array]
    """Into each node, from sources (A)."""
    loads: list[Array]
    """The sum of the conductances at each node (S)."""
    gain: float


def _sweep(circuit: _Circuit, state: Voltages, free: range) -> Voltages:
    """Minimize the energy over the odd layers, then over the even ones."""
    nodes = list(state)
    for layer in (*free[::2], *free[1::2]):
        nodes[layer] = _settled(circuit, nodes, layer)
    return tuple(nodes)


def _settled(circuit: _Circuit, state: Sequence[Array], layer: int) -> Array:
    """Where the nodes of one layer settle, the others held."""
    inflow, load = _from_before(circuit, state, layer), circuit.loads[layer]
    if layer + 1 < len(state):
        inflow += state[layer + 1] @ circuit.conductance[layer + 1].T / circuit.gain
        return rectified(inflow / _spread(load, inflow))
    return inflow / _spread(load, inflow)


def _from_before(circuit: _Circuit, state: Sequence[Array], layer: int) -> Array:
    """What sources and the layer before drive into grounded nodes (A)."""
    inflow = circuit.injected[layer]
    if layer == 0:
        return inflow
    return inflow + circuit.gain * (state[layer - 1] @ circuit.conductance[layer])


def _checked(loads: list[Array], conductance: tuple[Array, ...]) -> list[Array]:
    """The loads, if the circuit can be built and leaves no voltage undetermined."""
    messages = [
        f"`conductance[{layer}]` holds a negative value or NaN: `project` moves "
        "conductances into the window that can be built."
        for layer in range(len(loads))
    ] + [
        f"A node of layer {layer} of the free ones floats: all its conductances are "
        "zero. Give `window` a lower end above zero."
        for layer in range(len(loads))
    ]
    # Of a thousand numbers, the least is found faster than whether all pass a test.
    faults = [~(jnp.min(g) >= 0) for g in conductance]
    faults += [~jnp.all(load > 0) for load in loads]
    fault = jnp.stack(faults)
    first = eqx.branched_error_if(loads[0], fault.any(), jnp.argmax(fault), messages)
    return [first, *loads[1:]]


def _spread(row: Array, like: Array) -> Array:
    return jnp.broadcast_to(row, like.shape)


def _within(conductance: Array, window: tuple[float, float]) -> Array:
    return jnp.clip(conductance, *window)


def _check(
    sizes: Sequence[int],
    input_gain: float,
    gain: float,
    scale: float,
    window: tuple[float, float],
) -> None:
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"`sizes` must be two or more, all positive, not {sizes}.")
    for name, value in {"input_gain": input_gain, "gain": gain, "scale": scale}.items():
        if not value > 0:
            raise ValueError(f"`{name}` must be positive, not {value}.")
    low, high = window
    if not 0 <= low < high:
        raise ValueError(
            "`window` must be a range of conductances, 0 <= low < high (S), "
            f"not {window}."
        )
    largest = scale / math.sqrt(max([2 * sizes[0], *sizes[1:-1]]))
    if largest <= low:
        raise ValueError(
            f"With `scale`={scale}, conductances begin below {largest:.3g} S, and all "
            f"at the lower end of `window`, {low} S: none could be told from another."
        )
