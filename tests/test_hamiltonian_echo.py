"""Echoes: what they retrace, what they measure, and what loss does to them."""

import math
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax._motion import Part, PhaseSpace
from pnnjax.estimators import HamiltonianEcho
from pnnjax.integrators import Splitting
from pnnjax.oscillators import DuffingLattice, NonlinearLattice

KEY = jax.random.key(8)


class Springs(pnn.AbstractHamiltonianLayer):
    """Two masses in a hard well: input and sensors have parameters of their own."""

    stiffness: jax.Array
    place: jax.Array
    push: jax.Array
    sensor: jax.Array
    splitting: Splitting
    facts = pnn.Facts(time_reversible=True)

    def initial_state(self, x):
        q = jnp.tanh(jnp.einsum("ij,...tj->...i", self.place, x))
        return PhaseSpace(q, 0.3 * q**2)

    def drive(self, x):
        force = jnp.einsum("ij,...tj->t...i", self.push, jnp.sin(x))
        return jnp.repeat(force, self.splitting.steps // len(force), 0)

    def parts(self):
        stiffness = self.stiffness @ self.stiffness.T

        def well(state, drive):
            q = state.position
            square = 0.5 * jnp.einsum("...i,ij,...j->...", q, stiffness, q)
            return square + 0.25 * jnp.sum(q**4, -1) - jnp.sum(drive * q, -1)

        def kick(state, drive, time):
            q, p = state
            force = drive - jnp.einsum("ij,...j->...i", stiffness, q) - q**3
            return PhaseSpace(q, p + time * force)

        def motion(state, drive):
            return 0.5 * jnp.sum(state.momentum**2, -1)

        def drift(state, drive, time):
            q, p = state
            return PhaseSpace(q + time * p, p)

        return Part(well, kick), Part(motion, drift)

    def readout(self, state):
        seen = jnp.einsum("ij,...j->...i", self.sensor, state.position)
        return jnp.tanh(seen) + state.momentum**3


def springs(readings=None):
    numbers = iter(0.5 * jax.random.normal(KEY, (4, 2, 2)))
    splitting = Splitting(1.5, 12, readings=readings)
    return Springs(*numbers, splitting)


def gradients(layer, x, y_bar, estimator):
    """The cotangents of the layer and of x by the rule, and the exact ones."""

    @eqx.filter_jit
    def both(layer, x, estimator):
        model = pnn.Physical(layer, estimator)
        loss = lambda mx: jnp.sum(y_bar * mx[0](mx[1]))  # noqa: E731
        ours, exact = (
            eqx.filter_grad(loss)((model, x)),
            eqx.filter_grad(loss)((layer, x)),
        )
        return (ours[0].layer, ours[1]), exact

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pnn.GradientBiasWarning)
        return both(layer, x, estimator)


@pytest.mark.parametrize("readings", [None, 4])
def test_error_is_below_a_millionth(readings):
    """Parameters are in the Hamiltonian, at the input and at the sensors."""
    layer, x = springs(readings), 0.5 * jax.random.normal(KEY, (3, 4, 2))
    y_bar = jax.random.normal(KEY, jax.eval_shape(layer, x).shape)
    ours, exact = gradients(layer, x, y_bar, HamiltonianEcho(1e-3))
    assert pnn.relative_error(ours, exact) < 1e-6
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(exact), strict=True):
        assert pnn.relative_error(a, b) < 3e-6


@pytest.mark.slow
def test_a_lattice_of_waves_has_the_same_error_in_its_complex_input():
    layer = NonlinearLattice(2, key=KEY, splitting=Splitting(2.0, 12, readings=3))
    x = 0.5 * jax.random.normal(KEY, (3, 2), complex)
    y_bar = jax.random.normal(KEY, (3, 3, 2))
    ours, exact = gradients(layer, x, y_bar, HamiltonianEcho(1e-3))
    assert pnn.relative_error(ours, exact) < 1e-6
    single = jax.tree.map(
        lambda a: a.astype(jnp.float32) if eqx.is_inexact_array(a) else a, layer
    )
    x, y_bar = x.astype(jnp.complex64), y_bar.astype(jnp.float32)
    ours, _ = gradients(single, x, y_bar, HamiltonianEcho(0.03))
    pairs = zip(jax.tree.leaves(ours), jax.tree.leaves(exact), strict=True)
    for a, b in pairs:
        assert a.dtype in (jnp.float32, jnp.complex64)
        assert pnn.relative_error(a, b.astype(a.dtype)) < 2e-3


