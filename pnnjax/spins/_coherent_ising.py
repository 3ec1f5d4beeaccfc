"""Coherent Ising machine: optical parametric oscillators that feed each other."""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ._ising import IsingProblem
from ._solver import AbstractIsingSolver, starting_spins


def amplitude_control(
    amplitude: Float[Array, "*batch n"],
    log_gain: Float[Array, "*batch n"],
    force: Float[Array, "*batch n"],
    *,
    pump: float,
    rate: float,
    target: float,
    step: float,
) -> tuple[Float[Array, "*batch n"], Float[Array, "*batch n"]]:
    r"""One step of $\dot x = (p - 1 - x^2)\,x + e f$ and $\dot e = -\beta e(x^2 - a)$.

    The cubic loss acts on the amplitude after the step, so that no gain makes the
    amplitudes overflow; the rest is Euler's rule, in $\ln e$. What is at rest is what
    the equations have at rest.

    **Error:** of first order in `step`.
    **Source:** Leleu, Yamamoto, McMahon & Aihara, *Phys. Rev. Lett.* 122, 040607
    (2019), doi:10.1103/PhysRevLett.122.040607.
    """
    drive = (pump - 1) * amplitude + jnp.exp(log_gain) * force
    power = amplitude**2
    after = (amplitude + step * drive) / (1 + step * power)
    return after, log_gain + step * rate * (target - power)


class Oscillators(NamedTuple):
    """A machine while it runs; the last oscillator is the reference."""

    amplitude: Float[Array, "replicas oscillators"]
    log_gain: Float[Array, "replicas oscillators"]
    best: Float[Array, "replicas n"]
    """The spins of least energy so far."""
    energy: Float[Array, " replicas"]
    """Theirs."""


class CoherentIsing(AbstractIsingSolver):
    r"""Oscillators whose two phases are the spins, with amplitude control.

    $\dot x_i = (p - 1 - x_i^2)\,x_i + \epsilon\,e_i \sum_j J_{ij}x_j$ and
    $\dot e_i = -\beta\,e_i\,(x_i^2 - a)$, with time in units of the photons' lifetime
    in the cavity. The gains $e_i$ hold all amplitudes at $\sqrt a$, where the energy of
    the light is that of the spins; at a local minimum they don't settle, so that the
    state moves on. The best configuration on the way is reported.

    A field is the coupling to one more oscillator, against whose phase the others are
    read. $J$ is divided by the root mean square of the field that random spins make,
    so that the parameters do not depend on its scale.

    **Source:** Leleu, Yamamoto, McMahon & Aihara, *Phys. Rev. Lett.* 122, 040607
    (2019), doi:10.1103/PhysRevLett.122.040607.
    """

    steps: int = eqx.field(static=True)
    pump: float
    coupling: float
    rate: float
    target: float
    step: float
    largest_gain: float

    def __init__(
        self,
        steps: int = 2000,
        *,
        pump: float = 0.2,
        coupling: float = 0.7,
        rate: float = 0.1,
        target: float = 1.0,
        step: float = 0.1,
        largest_gain: float = 32.0,
    ):
        r"""Run for so many `steps`.

        **Arguments:** all dimensionless: `pump` is $p$, whose threshold without
        couplings is 1; `coupling` $\epsilon$, `rate` $\beta$ and `target` $a$;
        `step`: in photon lifetimes; `largest_gain`: where $e_i$ saturates.
        **Raises:** `ValueError` for fewer than one step, or a number out of its range.
        """
        if steps < 1:
            raise ValueError(f"The machine runs for at least one step, not {steps}.")
        for name, value in (
            ("coupling", coupling),
            ("rate", rate),
            ("target", target),
            ("step", step),
        ):
            if not value > 0:
                raise ValueError(f"`{name}` must be positive, not {value}.")
        if largest_gain < 1:
            raise ValueError(f"Gains begin at 1: they can't end at {largest_gain}.")
        self.steps = steps
        self.pump = pump
        self.coupling = coupling
        self.rate = rate
        self.target = target
        self.step = step
        self.largest_gain = largest_gain

    def __call__(
        self,
        problem: IsingProblem,
        *,
        key: PRNGKeyArray,
        replicas: int = 1,
        start: Float[Array, "replicas n"] | None = None,
    ) -> Float[Array, "replicas n"]:
        return self.run(problem, key=key, replicas=replicas, start=start).best

    def run(
        self,
        problem: IsingProblem,
        *,
        key: PRNGKeyArray,
        replicas: int = 1,
        start: Float[Array, "replicas n"] | None = None,
    ) -> Oscillators:
        """How the oscillators end, and the best spins on the way."""
        start_key, key = jax.random.split(key)
        spins = starting_spins(problem, replicas, start, start_key)
        # The vacuum's fluctuations, far below the target.
        size = 1e-3 * jax.random.uniform(key, (replicas, problem.size + 1), spins.dtype)
        reference = jnp.ones_like(spins[:, :1])
        begin = Oscillators(
            amplitude=size * jnp.concatenate([spins, reference], axis=1),
            log_gain=jnp.zeros_like(size),
            best=spins,
            energy=problem.energy(spins),
        )
        strength = self.coupling / _typical_field(problem)

        def step(state: Oscillators, _: None) -> tuple[Oscillators, None]:
            return self._step(problem, strength, state), None

        return jax.lax.scan(step, begin, None, length=self.steps)[0]

    def _step(
        self, problem: IsingProblem, strength: Array, state: Oscillators
    ) -> Oscillators:
        x, field = state.amplitude, problem.field[None]
        waves, reference = x[:, :-1], x[:, -1:]
        spins = _signs(waves) * _signs(reference)
        # One product for both: the couplings are read once.
        both = problem.couplings.product(jnp.concatenate([waves, spins]))
        wave_field, spin_field = jnp.split(both, 2)
        energy = -jnp.sum(spins * (spin_field / 2 + field), axis=-1)
        back = jnp.sum(waves * field, axis=-1, keepdims=True)
        force = jnp.concatenate([wave_field + field * reference, back], axis=1)
        amplitude, log_gain = amplitude_control(
            x,
            state.log_gain,
            strength * force,
            pump=self.pump,
            rate=self.rate,
            target=self.target,
            step=self.step,
        )
        return Oscillators(
            amplitude,
            jnp.minimum(log_gain, math.log(self.largest_gain)),
            jnp.where((energy < state.energy)[:, None], spins, state.best),
            jnp.minimum(energy, state.energy),
        )


def _typical_field(problem: IsingProblem) -> Float[Array, ""]:
    """The root mean square over spins and over random configurations; 1 if it is 0."""
    total = jnp.sum(problem.couplings.matrix() ** 2) + jnp.sum(problem.field**2)
    square = total / problem.size
    return jnp.where(square == 0, 1, jnp.sqrt(jnp.where(square == 0, 1, square)))


def _signs(values: Float[Array, "..."]) -> Float[Array, "..."]:
    return jnp.where(values < 0, -jnp.ones_like(values), jnp.ones_like(values))
