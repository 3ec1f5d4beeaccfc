"""The nonlinear lattice, against dimers, normal modes and conserved quantities."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import ellipj

import pnnjax as pnn
from pnnjax.integrators import Splitting
from pnnjax.oscillators import (
    NonlinearLattice,
    amplitudes,
    chain_bonds,
    grid_bonds,
    hypercube_bonds,
    intensities,
    ring_bonds,
)
from pnnjax.oscillators._exchange import edge_colors

X = np.asarray([[0.9, -0.4, 0.3, 0.0, 0.5, -0.8], [0.2, 0.7, -0.6, 0.9, 0.1, 0.4]])


@eqx.filter_jit
def course(layer, x):
    """Start, states after every step, and their energies."""
    start = layer.initial_state(x)
    states = layer.trajectory(start, None)
    return start, states, layer.energy(start, None), layer.energy(states, None)


@eqx.filter_jit
def there_and_back(layer, x):
    final, _ = layer.run(x)
    return layer.trajectory(final.reversed(), None)


def lattice(steps):
    splitting = Splitting(6.0, steps)
    return NonlinearLattice(key=jax.random.key(3), splitting=splitting)


def test_norm_is_conserved_and_energy_bounded():
    drift = []
    for steps in (60, 120):
        start, states, before, energy = course(lattice(steps), jnp.asarray(X))
        norm = np.sum(intensities(states), -1)
        np.testing.assert_allclose(norm, np.sum(X**2, -1)[None] + 0 * norm, rtol=1e-12)
        drift.append(np.max(np.abs(np.asarray(energy) - np.asarray(before)), 0))
    np.testing.assert_allclose(np.log2(drift[0] / drift[1]), 2, atol=0.35)
    assert np.max(drift[1]) < 0.02


def test_it_follows_the_equation_of_motion():
    """Each example against SciPy's integrator, on a ring with detuned sites."""
    n, g = 4, 1.3
    matrix = np.diag([0.3, -0.2, 0.5, 0.1])
    for (i, j), strength in zip(ring_bonds(n), (1.0, -0.6, 0.8, 1.2)):
        matrix[i, j] = matrix[j, i] = strength
    splitting = Splitting(2.0, 200, order=4)
    layer = NonlinearLattice.from_coupling(matrix, nonlinearity=g, splitting=splitting)
    x = jnp.asarray(X[0, :n] + 1j * X[1, :n])
    final, y = eqx.filter_jit(layer.run)(x)

    def slope(t, psi):
        return -1j * (matrix @ psi + g * np.abs(psi) ** 2 * psi)

    exact = solve_ivp(slope, (0, 2), np.asarray(x), rtol=1e-11, atol=1e-12).y[:, -1]
    np.testing.assert_allclose(amplitudes(final), exact, atol=1e-8)
    np.testing.assert_allclose(y, np.abs(exact) ** 2, atol=1e-8)


@pytest.mark.parametrize("strength", [0.0, 3.0, 5.0])
def test_a_dimer_oscillates_or_traps_itself(strength):
    """From one site, z = |ψ1|² - |ψ2|² is cn(2Jt|k²), k = gN/4J; dn beyond k = 1.

    Raghavan et al., Phys. Rev. A 59, 620 (1999), doi:10.1103/PhysRevA.59.620.
    """
    time, steps, coupling = 3.0, 3000, 1.0
    layer = NonlinearLattice.from_coupling(
        coupling * (1 - np.eye(2)),
        splitting=Splitting(time, steps),
    )
    # As an array, so that one program does all three.
    layer = eqx.tree_at(lambda n: n.nonlinearity, layer, jnp.asarray(strength))
    states = course(layer, jnp.asarray([1.0, 0.0]))[1]
    z = np.diff(intensities(states)[:, ::-1])[:, 0]
    t = time / steps * np.arange(1, steps + 1)
    k = strength / (4 * coupling)
    if k < 1:
        exact = ellipj(2 * coupling * t, k**2)[1]
        assert np.min(z) < -0.98
    else:
        exact = ellipj(strength * t / 2, 1 / k**2)[2]
        assert np.min(z) > 0.5
    np.testing.assert_allclose(z, exact, atol=2e-6 if strength else 1e-12)


def test_a_linear_chain_has_its_normal_modes():
    """Mode m of n sites turns at 2J cos(πm/(n+1)), and stays what it is."""
    n, mode, time = 5, 2, 2.0
    layer = NonlinearLattice(
        n,
        key=jax.random.key(0),
        disorder=0.0,
        nonlinearity=0.0,
        splitting=Splitting(time, 1000),
    )
    shape = np.sin(math.pi * mode * np.arange(1, n + 1) / (n + 1))
    final, _ = eqx.filter_jit(layer.run)(jnp.asarray(shape))
    turned = np.exp(-2j * math.cos(math.pi * mode / (n + 1)) * time) * shape
    np.testing.assert_allclose(amplitudes(final), turned, atol=1e-5)


