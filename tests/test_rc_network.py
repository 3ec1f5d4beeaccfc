"""Charge that spreads over resistors and capacitors, against circuit theory."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax.circuits import RCNetwork, charge_spread


def one_node(step, time=1.0):
    """1 A into 2 ohm and 0.25 F, for `time`."""
    held = jnp.ones((round(time / step), 1))
    return charge_spread(held, jnp.asarray([[0.5]]), jnp.asarray([0.25]), step)


def test_step_response_is_exponential_to_second_order():
    errors = []
    for step in (0.1, 0.05, 0.025):
        times = step * np.arange(1, round(1 / step) + 1)
        theory = 2.0 * (1 - np.exp(-times / 0.5))
        errors.append(np.max(np.abs(one_node(step)[:, 0] - theory)))
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.05)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.05)


def chain(nodes=5, leak=True, step=0.1):
    """Unequal capacitors in a row, the last one leaking."""
    edges = [(k, k + 1) for k in range(nodes - 1)] + (
        [(nodes - 1, None)] if leak else []
    )
    return RCNetwork(
        edges,
        jnp.linspace(0.5, 1.5, len(edges)),
        jnp.linspace(1.0, 2.0, nodes),
        inputs=[0, 2],
        outputs=[4, (1, 3)],
        step=step,
    )


def test_without_leaks_charge_is_conserved_and_evens_out(getkey):
    layer = chain(leak=False)
    pulse = jnp.zeros((2000, 2)).at[:10].set(jax.random.normal(getkey(), (10, 2)))
    voltages = layer.evolve(layer.drive(pulse))
    charge = voltages @ layer.capacitance
    put_in = layer.step * jnp.cumsum(pulse.sum(-1))
    np.testing.assert_allclose(charge, put_in, atol=1e-12)
    even = put_in[-1] / layer.capacitance.sum()
    np.testing.assert_allclose(voltages[-1], even, rtol=1e-8)


def test_stored_energy_only_falls_once_the_sources_are_off(getkey):
    layer = chain()
    pulse = jnp.zeros((200, 2)).at[:5].set(jax.random.normal(getkey(), (5, 2)))
    voltages = layer.evolve(layer.drive(pulse))[5:]
    energy = 0.5 * voltages**2 @ layer.capacitance
    assert jnp.all(jnp.diff(energy) < 0)


@pytest.mark.slow
def test_a_held_current_settles_to_the_voltages_of_the_resistors_alone():
    layer = chain(leak=True)
    held = jnp.broadcast_to(jnp.asarray([1.0, 0.5]), (4000, 2))
    resistors = pnn.circuits.ResistorNetwork(
        6,
        [(a, 5 if b is None else b) for a, b in layer.wiring.edges],
        layer.conductance,
        current_inputs=[0, 2],
        fixed={5: 0.0},
        outputs=[4, (1, 3)],
    )
    np.testing.assert_allclose(layer(held)[-1], resistors(held[0]), rtol=1e-10)


def test_it_is_reciprocal_with_unequal_capacitors():
    layer = chain()
    kicks = jnp.zeros((5, 20, 5)).at[:, 0].set(jnp.eye(5))
    response = layer.evolve(kicks)
    np.testing.assert_allclose(response, response.transpose(2, 1, 0), atol=1e-14)


def test_parameters_stay_in_what_can_be_built():
    layer = chain()
    wrong = eqx.tree_at(
        lambda rc: (rc.conductance, rc.capacitance),
        layer,
        (layer.conductance - 1.0, layer.capacitance - 1.5),
    )
    right = wrong.project()
    assert right.conductance.min() == 0
    assert right.capacitance.min() == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"edges": [(0, 1), (1, 7)]}, "Edge 1 is at node 7"),
        ({"edges": [(0, 1), (1, 1)]}, "Edge 1 joins node 1 to itself"),
        ({"edges": [(0, 1)]}, "1 edges, but 2 conductances"),
        ({"conductance": jnp.asarray([1.0, -2.0])}, r"conductance\[1\]` is -2.0"),
        ({"capacitance": jnp.asarray([0.0, 1.0])}, r"capacitance\[0\]` is 0.0"),
        ({"outputs": [2]}, "Output 0 is at node 2"),
        ({"inputs": []}, "at least one node in `inputs`"),
        ({"step": 0.0}, "`step` must be a positive number"),
        ({"low": 2.0, "high": 1.0}, "must rise from 0 S"),
        ({"least_capacitance": 0.0}, "`least_capacitance` must be positive"),
    ],
)
def test_a_bad_network_is_refused_by_name(change, message):
    good = {
        "edges": [(0, 1), (1, None)],
        "conductance": jnp.ones(2),
        "capacitance": jnp.ones(2),
        "inputs": [0],
        "outputs": [1],
        "step": 0.1,
    }
    with pytest.raises(ValueError, match=message):
        RCNetwork(**(good | change))


def test_inputs_of_the_wrong_number_are_refused():
    with pytest.raises(ValueError, match="2 input nodes, but the last axis of x is 3"):
        chain()(jnp.zeros((4, 3)))


class Springs(pnn.AbstractTrajectoryLayer):
    """Damped masses on springs: linear, of second order, reciprocal unless twisted."""

    stiffness: jax.Array
    damping: jax.Array
    twist: float

    def __init__(self, stiffness, damping, twist):
        self.stiffness, self.damping, self.twist = stiffness, damping, twist

    @property
    def facts(self):
        return pnn.Facts(linear=True, reciprocal=self.twist == 0)

    def __call__(self, x, *, key=None):
        return self.readout(self.evolve(self.drive(x)))

    def drive(self, x):
        return x

    def evolve(self, sources):
        matrix = self.stiffness + self.stiffness.T + self.twist * jnp.eye(3, k=1)

        def advance(state, force):
            position, velocity = state
            push = force - position @ matrix.T - velocity @ jnp.diag(self.damping)
            velocity = velocity + 0.1 * push
            return (position + 0.1 * velocity, velocity), position + 0.1 * velocity

        rest = (jnp.zeros_like(sources[..., 0, :]),) * 2
        forces = jnp.moveaxis(sources, -2, 0)
        return jnp.moveaxis(jax.lax.scan(advance, rest, forces)[1], 0, -2)

    def readout(self, trajectory):
        return jnp.sum(trajectory**2, -1)

    def cotangent(self, trajectory, adjoint):
        before = jnp.roll(trajectory, 1, -2).at[..., 0, :].set(0)
        earlier = jnp.roll(before, 1, -2).at[..., 0, :].set(0)
        stretch = -jnp.einsum("...tn,...tm->nm", adjoint, before)
        slide = -jnp.einsum("...tn,...tn->n", adjoint, (before - earlier) / 0.1)
        return eqx.tree_at(
            lambda s: (s.stiffness, s.damping), self, (stretch + stretch.T, slide)
        )


def springs(getkey, twist=0.0):
    stiffness = jax.random.uniform(getkey(), (3, 3)) + 3 * jnp.eye(3)
    return Springs(stiffness, jnp.asarray([0.3, 0.5, 0.2]), twist)


def test_the_rule_holds_for_damped_masses_and_a_nonlinear_sensor(getkey):
    x = jax.random.normal(getkey(), (2, 12, 3))
    rule = pnn.estimators.SameDeviceAdjoint()
    report = pnn.hold_to_claim(springs(getkey), rule, x, key=getkey())
    assert report.held, report


def test_a_response_that_is_not_reciprocal_is_refused(getkey):
    with pytest.raises(TypeError, match="not reciprocal"):
        pnn.Physical(springs(getkey, 0.4), pnn.estimators.SameDeviceAdjoint())


def test_cost_is_two_runs_and_all_traces():
    cost = pnn.estimators.SameDeviceAdjoint().cost(chain(), jnp.zeros((7, 2)))
    assert cost == pnn.PhysicalCost(runs=2, measurements=2 * 7 * 5)
