"""Networks of springs, against statics done by hand."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar

import pnnjax as pnn
from pnnjax.waves import ElasticNetwork, spring_energy

each = pytest.mark.parametrize("linearized", [True, False])
CORNERS = np.asarray([[0, 0], [1, 0], [0.4, 0.8], [1.5, 0.9], [0.9, 1.7]])
SPRINGS = [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3), (2, 4), (3, 4)]
STIFFNESS = np.asarray([1.0, 2.0, 0.7, 3.0, 1.5, 0.9, 1.2])


def truss(linearized, **settings):
    """Five nodes on a pin and a roller, two forces and one imposed displacement."""
    given = {"fixed": [0, (1, 1)], "forced": [(3, 0), (4, 1)], "moved": [(1, 0)]}
    given |= {"outputs": [(4, 0), 2], "stiffness": STIFFNESS}
    return ElasticNetwork(CORNERS, SPRINGS, linearized=linearized, **(given | settings))


def loads(key, rows=4):
    rng = np.random.default_rng(int(jax.random.bits(key)))
    return jnp.asarray(0.1 * rng.normal(size=(rows, 3)))


# Compiled once for each network; the tests share the one of `truss` and four loads.
@eqx.filter_jit
def response(network, x):
    return network(x)


@eqx.filter_jit
def settled(network, x):
    return network.relax(network.initial_state(x), x, None)


@eqx.filter_jit
def relaxed(network, state, x, nudge):
    return network.relax(state, x, nudge)


@eqx.filter_jit
def clamped(network, state, x, output):
    return network.relax_clamped(state, x, output)


@eqx.filter_jit
def residual(network, state, x):
    return network.residual(state, x)


def chain(stiffness, nodes=2, springs=None, **settings):
    """Nodes on a line, held against leaving it; pulled at the end."""
    where = np.stack([np.arange(nodes), np.zeros(nodes)], 1).astype(float)
    pairs = springs or [(i, i + 1) for i in range(nodes - 1)]
    return ElasticNetwork(
        where,
        pairs,
        fixed=[0, *((i, 1) for i in range(1, nodes))],
        outputs=[(nodes - 1, 0)],
        stiffness=np.asarray(stiffness),
        **settings,
    )


@pytest.mark.parametrize(
    "stiffness, springs, compliance",
    [
        ([2.0], [(0, 1)], 1 / 2),
        ([2.0, 3.0, 0.5], [(0, 1), (1, 2), (2, 3)], 1 / 2 + 1 / 3 + 1 / 0.5),
        ([2.0, 3.0], [(0, 1), (1, 0)], 1 / (2 + 3)),
    ],
)
def test_springs_follow_hooke_alone_in_series_and_side_by_side(
    stiffness, springs, compliance
):
    nodes = 1 + max(max(ends) for ends in springs)
    force = jnp.asarray([[0.3], [-0.2]])
    line = chain(stiffness, nodes, springs, forced=[(nodes - 1, 0)], linearized=True)
    np.testing.assert_allclose(response(line, force), force * compliance, rtol=1e-10)


def test_on_a_line_true_lengths_are_linear():
    line = chain([2.0, 3.0], 3, forced=[(2, 0)])
    force = jnp.asarray([[0.3], [-0.2]])
    np.testing.assert_allclose(
        response(line, force), force * (1 / 2 + 1 / 3), rtol=1e-9
    )


def test_an_imposed_displacement_is_divided_as_a_voltage_is():
    where = np.asarray([[0.0, 0], [1, 0], [2, 0]])
    network = ElasticNetwork(
        where,
        [(0, 1), (1, 2)],
        fixed=[0, (1, 1), (2, 1)],
        moved=[(2, 0)],
        outputs=[(1, 0)],
        stiffness=np.asarray([1.0, 3.0]),
        linearized=True,
    )
    np.testing.assert_allclose(response(network, jnp.asarray([0.4])), [0.3], rtol=1e-10)


def test_triangle_against_the_solution_by_hand():
    """Two bars at 45 degrees carry a weight: each has F / sqrt(2) of compression.

    The apex sinks by F / k, and with the base tied by a bar of its own the roller
    moves out by (F / 2) / k_base, by which the apex goes half along and half down.
    """
    where = np.asarray([[-1.0, 0], [1, 0], [0, 1]])
    k, base, weight = 2.0, 5.0, 0.3
    network = ElasticNetwork(
        where,
        [(0, 2), (1, 2), (0, 1)],
        fixed=[0, (1, 1)],
        forced=[(2, 1)],
        outputs=[2, (1, 0)],
        stiffness=np.asarray([k, k, base]),
        linearized=True,
    )
    load = -weight * jnp.ones(1)
    state = settled(network, load)
    spread = weight / 2 / base
    expected = [spread / 2, -weight / k - spread / 2, spread]
    np.testing.assert_allclose(network.readout(state), expected, rtol=1e-10)
    tension = network.stiffness * network.elongations(state, load)
    by_hand = [-weight / math.sqrt(2), -weight / math.sqrt(2), weight / 2]
    np.testing.assert_allclose(tension, by_hand, rtol=1e-10)


def test_a_taut_string_resists_sideways_by_its_tension():
    """F = 2 k (l - l0) sin(angle), which is exact, and no spring to first order."""
    where = np.asarray([[-1.0, 0], [0, 0], [1, 0]])
    settings = {"fixed": [0, 2, (1, 0)], "outputs": [(1, 1)], "moved": []}
    settings |= {"forced": [(1, 1)], "stiffness": 3.0}
    network = ElasticNetwork(
        where, [(0, 1), (1, 2)], rest_lengths=np.asarray([0.8, 0.8]), **settings
    )
    height = np.asarray([0.2, -0.5])
    length = np.sqrt(1 + height**2)
    force = 2 * 3.0 * (length - 0.8) * height / length
    heights = response(network, jnp.asarray(force)[:, None])
    np.testing.assert_allclose(heights[:, 0], height, rtol=1e-9)
    with pytest.raises(ValueError, match="node 1 moves most, along axis 1"):
        ElasticNetwork(where, [(0, 1), (1, 2)], **settings)


@each
def test_forces_balance_and_the_energy_is_least(linearized, getkey):
    network, x = truss(linearized), loads(getkey())
    state = settled(network, x)
    # Of 1 N.
    np.testing.assert_allclose(residual(network, state, x), 0, atol=1e-9)
    energy = eqx.filter_jit(lambda state: network.energy(state, x))
    least = np.asarray(energy(state))
    rng = np.random.default_rng(1)
    for size in (1e-3, 1e-2):
        moved = state + size * rng.normal(size=state.shape)
        assert np.all(np.asarray(energy(moved)) > least)
    slope = jax.jit(jax.grad(lambda state: jnp.sum(energy(state))))
    away = state + 0.1
    np.testing.assert_allclose(-slope(away), residual(network, away, x), atol=1e-12)


def test_large_motions_follow_the_true_lengths(getkey):
    network, x = truss(False), loads(getkey())
    state = settled(network, x)
    places = CORNERS + np.asarray(network.displacements(state, x))
    start, end = np.asarray(SPRINGS).T
    drawn = np.linalg.norm(CORNERS[end] - CORNERS[start], axis=-1)
    stretch = np.linalg.norm(places[:, end] - places[:, start], axis=-1) - drawn
    np.testing.assert_allclose(network.elongations(state, x), stretch, atol=1e-14)
    energy = 0.5 * np.sum(STIFFNESS * stretch**2, -1)
    np.testing.assert_allclose(
        spring_energy(network.stiffness, jnp.asarray(stretch)), energy, rtol=1e-12
    )


def test_linearized_is_the_limit_of_small_loads(getkey):
    x = loads(getkey())
    errors = []
    for scale in (1e-2, 1e-3):
        exact, linear = (settled(truss(way), scale * x) for way in (False, True))
        errors.append(np.abs(exact - linear).max() / scale)
    assert 8 < errors[0] / errors[1] < 12


def test_maxwell_and_betti(getkey):
    """The displacement at a by a unit force at b is that at b by one at a."""
    places = [(2, 0), (2, 1), (3, 0), (3, 1), (4, 0), (4, 1)]
    network = truss(True, forced=places, moved=[], fixed=[0, 1], outputs=places)
    compliance = np.asarray(response(network, jnp.eye(6)))
    np.testing.assert_allclose(compliance, compliance.T, atol=1e-13)
    assert np.linalg.eigvalsh(compliance).min() > 0
    assert network.facts.linear and network.facts.holomorphic


@pytest.mark.slow
@each
def test_derivative_is_that_of_finite_differences(linearized, getkey):
    network, x = truss(linearized, train_rest_lengths=True), loads(getkey(), 2)
    trained, fixed = eqx.partition((network, x), pnn.is_trainable((network, x)))
    rng = np.random.default_rng(2)
    along = jax.tree.map(lambda a: jnp.asarray(0.1 * rng.normal(size=a.shape)), trained)
    assert len(jax.tree.leaves(along)) == 3
    weight = jnp.asarray(rng.normal(size=(2, 3)))

    @jax.jit
    def value(step):
        moved = jax.tree.map(lambda a, b: a + step * b, trained, along)
        network, x = eqx.combine(moved, fixed)
        return jnp.sum(weight * network(x))

    h = 1e-3
    exact = jax.jit(jax.grad(value))(0.0)
    near, far = value(h) - value(-h), value(2 * h) - value(-2 * h)
    np.testing.assert_allclose((8 * near - far) / (12 * h), exact, rtol=1e-8)


@pytest.mark.slow
def test_equilibrium_propagation_measures_products_of_elongations(getkey):
    """The gradient at a spring is minus the load's elongation times the adjoint's."""
    network, x = truss(True), loads(getkey(), 1)
    y_bar = jnp.asarray([[0.4, -1.0, 0.3]])
    model = pnn.Physical(network, pnn.estimators.EquilibriumPropagation(0.5))
    slope = eqx.filter_jit(eqx.filter_grad(lambda model: jnp.sum(y_bar * model(x))))
    measured = slope(model).layer.stiffness
    state = settled(network, x)
    adjoint = relaxed(network, state, x, -y_bar) - state
    forwards = network.elongations(state, x)
    backwards = network.elongations(adjoint, jnp.zeros_like(x))
    np.testing.assert_allclose(measured, -(forwards * backwards)[0], rtol=1e-9)
    np.testing.assert_allclose(measured, slope(network).stiffness, rtol=1e-9)


@pytest.mark.slow
@each
def test_nudged_and_clamped_nodes_are_in_balance(linearized, getkey):
    network, x = truss(linearized), loads(getkey())
    free = settled(network, x)
    push = 0.05 * np.random.default_rng(3).normal(size=(4, 3))
    at = [network.free.index(i) for i in network.read]
    for turn in (1.0, np.exp(0.7j)):
        state = relaxed(network, free, x, jnp.asarray(push * turn))
        force = np.asarray(residual(network, state, x))
        np.testing.assert_allclose(force[:, at], push * turn, atol=1e-10)
        assert np.abs(np.delete(force, at, axis=1)).max() < 1e-10
    target = network.readout(free) + 0.02
    held = clamped(network, free, x, target)
    np.testing.assert_allclose(network.readout(held), target, atol=1e-14)
    rest = np.delete(np.asarray(residual(network, held, x)), at, axis=1)
    np.testing.assert_allclose(rest, 0, atol=1e-10)


def test_jit_vmap_and_axes(getkey):
    network, x = truss(True), loads(getkey()).reshape(2, 2, 3)
    y = response(network, x)
    assert y.shape == (2, 2, 3)
    np.testing.assert_allclose(jax.vmap(response, (None, 0))(network, x), y, atol=1e-12)


@each
def test_single_precision(linearized, getkey):
    network, x = truss(linearized), loads(getkey())
    y = network.readout(settled(network, x))
    with jax.enable_x64(False):
        single = response(truss(linearized), jnp.asarray(np.float32(x)))
        assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, y, atol=1e-5)


def test_projection_keeps_the_window():
    network = truss(True, window=(0.5, 2.0), stiffness=1.0)
    stiff = eqx.tree_at(lambda n: n.stiffness, network, jnp.linspace(-1, 4, 7))
    np.testing.assert_allclose(stiff.project().stiffness.min(), 0.5)
    np.testing.assert_allclose(stiff.project().stiffness.max(), 2.0)
    assert isinstance(network, pnn.AbstractBoundedLayer)
    assert isinstance(network, pnn.AbstractClampableLayer)


def test_an_arch_snaps_through_at_the_load_that_it_can_not_bear():
    r"""Two bars that meet at a height of 0.3: $f = 2ky\,(l_0/l - 1)$ holds at $y$."""

    def borne(y):
        return 2 * 5.0 * y * (math.hypot(1, 0.3) / math.hypot(1, y) - 1)

    height = minimize_scalar(lambda y: -borne(y), bounds=(0, 0.3), method="bounded").x
    arch = ElasticNetwork(
        np.asarray([[-1.0, 0], [1, 0], [0, 0.3]]),
        [(0, 2), (1, 2)],
        fixed=[0, 1],
        forced=[(2, 1)],
        outputs=[(2, 1)],
        stiffness=5.0,
    )
    little, much = 0.95 * borne(height), 1.05 * borne(height)
    moved = response(arch, jnp.asarray([[-little], [-much]]))[:, 0]
    above = brentq(lambda y: borne(y) - little, height, 0.3, xtol=1e-13)
    below = brentq(lambda y: borne(y) - much, -1, -0.3, xtol=1e-13)
    np.testing.assert_allclose(moved, [above - 0.3, below - 0.3], rtol=1e-9)


class TestRefuses:
    def test_negative_stiffness_by_its_spring(self):
        with pytest.raises(ValueError, match="spring 3 is -1.0 N/m"):
            truss(True, stiffness=np.where(np.arange(7) == 3, -1.0, 1.0))
        bad = truss(True).stiffness.at[5].set(-0.1)
        network = eqx.tree_at(lambda n: n.stiffness, truss(True), bad)
        with pytest.raises(Exception, match="spring 5 is no longer positive"):
            eqx.filter_jit(network)(jnp.zeros(3))

    @each
    def test_what_no_spring_holds(self, linearized):
        loose = np.concatenate([CORNERS, [[3.0, 3.0]]])
        with pytest.raises(ValueError, match=r"2 motion\(s\).*node 5 moves most"):
            ElasticNetwork(
                loose, SPRINGS, fixed=[0, 1], outputs=[2], linearized=linearized
            )
        with pytest.raises(ValueError, match=r"1 motion\(s\)"):
            truss(linearized, fixed=[0], moved=[])
        with pytest.raises(ValueError, match="Every coordinate"):
            truss(linearized, fixed=[0, 1, 2, 3, 4], moved=[], outputs=[], forced=[])

    @pytest.mark.parametrize(
        "settings, match",
        [
            ({"outputs": [(1, 1)]}, "Axis 1 of node 1 is fixed or moved.*an output"),
            ({"forced": [0]}, "Axis 0 of node 0 is fixed or moved.*forced"),
            ({"moved": [(0, 0)]}, "both fixed and moved"),
            ({"outputs": [(7, 0)]}, "no axis 0 of node 7"),
            ({"outputs": [2, (2, 1)]}, "Axis 1 of node 2 is there twice"),
            ({"window": (0.0, 1.0)}, "window"),
        ],
    )
    def test_places_that_are_none(self, settings, match):
        with pytest.raises(ValueError, match=match):
            truss(True, **settings)

    def test_springs_that_are_none(self):
        settings = {"fixed": [0], "outputs": [1]}
        with pytest.raises(
            ValueError, match="Spring 1 has no direction.*nodes 2 and 2"
        ):
            ElasticNetwork(CORNERS, [(0, 1), (2, 2)], **settings)
        with pytest.raises(ValueError, match="Spring 0 is between nodes 0 and 9"):
            ElasticNetwork(CORNERS, [(0, 9)], **settings)
        with pytest.raises(ValueError, match="no springs"):
            ElasticNetwork(CORNERS, [], **settings)
        with pytest.raises(ValueError, match="position of node 2"):
            ElasticNetwork(
                np.where(CORNERS == 0.4, np.nan, CORNERS), SPRINGS, **settings
            )

    def test_inputs_that_are_no_loads(self):
        with pytest.raises(ValueError, match="2 forces and 1 displacements"):
            truss(True)(jnp.zeros(4))
        with pytest.raises(Exception, match="NaN or infinite"):
            truss(True)(jnp.asarray([0.0, jnp.nan, 0.0]))

    def test_a_column_that_buckles(self):
        """Two bars in a line, with a weak spring sideways, pushed beyond its limit."""
        where = np.asarray([[0.0, 0], [1, 0], [2, 0], [1, -1]])
        network = ElasticNetwork(
            where,
            [(0, 1), (1, 2), (1, 3)],
            fixed=[0, 3, (2, 1), (1, 0)],
            moved=[(2, 0)],
            outputs=[(1, 1)],
            stiffness=np.asarray([1.0, 1.0, 0.05]),
        )
        little, much = jnp.asarray([[-0.01], [-0.3]])
        np.testing.assert_allclose(response(network, little), 0, atol=1e-12)
        with pytest.raises(Exception, match="buckle"):
            response(network, much)