def test_the_reversed_motion_retraces():
    layer = lattice(120)
    back = there_and_back(layer, jnp.asarray(X))
    start, states, *_ = course(layer, jnp.asarray(X))
    for forth, b in zip((states.position, -states.momentum), back):
        np.testing.assert_allclose(b[:-1], forth[-2::-1], atol=1e-12)
    np.testing.assert_allclose(back.position[-1], start.position, atol=1e-12)
    np.testing.assert_allclose(back.momentum[-1], 0, atol=1e-12)


def test_loss_takes_its_share_of_the_intensity():
    layer = NonlinearLattice(
        3, key=jax.random.key(0), loss_rate=0.2, splitting=Splitting(2.0, 10)
    )
    y = eqx.filter_jit(layer)(jnp.asarray(X[:, :3]))
    lost = math.exp(-0.4) * np.sum(X[:, :3] ** 2, -1)
    np.testing.assert_allclose(np.sum(y, -1), lost, rtol=1e-12)
    assert not layer.facts.time_reversible and lattice(60).facts.time_reversible


@pytest.mark.parametrize(
    ("bonds", "sites", "colors"),
    [
        (chain_bonds(7), 7, 2),
        (ring_bonds(6), 6, 2),
        (ring_bonds(5), 5, 3),
        (grid_bonds(3, 4), 12, 4),
        (hypercube_bonds(4), 16, 4),
    ],
)
def test_bonds_of_a_color_do_not_meet(bonds, sites, colors):
    found = edge_colors(bonds, sites)
    assert len(found) == colors
    assert sorted(np.concatenate([c.bonds for c in found])) == list(range(len(bonds)))
    for color in found:
        ends = np.concatenate([color.first, color.second])
        assert len(set(ends.tolist())) == len(ends)
        np.testing.assert_array_equal(color.partner[color.partner], np.arange(sites))


def test_axes_and_single_precision():
    layer, x = lattice(60), jnp.asarray(X)
    y, mapped = eqx.filter_jit(lambda x: (layer(x[None]), jax.vmap(layer)(x)))(x)
    assert y.shape == (1, 2, 6)
    np.testing.assert_allclose(mapped, y[0], rtol=1e-12)
    for dtype in (jnp.float32, jnp.complex64):
        assert jax.eval_shape(layer, x.astype(dtype)).dtype == jnp.float32


class TestRefuses:
    def test_a_hamiltonian_that_is_not_symmetric(self):
        matrix = np.ones((3, 3))
        matrix[0, 2] = 0.4
        with pytest.raises(ValueError, match=r"\[0, 2\] is 0.4, and coupling\[2, 0\]"):
            NonlinearLattice.from_coupling(matrix)
        with pytest.raises(ValueError, match="square"):
            NonlinearLattice.from_coupling(np.ones((2, 3)))
        with pytest.raises(ValueError, match=r"\[1, 1\]` is not finite"):
            NonlinearLattice.from_coupling(np.diag([1.0, np.nan]))

    def test_a_step_that_is_too_long(self):
        with pytest.raises(ValueError, match="must be 1.57 s or less.*least 4 steps"):
            NonlinearLattice(
                3,
                key=jax.random.key(0),
                disorder=0.0,
                splitting=Splitting(5.0, 2),
            )

    def test_bonds_and_sites_that_are_not_there(self):
        key = jax.random.key(0)
        with pytest.raises(ValueError, match=r"\(2, 3\) does not join"):
            NonlinearLattice(3, key=key, bonds=[(2, 3)])
        with pytest.raises(ValueError, match="twice"):
            NonlinearLattice(3, key=key, bonds=[(0, 1), (1, 0)])
        with pytest.raises(ValueError, match="`outputs` must be different"):
            NonlinearLattice(3, key=key, outputs=[1, 1])
        with pytest.raises(ValueError, match="at least one site"):
            NonlinearLattice(0, key=key)
        with pytest.raises(ValueError, match="3 input sites, but `x` has 2"):
            NonlinearLattice(3, key=key)(jnp.ones(2))
        with pytest.raises(ValueError, match="gain"):
            NonlinearLattice(3, key=key, loss_rate=-0.1)


def test_it_is_a_hamiltonian_layer():
    assert isinstance(lattice(60), pnn.AbstractHamiltonianLayer)
