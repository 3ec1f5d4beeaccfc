"""The Ising machine: thermal averages, ground states, and what nudges of it give."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax.spins import IsingMachine
from pnnjax.spins._ising_machine import SpinState, anneal

EP = pnn.estimators.EquilibriumPropagation


@eqx.filter_jit
def begin(machine, x, key):
    return machine.initial_state(x, key=key)


@eqx.filter_jit
def relax(machine, state, x, nudge):
    return machine.relax(state, x, nudge)


@eqx.filter_jit
def respond(machine, x, key):
    return machine(x, key=key)


def machine(key, sizes=(3, 3, 4), scale=3.0, **settings):
    """With couplings strong enough to compete with the fields."""
    deep = {"reads": 40, "sweeps": 40, "hot": 20.0, "cold": 0.1, "fraction": 0.05}
    settings = {"copies": 2, "limit": scale, **deep, **settings}
    made = IsingMachine(sizes, key=key, **settings)
    biases = tuple(0.3 * jax.random.normal(key, b.shape) for b in made.biases)
    return eqx.tree_at(lambda m: m.biases, made, biases)


def every_state(machine, x):
    """All configurations, for one input each, as a state with one more axis."""
    sizes = [len(b) for b in machine.biases]
    spins = np.asarray(list(itertools.product((-1.0, 1.0), repeat=sum(sizes))))
    layers = jnp.split(jnp.asarray(spins), np.cumsum(sizes)[:-1], axis=-1)
    lead = x.shape[:-1]
    layers = [jnp.broadcast_to(s, (*lead, *s.shape)) for s in layers]
    return SpinState(tuple(layers), None)


@eqx.filter_jit
def energies(machine, x, nudge=None):
    """Of all configurations, and the outputs that they show."""
    state = every_state(machine, x)
    each = jnp.broadcast_to(
        x[..., None, :], (*x.shape[:-1], *state.spins[0].shape[-2:-1], x.shape[-1])
    )
    energy, y = machine.energy(state, each), machine.readout(state)
    return energy if nudge is None else energy + jnp.sum(nudge[..., None, :] * y, -1), y


# Energy


def test_energy_is_that_of_the_ising_problem(getkey):
    m, x = machine(getkey(), (3, 2, 3, 4)), jax.random.normal(getkey(), (3,))
    state = begin(m, x, getkey())
    spins = np.concatenate(state.spins)
    j = np.zeros((9, 9))
    j[:2, 2:5], j[2:5, 5:] = m.couplings
    h = np.concatenate([x @ m.weight + m.biases[0], *m.biases[1:]])
    expected = -spins @ j @ spins - h @ spins
    both = eqx.filter_jit(lambda s: (m.energy(state, x), m.problem(x).energy(s)))
    np.testing.assert_allclose(both(jnp.asarray(spins)), expected)


def test_residual_is_zero_where_no_spin_would_turn(getkey):
    m, x = machine(getkey()), jax.random.normal(getkey(), (8, 3))
    settled = relax(m, begin(m, x, None), x, None)
    for force in m.residual(settled, x).spins:
        np.testing.assert_array_equal(force, 0)
    turned = (-settled.spins[0], settled.spins[1])
    assert jnp.all(jnp.abs(m.residual(SpinState(turned, None), x).spins[0]) > 0)


# Temperature


def sampled(m, x, nudge, key, count=20_000, temperature=1.0):
    """Spins of `count` chains at a constant temperature, side by side."""
    start = begin(m, x, key).spins
    start = tuple(jnp.broadcast_to(s, (count, *s.shape)) for s in start)
    fields = tuple(h[None] for h in m._fields(x, nudge))
    heat = jnp.full(40, temperature)
    run = eqx.filter_jit(lambda: anneal(start, fields, m.couplings, heat, key=key)[0])
    return run()


def test_at_constant_temperature_spins_follow_boltzmann(getkey):
    m, x = machine(getkey(), (3, 2, 2, 2)), jax.random.normal(getkey(), (3,))
    spins = jnp.concatenate(sampled(m, x, None, getkey()), -1)
    index = np.asarray(spins > 0) @ 2 ** np.arange(6)[::-1]
    measured = np.bincount(index, minlength=64) / len(index)
    expected = np.asarray(jax.nn.softmax(-energies(m, x)[0]))
    error = np.sqrt(expected * (1 - expected) / len(index))
    assert np.all(np.abs(measured - expected) < 4.5 * error + 1e-4)


def thermal(m, x, nudge, temperature=1.0):
    """The thermal average of the energy's derivative in the couplings."""
    energy, _ = energies(m, x, nudge)
    weights = jax.lax.stop_gradient(jax.nn.softmax(-energy / temperature))
    average = lambda m: weights @ energies(m, x, None)[0]  # noqa: E731
    return jax.grad(average)(m).couplings[0]


