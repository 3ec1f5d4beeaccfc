"""Coupled resonators whose frequencies shift with the light inside them."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex, Float, Inexact, PRNGKeyArray

from .._layer import Facts
from .._scattering import AbstractNonlinearScatteringLayer
from ._coupled_modes import hamiltonian, matrix_cotangent


def kerr_drift(
    amplitude: Complex[Array, "*batch n"],  # √J
    incoming: Complex[Array, "*batch n"],  # √W
    matrix: Complex[Array, "n n"],  # rad/s, H less the frequency of the light
    kerr: float,  # rad/s/J
    decay: Float[Array, " n"],  # rad/s, into the port of each mode
) -> Complex[Array, "*batch n"]:  # √J/s
    r"""$\dot a = -i(H - \omega)\,a - i g|a|^2 a - \sqrt\kappa\,a_\text{in}$.

    **Source:** Dal Cin, Marquardt, Wanjura, arXiv:2508.11750 (2025).
    """
    shift = kerr * (amplitude.real**2 + amplitude.imag**2)
    root = jnp.broadcast_to(jnp.sqrt(decay), shift.shape).astype(incoming.dtype)
    linear = jnp.einsum("jk,...k->...j", matrix, amplitude)
    return -1j * (linear + shift.astype(linear.dtype) * amplitude) - root * incoming


def kerr_response(
    push: Complex[Array, "*batch n"],  # √J/s
    amplitude: Complex[Array, "*batch n"],  # √J
    matrix: Complex[Array, "n n"],  # rad/s, H less the frequency of the light
    kerr: float,  # rad/s/J
) -> Complex[Array, "*batch n"]:  # √J
    r"""What a small steady `push` does to the modes: $\delta$ of
    $i(H - \omega + 2g|a|^2)\,\delta + i g a^2\delta^* = p$."""
    n = matrix.shape[-1]
    one = jnp.eye(n, dtype=amplitude.real.dtype)
    shift = 2 * kerr * (amplitude.real**2 + amplitude.imag**2)
    own = jnp.broadcast_to(matrix.real, (*shift.shape, n)) + _diagonal(shift, one)
    lost = jnp.broadcast_to(matrix.imag, own.shape)
    square = kerr * amplitude * amplitude
    real, imaginary = _diagonal(square.real, one), _diagonal(square.imag, one)
    rows = [[own + real, imaginary - lost], [imaginary + lost, own - real]]
    turned = -1j * push
    parts = jnp.concatenate([turned.real, turned.imag], -1)[..., None]
    both = jnp.linalg.solve(jnp.block(rows), parts)[..., 0]
    return lax.complex(*jnp.split(both, 2, -1))


class KerrNetwork(AbstractNonlinearScatteringLayer):
    r"""Groups of Kerr resonators, each coupled to the next, in their steady state.

    The input is the light sent into the ports of the first group (√W), the output the
    light that leaves those of the last one, $a_\text{out} = a_\text{in} + \sqrt\kappa\,
    a$. Detunings and couplings are trained; the couplings are real and symmetric. All
    rates are in one unit: rad/s, or, where `decay` is 1, that decay.

    **Valid for:** light so weak that the linear steady state leads to the physical one:
    it is stable where `nonlinearity` is below 1.
    **Error:** of the steady state, `rtol`.
    **Source:** Dal Cin, Marquardt, Wanjura, arXiv:2508.11750 (2025).
    """

    detuning: tuple[Float[Array, " _"], ...]
    coupling: tuple[Float[Array, "_ _"], ...]
    kerr: float
    decay: float
    loss: float
    frequency: float
    rtol: float
    facts = Facts(reciprocal=True, accessible=True)

    def __init__(
        self,
        sizes: tuple[int, ...],
        *,
        key: PRNGKeyArray,
        kerr: float,  # rad/s/J
        decay: float = 1.0,  # rad/s
        loss: float = 0.0,  # rad/s
        frequency: float = 0.0,  # rad/s
        scale: float = 1.0,  # rad/s
        rtol: float = 1e-6,
    ):
        """Two or more groups of resonators with random couplings, and no detunings.

        **Arguments:** `sizes`: of the groups; `kerr`: the shift of a mode's frequency
        for 1 J in it; `decay`: into the port of each mode; `loss`: into anything else;
        `scale`: couplings begin normal, of variance `scale**2` over how many resonators
        the group below has.
        **Raises:** `ValueError` for what can't be built.
        """
        if len(sizes) < 2 or min(sizes) < 1:
            raise ValueError(
                "`sizes` are two or more groups of at least one resonator, not "
                f"{sizes}."
            )
        if not (decay > 0 and loss >= 0 and rtol > 0):
            raise ValueError(
                "`decay` and `rtol` must be positive, and `loss` not negative, but "
                f"they are {decay}, {rtol} and {loss}."
            )
        keys = jax.random.split(key, len(sizes) - 1)
        self.detuning = tuple(jnp.zeros(n) for n in sizes)
        self.coupling = tuple(
            scale / math.sqrt(n) * jax.random.normal(k, (n, m))
            for n, m, k in zip(sizes, sizes[1:], keys)
        )
        self.kerr = kerr
        self.decay = decay
        self.loss = loss
        self.frequency = frequency
        self.rtol = rtol

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many resonators each group has."""
        return tuple(len(d) for d in self.detuning)

    def port_decay(self) -> Float[np.ndarray, " modes"]:
        return np.full(sum(self.sizes), self.decay)

    def __call__(
        self,
        x: Inexact[Array, "*batch inputs"],  # √W
        *,
        key: PRNGKeyArray | None = None,
    ) -> Complex[Array, "*batch outputs"]:  # √W
        return self.readout(self.scatter(self.incoming(x)))

    def incoming(
        self,
        x: Inexact[Array, "*batch inputs"],  # √W
    ) -> Complex[Array, "*batch modes"]:  # √W
        if x.shape[-1] != self.sizes[0]:
            raise ValueError(
                f"There are {self.sizes[0]} resonators in the first group, but `x` has "
                f"{x.shape[-1]} fields: its shape is {x.shape}."
            )
        field = x if jnp.iscomplexobj(x) else lax.complex(x, jnp.zeros_like(x))
        dark = [(0, 0)] * (x.ndim - 1) + [(0, sum(self.sizes[1:]))]
        return jnp.pad(field, dark)

    def scatter(
        self,
        incoming: Complex[Array, "*batch modes"],  # √W
    ) -> Complex[Array, "*batch modes"]:  # √W
        root = jnp.sqrt(self._rates(incoming)[1]).astype(incoming.dtype)
        inside = self.amplitude(incoming)
        return incoming + jnp.broadcast_to(root, inside.shape) * inside

    def readout(
        self,
        outgoing: Complex[Array, "*batch modes"],  # √W
    ) -> Complex[Array, "*batch outputs"]:  # √W
        return outgoing[..., -self.sizes[-1] :]

    def cotangent(
        self,
        left: Complex[Array, "*batch modes"],
        right: Complex[Array, "*batch modes"],
    ) -> "KerrNetwork":
        detuning, coupling = matrix_cotangent(
            left[..., None], right[..., None], self.sizes
        )
        axes = tuple(range(left.ndim - 1))
        added = tuple(jnp.sum(part, axes) for part in detuning)
        return eqx.tree_at(lambda r: (r.detuning, r.coupling), self, (added, coupling))

    def amplitude(
        self,
        incoming: Complex[Array, "*batch modes"],  # √W
    ) -> Complex[Array, "*batch modes"]:  # √J
        """The modes in the steady state that Newton's method finds from the linear one.

        **Raises:** an error when it runs, if it finds none within 50 steps.
        """
        matrix, decay = self._rates(incoming)

        tolerance = max(self.rtol, 32 * float(jnp.finfo(incoming.real.dtype).eps))

        def step(a, incoming, matrix):
            push = kerr_drift(a, incoming, matrix, self.kerr, decay)
            return a + kerr_response(push, a, matrix, self.kerr)

        def moved(carry):
            a, _, count = carry
            return step(a, *held), a, count + 1

        def far(a, last):
            return jnp.max(jnp.abs(a - last)) > tolerance * jnp.max(jnp.abs(a))

        held = lax.stop_gradient((incoming, matrix))
        dark = jnp.zeros_like(held[0])
        a, last, _ = lax.while_loop(
            lambda carry: far(*carry[:2]) & (carry[2] < 50),
            moved,
            moved((dark, dark, 0)),
        )
        failed = ~jnp.all(jnp.isfinite(a)) | far(a, last)
        # One step more has the derivatives of the steady state.
        return step(eqx.error_if(a, failed, UNSETTLED), incoming, matrix)

    def nonlinearity(
        self,
        x: Inexact[Array, "*batch inputs"],  # √W
    ) -> Float[Array, "*batch"]:  # dimensionless
        """The largest Kerr shift of a mode, over half its linewidth."""
        inside = self.amplitude(self.incoming(x))
        shift = abs(self.kerr) * (inside.real**2 + inside.imag**2)
        return 2 * jnp.max(shift, -1) / (self.decay + self.loss)

    def _rates(self, incoming: Any):
        """$H - \\omega$, and the decay into each port."""
        dtype = incoming.real.dtype
        detuning = [d.astype(dtype) - self.frequency for d in self.detuning]
        width = [self.decay + self.loss] * len(detuning)
        decay = jnp.asarray(self.port_decay(), dtype)
        return hamiltonian(detuning, self.coupling, width), decay


def _diagonal(values, one):
    return values[..., None] * jnp.broadcast_to(one, (*values.shape, len(one)))


UNSETTLED = (
    "Newton's method found no steady state of the Kerr resonators: send less light, or "
    "take a smaller `kerr`, so that no mode shifts by more than about its linewidth."
)