def test_without_an_error_signal_the_echo_retraces():
    layer = springs()
    x = jax.random.normal(KEY, (3, 4, 2))

    @eqx.filter_jit
    def echo(x):
        start, drive = layer.initial_state(x), layer.drive(x)
        final, _ = layer.run(x)
        back = layer.trajectory(final.reversed(), drive[::-1])
        return start, layer.trajectory(start, drive), back

    start, forth, back = echo(x)
    for there, again, begin in zip(forth, back.reversed(), start, strict=True):
        np.testing.assert_allclose(again[:-1], there[-2::-1], atol=1e-12)
        np.testing.assert_allclose(again[-1], begin, atol=1e-12)


@pytest.mark.parametrize(
    "layer",
    [
        NonlinearLattice(3, key=KEY),
        DuffingLattice(3, key=KEY),
    ],
    ids=["waves", "springs"],
)
def test_parts_keep_their_own_slope_and_are_even_in_the_momenta(layer):
    state = PhaseSpace(*jax.random.normal(KEY, (2, 3)))
    drive = None if isinstance(layer, NonlinearLattice) else jnp.ones(3)
    arrays, static = eqx.partition(layer, eqx.is_inexact_array)

    @jax.jit
    def measured(state):
        def energies(arrays, state):
            parts = eqx.combine(arrays, static).parts()
            return jnp.stack([part.energy(state, drive) for part in parts])

        found = []
        for k, part in enumerate(layer.parts()):
            after = part.flow(state, drive, 0.7)
            slopes = [
                jax.jacrev(energies)(arrays, s)
                for s in (state, after, state.reversed())
            ]
            own = [[leaf[k] for leaf in jax.tree.leaves(slope)] for slope in slopes]
            back = part.flow(after.reversed(), drive, 0.7).reversed()
            found.append((own, back))
        return found

    for (before, after, mirrored), back in measured(state):
        for a, b, c in zip(before, after, mirrored, strict=True):
            np.testing.assert_allclose(b, a, atol=1e-13)
            np.testing.assert_allclose(c, a, atol=1e-13)
        np.testing.assert_allclose(np.stack(back), np.stack(state), atol=1e-13)


def test_loss_makes_what_was_long_ago_count_too_little():
    """In a linear dimer each moment has the same share, and the echo's falls as
    exp(-loss_rate t) before the end: all in all (1 - exp(-kT))/kT, by midpoints."""
    rate, time, steps = 0.5, 2.0, 10

    def dimer(rate):
        return NonlinearLattice.from_coupling(
            1.0 - np.eye(2),
            nonlinearity=0.0,
            loss_rate=rate,
            splitting=Splitting(time, steps),
        )

    x, y_bar = jnp.asarray([0.8, 0.3]), jnp.asarray([1.0, -0.4])
    (ours, _), (exact, _) = gradients(dimer(rate), x, y_bar, HamiltonianEcho(1e-4))
    middles = time / steps * (np.arange(steps) + 0.5)
    share = np.mean(np.exp(-rate * middles))
    assert share == pytest.approx((1 - math.exp(-rate * time)) / (rate * time), 1e-3)
    np.testing.assert_allclose(ours.coupling / exact.coupling, share, rtol=1e-6)


def test_a_lossy_lattice_is_taken_with_a_warning_that_says_why():
    lossy = NonlinearLattice(3, key=KEY, loss_rate=0.1)
    with pytest.warns(pnn.GradientBiasWarning, match="loss_rate times duration grows"):
        pnn.Physical(lossy, HamiltonianEcho())
    with pytest.raises(TypeError, match="AbstractHamiltonianLayer"):
        pnn.Physical(pnn.optics.MZIMesh(3, key=KEY), HamiltonianEcho())


@pytest.mark.slow
def test_memory_does_not_grow_with_time():
    def needed(steps):
        layer = DuffingLattice(2, key=KEY, splitting=Splitting(0.01 * steps, steps))
        model = pnn.Physical(layer, HamiltonianEcho())
        arrays, static = eqx.partition(model, eqx.is_inexact_array)

        def loss(arrays, x):
            return jnp.sum(eqx.combine(arrays, static)(x) ** 2)

        x = jnp.ones((50, 1, 2))
        compiled = jax.jit(jax.grad(loss)).lower(arrays, x).compile()
        drive = steps * x.size * x.dtype.itemsize
        return compiled.memory_analysis().temp_size_in_bytes, drive

    (short, drive), (long, longer_drive) = needed(10), needed(1000)
    # The force of every step is kept, and its cotangent; no state is.
    assert long - short < 4.5 * (longer_drive - drive)


def test_costs_and_settings():
    layer = springs()
    one = jnp.ones((4, 2))
    centered, one_sided = HamiltonianEcho(), HamiltonianEcho(centered=False)
    assert centered.cost(layer, one).runs == 3
    # Positions, momenta, four matrices, the drive; and the output.
    assert one_sided.cost(layer, one) == pnn.PhysicalCost(2, 0, 2 + 2 * (4 + 16 + 24))
    with pytest.raises(ValueError, match="`epsilon` is the size"):
        HamiltonianEcho(0.0)