@pytest.mark.slow
def test_thermal_contrast_tends_to_the_response(getkey):
    """d<y>/dJ = -cov(y, dE/dJ)/T: to first order in the nudge, centered to second."""
    m, x = machine(getkey()), jax.random.normal(getkey(), (3,))
    along = jnp.asarray([0.6, -0.8])

    def mean_output(m):
        energy, y = energies(m, x)
        return jax.nn.softmax(-energy) @ y @ along

    exact = jax.grad(mean_output)(m).couplings[0]
    betas = np.asarray([0.4, 0.2, 0.1, 0.05])
    free = thermal(m, x, None)
    errors = []
    for beta in betas:
        plus, minus = thermal(m, x, beta * along), thermal(m, x, -beta * along)
        one, two = (plus - free) / beta, (plus - minus) / (2 * beta)
        errors.append([float(jnp.linalg.norm(e - exact)) for e in (one, two)])
    slopes = np.polyfit(np.log(betas), np.log(errors), 1)[0]
    assert slopes == pytest.approx([1, 2], abs=0.15)


@pytest.mark.slow
def test_sampled_contrast_is_the_thermal_one(getkey):
    m, x = machine(getkey()), jax.random.normal(getkey(), (3,))
    nudge = jnp.asarray([0.6, -0.8])
    pairs = []
    for n in (nudge, None):
        first, last = sampled(m, x, n, getkey())
        pairs.append(-first[:, :, None] * last[:, None, :])
    measured = pairs[0].mean(0) - pairs[1].mean(0)
    error = jnp.sqrt((pairs[0].var(0) + pairs[1].var(0)) / len(pairs[0]))
    expected = thermal(m, x, nudge) - thermal(m, x, None)
    assert jnp.all(jnp.abs(measured - expected) < 4.5 * error)
    assert jnp.abs(expected).max() > 10 * error.max()


# Annealing


@pytest.mark.slow
def test_annealing_finds_the_ground_state(getkey):
    m, x = machine(getkey(), (3, 4, 4)), jax.random.normal(getkey(), (32, 3))
    nudge = jax.random.normal(getkey(), (32, 2))
    free = relax(m, begin(m, x, getkey()), x, None)
    np.testing.assert_allclose(m.energy(free, x), energies(m, x)[0].min(-1))
    nudged = relax(m, free, x, nudge)
    total = m.energy(nudged, x) + jnp.sum(nudge * m.readout(nudged), -1)
    np.testing.assert_allclose(total, energies(m, x, nudge)[0].min(-1))


def test_any_solver_can_take_the_place_of_the_annealer(getkey):
    m, x = machine(getkey(), (3, 4, 4)), jax.random.normal(getkey(), (3,))
    solver = pnn.spins.SimulatedAnnealing(50)
    solve = eqx.filter_jit(lambda p: p.energy(solver(p, key=getkey(), replicas=32)))
    np.testing.assert_allclose(solve(m.problem(x)).min(), energies(m, x)[0].min())


@pytest.mark.slow
def test_relaxing_never_raises_the_energy(getkey):
    m = machine(getkey(), (3, 8, 8), reads=1, sweeps=2, hot=5.0, cold=5.0)
    x = jax.random.normal(getkey(), (64, 3))
    state = begin(m, x, getkey())
    for key in (getkey(), None):
        state = SpinState(state.spins, None if key is None else state.key)
        for _ in range(3):
            before, state = state, relax(m, state, x, None)
            assert jnp.all(m.energy(state, x) <= m.energy(before, x) + 1e-12)


