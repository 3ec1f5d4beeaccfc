"""Meshes of interferometers, against what light in them must do."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.test_util import check_grads
from scipy.stats import unitary_group

from pnnjax import Frozen, is_trainable
from pnnjax.optics import MZIMesh, SVDMesh, TriangularMesh
from pnnjax.optics._mzi import mzi

MESHES = [MZIMesh, TriangularMesh]
QUARTER = np.pi / 4


def complex_normal(key, shape, dtype=float):
    return lax.complex(*jax.random.normal(key, (2, *shape), dtype))


@eqx.filter_jit
def matrix_of(layer):
    return layer.matrix()


def power(field):
    return jnp.sum(field.real**2 + field.imag**2, -1)


def with_phases(mesh, phases):
    return eqx.tree_at(lambda m: (m.theta, m.phi, m.gamma), mesh, phases)


def phases_of(mesh):
    return mesh.theta, mesh.phi, mesh.gamma


def imperfect(kind, modes, key):
    return kind(modes, key=key, splitter_error=0.05, loss=0.2, crosstalk=0.03)


def plain_matrix(mesh):
    """The matrix from 2 × 2 blocks in an identity, column after column."""
    theta, phi, gamma = mesh._realized(*phases_of(mesh))
    modes, error = gamma.size, mesh.splitter_error
    angle = jnp.full((2, *theta.shape), QUARTER)
    angle = angle if error is None else angle + error.value
    matrix = jnp.eye(modes, dtype=complex)
    entries = mzi(theta, phi, *angle)
    for column, slots in enumerate(mesh.occupied):
        upper = 2 * np.flatnonzero(slots) + column % 2
        step = jnp.eye(modes, dtype=complex)
        places = ((0, 0), (0, 1), (1, 0), (1, 1))
        for (row, side), entry in zip(places, entries, strict=True):
            entry = entry[column, slots] * 10 ** (-mesh.loss / 20)
            step = step.at[upper + row, upper + side].set(entry)
        matrix = step @ matrix
    return lax.complex(jnp.cos(gamma), jnp.sin(gamma))[:, None] * matrix


@pytest.mark.parametrize(
    "theta, stays",
    [(np.pi, 1.0), (0.0, 0.0), (np.pi / 2, 0.5), (1.1, np.sin(0.55) ** 2)],
)
def test_one_interferometer(theta, stays, getkey):
    mesh = MZIMesh(2, 1, key=getkey())
    phi, gamma = jnp.array([[0.7]]), jnp.zeros(2)
    mesh = with_phases(mesh, (jnp.array([[theta]]), phi, gamma))
    matrix, half = np.asarray(matrix_of(mesh)), theta / 2
    entries = [[np.sin(half), np.cos(half)], [np.cos(half), -np.sin(half)]]
    expected = 1j * np.exp(1j * half) * np.array(entries) * np.exp([[0.7j, 0]])
    np.testing.assert_allclose(matrix, expected, atol=1e-14)
    np.testing.assert_allclose(abs(matrix[0, 0]) ** 2, stays, atol=1e-14)


def test_splitter_errors_limit_extinction_in_second_order():
    """Cross leaves sin²(a₁ + a₂ - π/2) in bar; bar leaves sin²(a₁ - a₂) in cross."""
    for size in (0.1, 0.01):
        first, second = jnp.array(QUARTER + size), jnp.array(QUARTER - 0.3 * size)
        zero, pi = jnp.array(0.0), jnp.array(np.pi)
        cross = mzi(zero, zero, first, second)
        bar = mzi(pi, zero, first, second)
        np.testing.assert_allclose(abs(cross[0]), np.sin(0.7 * size), rtol=1e-12)
        np.testing.assert_allclose(abs(bar[1]), np.sin(1.3 * size), rtol=1e-12)


@pytest.mark.parametrize("kind", MESHES)
@pytest.mark.parametrize("modes", [2, 3, 5, 8, 64])
def test_reconstructs_haar_unitaries(kind, modes):
    unitary = unitary_group.rvs(modes, random_state=modes)
    mesh = kind.from_unitary(unitary)
    assert mesh.occupied.sum() == modes * (modes - 1) // 2
    np.testing.assert_allclose(matrix_of(mesh), unitary, atol=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize("kind", MESHES)
def test_reconstructs_256_modes(kind):
    unitary = unitary_group.rvs(256, random_state=1)
    mesh = kind.from_unitary(unitary)
    np.testing.assert_allclose(matrix_of(mesh), unitary, atol=1e-10)


@pytest.mark.parametrize("kind", MESHES)
@pytest.mark.parametrize(
    "unitary", [np.eye(5), np.eye(4)[::-1] + 0j, np.eye(6)[[1, 0, 3, 2, 5, 4]]]
)
def test_reconstructs_permutations(kind, unitary):
    np.testing.assert_allclose(
        matrix_of(kind.from_unitary(unitary)), unitary, atol=1e-13
    )


@pytest.mark.parametrize("kind", MESHES)
def test_refuses_what_is_not_unitary(kind):
    with pytest.raises(ValueError, match="not unitary: .* differs from 1 by 0.21"):
        kind.from_unitary(1.1 * np.eye(4))
    with pytest.raises(ValueError, match="not unitary"):
        kind.from_unitary(np.full((2, 2), np.nan))
    with pytest.raises(ValueError, match="SVDMesh.from_matrix"):
        kind.from_unitary(np.ones((2, 3)))


@pytest.mark.parametrize("modes, columns", [(2, 1), (5, 5), (6, 3)])
def test_lossless_mesh_is_unitary(modes, columns, getkey):
    mesh = MZIMesh(modes, columns, key=getkey(), splitter_error=0.1, crosstalk=0.1)
    matrix, x = matrix_of(mesh), complex_normal(getkey(), (3, modes))
    np.testing.assert_allclose(matrix @ matrix.conj().T, np.eye(modes), atol=1e-12)
    out = eqx.filter_jit(mesh)(x)
    np.testing.assert_allclose(power(out), power(x), rtol=1e-12)
    np.testing.assert_allclose(out, x @ matrix.T, atol=1e-12)
    assert mesh.facts.lossless and mesh.facts.reciprocal and mesh.facts.phase_only


@pytest.mark.parametrize("kind, modes", [(MZIMesh, 5), (TriangularMesh, 4)])
def test_matrix_is_the_product_of_interferometers(kind, modes, getkey):
    mesh = imperfect(kind, modes, getkey())
    np.testing.assert_allclose(matrix_of(mesh), plain_matrix(mesh), atol=1e-13)


@pytest.mark.parametrize("kind, rank", [(MZIMesh, 4), (TriangularMesh, 4)])
def test_initial_matrices_are_haar_random(kind, rank, getkey):
    """Each |U|² of 5 modes is Beta(1, 4): mean 1/5, second moment 1/15."""
    keys = jax.random.split(getkey(), 4000)
    matrices = jax.jit(jax.vmap(lambda key: matrix_of(kind(5, key=key))))(keys)
    powers = matrices.real**2 + matrices.imag**2
    # Standard errors are at most 0.0026 and 0.0018.
    np.testing.assert_allclose(powers.mean(0), 1 / 5, atol=0.012)
    np.testing.assert_allclose((powers**2).mean(0), 1 / 15, atol=0.008)
    np.testing.assert_allclose(matrices.mean(0), 0, atol=0.035)


def test_loss_counts_interferometers(getkey):
    """Two modes meet one a column; the edges of four modes pass odd columns freely."""
    mesh = MZIMesh(2, 6, key=getkey(), loss=0.3)
    # Odd columns of two modes are plain waveguides.
    x = complex_normal(getkey(), (2,))
    np.testing.assert_allclose(
        power(eqx.filter_jit(mesh)(x)), power(x) * 10**-0.09, rtol=1e-12
    )
    assert not mesh.facts.lossless
    mesh = MZIMesh(4, 6, key=getkey(), loss=0.3)
    bar = with_phases(mesh, (jnp.full((6, 2), np.pi), mesh.phi, mesh.gamma))
    passed = power(matrix_of(bar).T)
    np.testing.assert_allclose(passed, 10 ** -np.array([0.09, 0.18, 0.18, 0.09]))


def test_crosstalk_reaches_the_neighbors(getkey):
    mesh = MZIMesh(6, key=getkey(), crosstalk=0.1)
    zeros = jnp.zeros((6, 3))
    theta, phi, gamma = mesh._realized(
        zeros.at[0, 1].set(1.0), zeros, jnp.zeros(6).at[0].set(1.0)
    )
    np.testing.assert_allclose(theta[0], [0.1, 1, 0.1])
    np.testing.assert_allclose(phi[0], [0, 0.1, 0])
    np.testing.assert_allclose(gamma, [1, 0.1, 0, 0, 0, 0])
    assert not theta[1:].any() and not phi[1:].any()
    # The last slot of an odd column is empty: it neither heats nor is heated.
    theta, phi, _ = mesh._realized(zeros.at[1, 2].set(1.0), zeros, mesh.gamma)
    assert not theta.any() and not phi.any()


@pytest.mark.slow
@pytest.mark.parametrize("modes, columns, order", [(4, 3, 1), (3, 2, 2)])
def test_gradients_match_finite_differences(modes, columns, order, getkey):
    mesh = MZIMesh(
        modes, columns, key=getkey(), splitter_error=0.1, loss=0.5, crosstalk=0.1
    )
    x, weight = complex_normal(getkey(), (2, modes)), jnp.arange(1.0, modes + 1)

    def loss(theta, phi, gamma, real, imag):
        arrays = map(jnp.asarray, (theta, phi, gamma))
        out = with_phases(mesh, tuple(arrays))(
            lax.complex(jnp.asarray(real), jnp.asarray(imag))
        )
        return jnp.sum((out.real**2 + out.imag**2 + 0.3 * out.real) * weight[None])

    check_grads(jax.jit(loss), (*phases_of(mesh), x.real, x.imag), order, ["rev"])


@pytest.mark.parametrize(
    "kind, modes, batch",
    [
        (MZIMesh, 4, 3),
        pytest.param(TriangularMesh, 3, 2, marks=pytest.mark.slow),
        pytest.param(MZIMesh, 3, 5, marks=pytest.mark.slow),
    ],
)
def test_gradients_match_plain_autodiff(kind, modes, batch, getkey):
    """So do the reversible rule and, for more examples than modes, the matrix."""
    mesh = imperfect(kind, modes, getkey())
    x, bar = (complex_normal(getkey(), (batch, modes)) for _ in range(2))

    def grads(apply):
        def loss(operands):
            mesh, x = operands
            return jnp.sum((bar * apply(mesh, x)).real)

        return eqx.filter_jit(eqx.filter_grad(loss))((mesh, x))

    ours, ours_x = grads(lambda mesh, x: mesh(x))
    plain, plain_x = grads(lambda mesh, x: x @ plain_matrix(mesh).T)
    remat, remat_x = grads(lambda mesh, x: eqx.filter_checkpoint(mesh)(x))
    np.testing.assert_allclose(ours_x, plain_x, atol=1e-12)
    np.testing.assert_allclose(ours_x, remat_x, atol=1e-12)
    trios = map(phases_of, (ours, plain, remat))
    for one, other, third in zip(*trios, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)
        np.testing.assert_allclose(one, third, atol=1e-12)
    assert not ours.theta[~mesh.occupied].any()


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind, modes",
    [(MZIMesh, 4), pytest.param(TriangularMesh, 5, marks=pytest.mark.slow)],
)
def test_reciprocal_contract(kind, modes, getkey):
    mesh = imperfect(kind, modes, getkey())
    x, bar = (complex_normal(getkey(), (2, 3, modes)) for _ in range(2))

    @eqx.filter_jit
    def in_situ(mesh):
        out, forwards = mesh.transmit(x, lambda field: field)
        back, backwards = mesh.transmit_back(bar, lambda field: field)
        overlap = jax.tree.map(
            lambda a, d: jnp.sum(a * d, (-3, -2)), forwards, backwards
        )
        return out, back, forwards, mesh.cotangent(overlap)

    out, back, forwards, cotangent = in_situ(mesh)
    matrix = matrix_of(mesh)
    np.testing.assert_allclose(out, x @ matrix.T, atol=1e-13)
    np.testing.assert_allclose(back, bar @ matrix, atol=1e-13)
    columns, slots = mesh.theta.shape
    assert forwards.theta.shape == forwards.phi.shape == (columns, 2, 3, slots)

    @eqx.filter_jit
    @eqx.filter_grad
    def gradient(mesh):
        return jnp.sum((bar * mesh(x)).real)

    for one, other in zip(phases_of(cotangent), phases_of(gradient(mesh)), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)
    assert not cotangent.splitter_error.value.any()


def test_taps_see_the_light_in_the_arms(getkey):
    """One interferometer: all power is before phi and, with loss, at the taps too."""
    mesh = MZIMesh(2, 1, key=getkey(), loss=1.0)
    x = jnp.array([0.6, 0.8j])
    _, seen = mesh.transmit(x, lambda field: field.real**2 + field.imag**2)
    phase = float(mesh.phi[0, 0])
    arm = (np.exp(1j * phase) * 0.6 + 1j * 0.8j) / np.sqrt(2)
    np.testing.assert_allclose(seen.phi[0], [0.36], rtol=1e-12)
    np.testing.assert_allclose(seen.theta[0], [abs(arm) ** 2], rtol=1e-12)
    np.testing.assert_allclose(np.sum(seen.gamma), 10**-0.1, rtol=1e-12)


def test_leading_axes_vmap_and_real_light(getkey):
    mesh = MZIMesh(5, 4, key=getkey())
    x = complex_normal(getkey(), (3, 2, 5))
    expected = x @ matrix_of(mesh).T
    run = eqx.filter_jit(lambda mesh, x: mesh(x))
    np.testing.assert_allclose(run(mesh, x), expected, atol=1e-13)
    np.testing.assert_allclose(run(mesh, x[0, 0]), expected[0, 0], atol=1e-13)
    each = jax.jit(jax.vmap(jax.vmap(mesh)))(x)
    np.testing.assert_allclose(each, expected, atol=1e-13)
    real = lax.complex(x.real, jnp.zeros_like(x.real))
    np.testing.assert_allclose(run(mesh, x.real), run(mesh, real), atol=1e-13)
    assert run(mesh, x[:0]).shape == (0, 2, 5)
    with pytest.raises(ValueError, match="the 5 modes"):
        mesh(x[..., :4])


@pytest.mark.slow
def test_per_example_gradients_add_up(getkey):
    mesh, x = MZIMesh(5, 4, key=getkey()), complex_normal(getkey(), (2, 5))
    grad = eqx.filter_grad(lambda mesh, x: jnp.sum(mesh(x).real ** 3))
    together = eqx.filter_jit(grad)(mesh, x)
    each = jax.jit(lambda x: jax.vmap(lambda one: grad(mesh, one))(x))(x)
    np.testing.assert_allclose(together.theta, each.theta.sum(0), atol=1e-12)


def test_single_precision_stays_single(getkey):
    unitary = unitary_group.rvs(6, random_state=0).astype(np.complex64)
    mesh, double = MZIMesh.from_unitary(unitary), MZIMesh(6, key=getkey())
    x = complex_normal(getkey(), (4, 6), jnp.float32)
    assert mesh.theta.dtype == jnp.float32
    np.testing.assert_allclose(matrix_of(mesh), unitary, atol=2e-6)

    def loss(mesh):
        return jnp.sum(mesh(x).real ** 2)

    value, grad = eqx.filter_eval_shape(eqx.filter_value_and_grad(loss), mesh)
    assert value.dtype == grad.theta.dtype == jnp.float32
    assert eqx.filter_eval_shape(double, x).dtype == jnp.complex64
    out, seen = eqx.filter_eval_shape(
        lambda mesh: mesh.transmit(x, lambda field: field), double
    )
    assert out.dtype == seen.phi.dtype == jnp.complex64


@pytest.mark.slow
def test_memory_and_program_do_not_grow_with_depth(getkey):
    """Only the interferometers' own numbers grow: nothing that has the batch in it."""

    def compiled(batch, columns):
        mesh, x = MZIMesh(16, columns, key=getkey()), jnp.ones((batch, 16))

        def loss(phases):
            return jnp.sum(with_phases(mesh, phases)(x).real ** 2)

        grad = jax.jit(jax.grad(loss))
        phases = phases_of(mesh)
        memory = grad.lower(phases).compile().memory_analysis()
        program = str(jax.make_jaxpr(grad)(phases))
        return memory.temp_size_in_bytes, program.count("=")

    (small, equations), (small_deep, deep_equations) = compiled(4, 64), compiled(4, 256)
    large, large_deep = compiled(16, 64)[0], compiled(16, 256)[0]
    assert equations == deep_equations
    # Of 12 more examples, 192 more columns would take 590 kB, and one column 3 kB.
    one_column = 12 * 16 * 16
    assert abs((large_deep - large) - (small_deep - small)) < 2 * one_column


