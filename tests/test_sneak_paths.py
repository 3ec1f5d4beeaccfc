"""Sneak paths: closed forms of small and of uniform arrays, and what biasing leaves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pnnjax.circuits import FloatingLines, GroundedLines, HalfVoltage, ThirdVoltage

SCHEMES = (FloatingLines(), GroundedLines(), HalfVoltage(), ThirdVoltage())


@jax.jit
def read(g):
    return [(scheme.apparent(g), scheme.load(g)) for scheme in SCHEMES]


def test_three_cells_in_series_are_beside_the_one_that_is_read():
    (a, b), (c, d) = g = np.asarray([[1e-6, 2e-5], [1e-4, 5e-5]])
    found, _ = read(jnp.asarray(g))[0]
    assert float(found[0, 0]) == pytest.approx(a + 1 / (1 / b + 1 / d + 1 / c))
    assert float(found[1, 0]) == pytest.approx(c + 1 / (1 / a + 1 / b + 1 / d))


def test_uniform_arrays():
    m, n, g = 4, 7, 2e-5
    # Out of the row, across, and into the column: three groups of equal cells.
    sneak = g / (1 / (n - 1) + 1 / ((m - 1) * (n - 1)) + 1 / (m - 1))
    expected = [
        (g + sneak, g + sneak),
        (g, n * g),
        (g + (m - 1) * g / 2, g + (m + n - 2) * g / 4),
        (g + (m - 1) * g / 3, g + (m * n - 1) * g / 9),
    ]
    for found, closed in zip(read(jnp.full((m, n), g)), expected, strict=True):
        for one, value in zip(found, closed, strict=True):
            np.testing.assert_allclose(one, value, rtol=1e-12)


def test_biased_lines_by_the_current_of_every_cell():
    g = np.random.default_rng(0).uniform(1e-6, 1e-4, (4, 7))
    i, j = 1, 2
    held = ((0.0, 0.0), (1 / 2, 1 / 2), (1 / 3, 2 / 3))
    for (row, column), found in zip(held, read(jnp.asarray(g))[1:], strict=True):
        rows, columns = np.full(4, row), np.full(7, column)
        rows[i], columns[j] = 1.0, 0.0
        drop = rows[:, None] - columns
        sensed, load = (float(one[i, j]) for one in found)
        assert sensed == pytest.approx(np.sum(g * drop, 0)[j])
        assert load == pytest.approx(np.sum(g * drop**2))


def test_a_line_without_cells_floats():
    g = np.full((4, 7), 1e-5)
    g[1] = 0
    with pytest.raises(Exception, match="not connected"):
        read(jnp.asarray(g))