@pytest.mark.slow
def test_a_reverse_anneal_remembers_the_more_the_less_it_warms(getkey):
    """All up is a valley against weak fields that point down."""
    kept = []
    for fraction in (0.2, 0.95):
        m = IsingMachine((1, 6, 6), copies=6, hot=20.0, fraction=fraction, key=getkey())
        ones = tuple(0.5 * jnp.ones_like(j) for j in m.couplings)
        biases = tuple(-0.3 * jnp.ones_like(b) for b in m.biases)
        m = eqx.tree_at(lambda m: (m.couplings, m.biases), m, (ones, biases))
        x = jnp.zeros((50, 1))
        up = SpinState(
            tuple(jnp.ones((50, 6)) for _ in range(2)),
            begin(m, x, getkey()).key,
        )
        kept.append(float(relax(m, up, x, jnp.zeros((50, 1))).spins[0].mean()))
    assert kept == [-1, 1]


def test_without_a_key_spins_follow_their_fields(getkey):
    m, x = machine(getkey()), jax.random.normal(getkey(), (8, 3))
    free = relax(m, begin(m, x, None), x, None)
    np.testing.assert_array_equal(respond(m, x, None), m.readout(free))
    again = relax(m, free, x, None)
    jax.tree.map(np.testing.assert_array_equal, again, free)
    assert jnp.all(m.energy(free, x) >= energies(m, x)[0].min(-1) - 1e-12)
    with pytest.raises(ValueError, match="Without a key"):
        m.record(free, x, None)


@pytest.mark.slow
def test_the_record_ends_where_the_anneal_ends(getkey):
    m = machine(getkey(), reads=1, sweeps=20)
    x = jax.random.normal(getkey(), (2, 5, 3))
    state = begin(m, x, getkey())
    record = eqx.filter_jit(lambda state, nudge: m.record(state, x, nudge))
    spins = record(state, None)
    assert spins.shape == (2, 5, 20, 7)
    last = SpinState(tuple(jnp.split(spins[..., -1, :], [3], axis=-1)), None)
    end = relax(m, state, x, None)
    lower = m.energy(last, x) <= m.energy(state, x)
    expected = jnp.where(lower, m.energy(last, x), m.energy(state, x))
    np.testing.assert_allclose(m.energy(end, x), expected)
    warm = record(state, jnp.zeros((2, 5, 2)))
    assert warm.shape == (2, 5, 19, 7)


# Nudging


@pytest.mark.slow
def test_finite_nudge_gives_the_gradient_of_the_gap_between_minima(getkey):
    m, x = machine(getkey()), jax.random.normal(getkey(), (24, 3))
    y_bar = jax.random.normal(getkey(), (24, 2))
    length = jnp.linalg.norm(y_bar, axis=-1)
    keys = jax.random.split(getkey(), 24)

    @eqx.filter_jit
    @eqx.filter_grad
    def measured(both):
        physical, x = both
        y = jax.vmap(lambda x, key: physical(x, key=key))(x, keys)
        return jnp.sum(y_bar * y)

    @eqx.filter_jit
    @eqx.filter_grad
    def expected(both, beta):
        m, x = both
        nudged, _ = energies(m, x, beta * y_bar / length[:, None])
        gap = nudged.min(-1) - energies(m, x)[0].min(-1)
        return jnp.sum(length / beta * gap)

    for beta in (0.5, 3.0, 40.0):
        physical_bar, x_bar = measured((pnn.Physical(m, EP(beta, centered=False)), x))
        m_bar, x_exact = expected((m, x), jnp.asarray(beta))
        assert jnp.any(m_bar.couplings[0] != 0)
        assert pnn.relative_error((physical_bar.layer, x_bar), (m_bar, x_exact)) < 1e-12


def test_the_gap_bounds_the_cost_from_below(getkey):
    m, x = machine(getkey()), jax.random.normal(getkey(), (24, 3))
    cost = jax.random.normal(getkey(), (24, 2))
    free, y = energies(m, x)
    rows = jnp.arange(24), jnp.argmin(free, -1)
    actual = jnp.sum(cost * y[rows], -1)
    for beta in (0.1, 1.0, 10.0):
        gap = (energies(m, x, beta * cost)[0].min(-1) - free.min(-1)) / beta
        assert jnp.all(gap <= actual + 1e-9)
    np.testing.assert_allclose(
        gap >= actual - 1e-9, jnp.abs(gap - actual) < 1e-9, atol=0
    )


