"""Resistive lines: a dense nodal solve, Kirchhoff's laws, ladders, and derivatives."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from pnnjax.circuits import LineResistance, column_currents, drive_rows, row_currents

RNG = np.random.default_rng(3)


def nodal(g, lines):
    """Every node's equation in one dense matrix: the currents and voltages for a volt
    at each row, the last axis of each."""
    rows, columns = g.shape
    u = np.arange(rows * columns).reshape(rows, columns)
    v = u + g.size
    matrix, drive = np.zeros((2 * g.size, 2 * g.size)), np.zeros((2 * g.size, rows))

    def join(a, b, siemens):
        for one, other in ((a, b), (b, a)):
            matrix[one, one] += siemens
            matrix[one, other] -= siemens

    for i in range(rows):
        for j in range(columns):
            join(u[i, j], v[i, j], g[i, j])
            if j:
                join(u[i, j - 1], u[i, j], 1 / lines.word)
            if i:
                join(v[i - 1, j], v[i, j], 1 / lines.bit)
        first = 1 / (lines.word + lines.source)
        matrix[u[i, 0], u[i, 0]] += first
        drive[u[i, 0], i] = first
    last = 1 / (lines.bit + lines.sense)
    matrix[v[-1], v[-1]] += last
    nodes = np.linalg.solve(matrix, drive)
    return last * nodes[v[-1]], nodes[u], nodes[v]


@partial(jax.jit, static_argnums=3)
def everything(g, few, many, lines):
    """Few inputs are solved for one by one, many by the matrix of the array."""
    return (
        drive_rows(g, few, lines),
        column_currents(g, many, lines),
        row_currents(g, jnp.eye(g.shape[1])[:2], lines),
    )


CASES = {
    "wide-spread": ((8, 6), LineResistance(1.0, 2.0)),
    "lossy": ((5, 9), LineResistance(3e3, 1e3, source=500.0, sense=2e3)),
}


@pytest.mark.parametrize(
    "name", ["lossy", pytest.param("wide-spread", marks=pytest.mark.slow)]
)
def test_equals_a_dense_nodal_solve_in_both_directions(name):
    shape, lines = CASES[name]
    g = 10 ** RNG.uniform(-6, -4, shape)
    few, many = RNG.normal(size=(3, shape[0])), RNG.normal(size=(2, 10, shape[0]))
    found, currents, back = everything(*map(jnp.asarray, (g, few, many)), lines)
    exact, u, v = nodal(g, lines)
    scale = np.abs(exact).max()
    np.testing.assert_allclose(found.columns, few @ exact.T, atol=1e-12 * scale)
    np.testing.assert_allclose(currents, many @ exact.T, atol=1e-12 * scale)
    # Reciprocity: what drives a column arrives at the rows as if they had driven it.
    np.testing.assert_allclose(back, exact[:2], atol=1e-12 * scale)
    np.testing.assert_allclose(found.on_rows, np.einsum("ijk,bk->bij", u, few))
    np.testing.assert_allclose(
        found.on_columns, np.einsum("ijk,bk->bij", v, few), atol=1e-12
    )


def test_charge_is_conserved():
    shape, lines = CASES["lossy"]
    g = jnp.asarray(10 ** RNG.uniform(-6, -4, shape))
    few, many = jnp.asarray(RNG.normal(size=(3, 5))), jnp.zeros((2, 10, 5))
    found, _, _ = everything(g, few, many, lines)
    cells = np.asarray(g) * np.asarray(found.on_rows - found.on_columns)
    # What a row takes in goes through its cells; a column's cells feed its sensor.
    np.testing.assert_allclose(-found.rows, cells.sum(2), atol=1e-15)
    np.testing.assert_allclose(found.columns, cells.sum(1), atol=1e-15)
    # The current along a row falls, node by node, by what its cells take.
    along = -np.diff(found.on_rows, axis=2) / lines.word
    onwards = np.cumsum(cells[:, :, ::-1], 2)[:, :, ::-1][:, :, 1:]
    np.testing.assert_allclose(along, onwards, atol=1e-15)
    down = -np.diff(found.on_columns, axis=1) / lines.bit
    np.testing.assert_allclose(down, np.cumsum(cells, 1)[:, :-1], atol=1e-15)


def test_a_cell_that_makes_power_is_refused():
    shape, lines = CASES["lossy"]
    g = jnp.asarray(RNG.uniform(-1e-3, 1e-4, shape))
    few, many = jnp.ones((3, 5)), jnp.ones((2, 10, 5))
    with pytest.raises(Exception, match="no conductance may be negative"):
        jax.block_until_ready(everything(g, few, many, lines))


def test_one_row_is_a_ladder_and_one_cell_a_series_circuit():
    lines = LineResistance(100.0, 50.0, source=20.0, sense=10.0)
    ladder = jax.jit(lambda g: column_currents(g[None], jnp.ones(1), lines))
    g = RNG.uniform(1e-4, 1e-3, 5)
    branches, admittance = 1 / (1 / g + 60), 0.0
    for branch in branches[::-1]:
        admittance = 1 / (100 + 1 / (branch + admittance))
    whole = 1 / (20 + 1 / admittance)
    assert float(ladder(jnp.asarray(g)).sum()) == pytest.approx(whole, rel=1e-13)
    alone = np.where(np.arange(5) == 2, g, 0)
    expected = 1 / (20 + 3 * 100 + 1 / g[2] + 50 + 10)
    np.testing.assert_allclose(
        ladder(jnp.asarray(alone)), np.where(alone > 0, expected, 0), rtol=1e-13
    )


def test_gradient_is_the_slope():
    lines = LineResistance(2e3, 1e3, sense=300.0)

    @jax.jit
    @jax.value_and_grad
    def loss(pair):
        g, x = pair
        return jnp.sum(jnp.sin(1e4 * column_currents(1e-4 * g, x, lines)))

    at, towards = (
        (jnp.asarray(RNG.uniform(0.1, 1, (4, 3))), jnp.asarray(RNG.normal(size=(2, 4))))
        for _ in range(2)
    )
    _, slope = loss(at)
    step = 1e-4
    ahead, behind = (
        loss(jax.tree.map(lambda a, t: a + s * t, at, towards))[0]
        for s in (step, -step)
    )
    along = sum(jnp.vdot(s, t) for s, t in zip(slope, towards))
    assert float(along) == pytest.approx(float((ahead - behind) / (2 * step)), rel=1e-6)


@pytest.mark.slow
def test_second_derivatives():
    lines = LineResistance(2e3, 1e3)
    check_grads(
        lambda g, x: (
            1e4 * column_currents(1e-4 * jnp.asarray(g), jnp.asarray(x), lines)
        ),
        (RNG.uniform(0.1, 1, (4, 3)), RNG.normal(size=(2, 4))),
        order=2,
        modes=["rev"],
    )


@pytest.mark.slow
@pytest.mark.parametrize("ohm", [0.0, 1e-6, 1.0, 1e4])
def test_single_precision_is_as_good_as_it_can_be(ohm):
    g = RNG.uniform(1e-6, 1e-4, (6, 5)).astype(np.float32)
    lines = LineResistance(ohm, ohm)
    found = column_currents(jnp.asarray(g), jnp.eye(6, dtype=jnp.float32), lines)
    assert found.dtype == jnp.float32
    exact = nodal(g.astype(float), lines)[0].T if ohm else g
    np.testing.assert_allclose(found, exact, atol=2e-6 * exact.max())


@pytest.mark.slow
def test_large_batches_are_cut_and_many_cells_are_solved():
    g = jnp.asarray(1 / RNG.uniform(1e4, 1e6, (60, 70)))
    x = jnp.asarray(RNG.normal(size=(37, 60)))
    lines = LineResistance(5.0, 5.0)
    exact = nodal(np.asarray(g), lines)[0]
    np.testing.assert_allclose(column_currents(g, x, lines), x @ exact.T, rtol=1e-9)


@pytest.mark.parametrize("name", ["word", "bit", "source", "sense"])
def test_a_negative_resistance_is_refused(name):
    with pytest.raises(ValueError, match=f"`{name}` is a resistance"):
        LineResistance(**{name: -1.0})