def test_only_phases_are_trained(getkey):
    mesh = imperfect(MZIMesh, 4, getkey())
    assert isinstance(mesh.splitter_error, Frozen)
    trained = eqx.filter(mesh, is_trainable(mesh))
    assert len(jax.tree.leaves(trained)) == 3
    error = 0.1 * jnp.ones((2, 4, 2))
    given = MZIMesh(4, key=getkey(), splitter_error=error)
    np.testing.assert_array_equal(given.splitter_error.value, error)
    with pytest.raises(ValueError, match="splitter_error"):
        MZIMesh(4, key=getkey(), splitter_error=error[:, 1:])
    for modes, columns in ((1, None), (4, 0)):
        with pytest.raises(ValueError, match="at least 2 modes and 1 column"):
            MZIMesh(modes, columns, key=getkey())


@pytest.mark.parametrize("shape", [(5, 3), (3, 5)])
@pytest.mark.parametrize("imaginary", [0.0, 1j])
def test_svd_mesh_is_any_matrix(shape, imaginary, getkey):
    random = np.random.default_rng(0)
    matrix = random.normal(size=shape) * 7
    if imaginary:
        matrix = matrix + imaginary * random.normal(size=shape)
    mesh = SVDMesh.from_matrix(matrix)
    x = complex_normal(getkey(), (3, shape[1]))
    np.testing.assert_allclose(matrix_of(mesh), matrix, atol=1e-12)
    out = eqx.filter_jit(mesh)(x)
    np.testing.assert_allclose(out, np.asarray(x) @ matrix.T, atol=1e-12)
    np.testing.assert_allclose(mesh.gain, np.linalg.norm(matrix, 2), rtol=1e-12)
    assert mesh.attenuation.max() <= 1 and mesh.attenuation.min() >= 0


@pytest.mark.slow
def test_svd_mesh_bounds_its_attenuators(getkey):
    mesh = SVDMesh(4, 3, key=getkey())
    brighter = eqx.tree_at(lambda m: m.attenuation, mesh, jnp.array([1.5, 0.5, -0.1]))
    np.testing.assert_array_equal(brighter.project().attenuation, [1.0, 0.5, 0.0])
    x = complex_normal(getkey(), (2, 4))
    assert (power(eqx.filter_jit(mesh)(x)) <= power(x)).all()
    zero = SVDMesh.from_matrix(np.zeros((3, 4)))
    np.testing.assert_array_equal(eqx.filter_jit(zero)(x), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="2 modes or more"):
        SVDMesh.from_matrix(np.ones((1, 4)))