def test_the_rule_is_that_of_the_paper(getkey):
    """dJ = -(s s nudged - s s free)/5, with a field of 5 on each output spin."""
    m, x = machine(getkey(), (3, 4, 6), copies=3), jax.random.normal(getkey(), (9, 3))
    target = jnp.where(jax.random.bernoulli(getkey(), 0.5, (9, 2)), 1.0, -1.0)
    key = getkey()
    beta = 5 * m.copies * 2**0.5
    physical = pnn.Physical(m, EP(beta, centered=False))

    @eqx.filter_jit
    @eqx.filter_grad
    def bar(physical):
        # Of spins, half the squared distance to the target, as s and t square to 1.
        return m.copies * jnp.sum(1 - target * physical(x, key=key))

    free = relax(m, begin(m, x, key), x, None)
    nudged = relax(m, free, x, -5 * m.copies * target)
    first, last = nudged.spins
    expected = -(first.T @ last - free.spins[0].T @ free.spins[1]) / 5
    np.testing.assert_allclose(bar(physical).layer.couplings[0], expected, atol=1e-12)


@pytest.mark.slow
def test_a_right_answer_teaches_nothing(getkey):
    m, x = machine(getkey()), jax.random.normal(getkey(), (16, 3))
    key = getkey()
    y = respond(m, x, key)
    sure = jnp.all(jnp.abs(y) == 1, -1)
    assert jnp.any(sure)

    @eqx.filter_jit
    @eqx.filter_grad
    def bar(physical):
        return -jnp.sum(jnp.where(sure[:, None], y * physical(x, key=key), 0))

    for leaf in jax.tree.leaves(bar(pnn.Physical(m, EP(50.0, centered=False)))):
        np.testing.assert_array_equal(leaf, 0)


def test_jax_sees_that_spins_do_not_follow_small_changes(getkey):
    m, x = machine(getkey()), jax.random.normal(getkey(), (4, 3))
    cost = lambda m: jnp.sum(respond(m, x, jax.random.key(1)))  # noqa: E731
    bar = eqx.filter_grad(cost)(m)
    assert all(jnp.all(leaf == 0) for leaf in jax.tree.leaves(bar))


# Contract


@pytest.mark.slow
def test_leading_axes_dtype_and_kinds_of_keys(getkey):
    m = machine(getkey())
    x = jax.random.normal(getkey(), (2, 5, 3))
    for key in (getkey(), jax.random.PRNGKey(3)):
        y = respond(m, x, key)
        assert y.shape == (2, 5, 2) and respond(m, x[0, 0], key).shape == (2,)
        # Annealed well enough, every run ends in the ground state.
        np.testing.assert_array_equal(y[1, 2], respond(m, x[1, 2], key))
    arrays, rest = eqx.partition(m, eqx.is_array)
    arrays = jax.tree.map(lambda p: p.astype(jnp.float32), arrays)
    single = eqx.combine(arrays, rest)
    y = respond(single, x.astype(jnp.float32), getkey())
    assert y.dtype == jnp.float32


def test_couplings_are_kept_within_the_limit(getkey):
    m = IsingMachine((3, 2, 2), limit=0.5, key=getkey())
    m = eqx.tree_at(lambda m: m.couplings, m, (jnp.asarray([[2.0, -3], [0.1, 0.4]]),))
    np.testing.assert_array_equal(m.project().couplings[0], [[0.5, -0.5], [0.1, 0.4]])
    assert jnp.all(m.project().weight == m.weight)


@pytest.mark.parametrize(
    ("sizes", "settings", "message"),
    [
        ((4, 4), {}, "one hidden layer"),
        ((4, 0, 4), {}, "at least 1"),
        ((4, 3, 5), {"copies": 2}, "equal groups"),
        ((4, 3, 4), {"reads": 0}, "at least once"),
        ((4, 3, 4), {"sweeps": 1}, "two sweeps"),
        ((4, 3, 4), {"cold": 0.0}, "above 0"),
        ((4, 3, 4), {"hot": 0.1, "cold": 0.2}, "above 0 and fall"),
        ((4, 3, 4), {"fraction": 0.0}, "between 0 and 1"),
        ((4, 3, 4), {"fraction": 1.0}, "between 0 and 1"),
        ((4, 3, 4), {"limit": 0.0}, "positive"),
    ],
)
def test_what_can_be_no_machine_is_refused(sizes, settings, message, getkey):
    with pytest.raises(ValueError, match=message):
        IsingMachine(sizes, key=getkey(), **settings)


def test_no_nudge_is_refused(getkey):
    with pytest.raises(ValueError, match="not 0"):
        pnn.Physical(machine(getkey()), EP(0.0, centered=False))
