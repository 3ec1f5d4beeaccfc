"""Coupled resonators, against closed forms and the equations of motion."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax.optics import KerrNetwork, ResonatorNetwork, scattering_matrix

SETTINGS = {
    "reflection": {"sizes": (6, 4, 2)},
    "through all": {
        "sizes": (6, 4, 3, 2),
        "source": 2,
        "loss": (0.1, 0.3, 0.2, 0.0),
        "decay": (1.0, 0.0, 2.0, 1.5),
        "frequency": 0.9,
    },
    "from inside": {"sizes": (6, 4, 3, 2), "source": 7},
}


def draw(key, *shape):
    """Normal numbers, drawn by NumPy, which has nothing to compile."""
    return np.random.default_rng(int(jax.random.bits(key))).normal(size=shape)


def network(key, name):
    settings = {"key": key, "replicas": 2, "offset": 0.7, "scale": 2.0}
    return ResonatorNetwork(**settings, **SETTINGS[name])


@eqx.filter_jit
def seen(layer, x):
    return layer(x), layer.scatter(x), layer.scattering_matrix(x)


@eqx.filter_jit
def spectrum(layer, x, frequencies):
    return jax.vmap(lambda w: layer.scattering_matrix(x, w))(frequencies)


def pair(detuning, coupling=0.0, **settings):
    """Two resonators; the input detunes the first one."""
    matrix = np.diag(np.asarray(detuning, float))
    matrix[0, 1] = matrix[1, 0] = coupling
    return ResonatorNetwork.from_matrix(matrix, (1, 1), **settings)


def steady(drift, amplitude, time, step):
    """What classical Runge-Kutta steps lead to."""
    for start in np.arange(0, time, step):
        k1 = drift(amplitude, start)
        k2 = drift(amplitude + step / 2 * k1, start + step / 2)
        k3 = drift(amplitude + step / 2 * k2, start + step / 2)
        k4 = drift(amplitude + step * k3, start + step)
        amplitude = amplitude + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return amplitude


@pytest.mark.parametrize("name", SETTINGS)
def test_elimination_is_the_dense_inverse_and_obeys_its_laws(name, getkey):
    layer = network(getkey(), name)
    x = jnp.asarray(draw(getkey(), 2, 3))
    y, columns, whole = seen(layer, x)
    probes = list(layer.probes)
    np.testing.assert_allclose(columns, whole[..., probes], atol=1e-13)
    np.testing.assert_allclose(whole, np.swapaxes(whole, -1, -2), atol=1e-13)
    if layer.source is None:
        expected = np.diagonal(whole, axis1=-2, axis2=-1)[..., -2:]
    else:
        expected = whole[..., -2:, layer.source]
    np.testing.assert_allclose(y, expected.imag, atol=1e-13)
    # What is sent in comes out, or is lost inside at the rate of the intrinsic loss.
    decay, lost = (np.repeat(rates, layer.sizes) for rates in (layer.decay, layer.loss))
    one, matrix = np.eye(len(decay)), np.asarray(layer.matrix(x))
    for p in probes:
        inside = np.linalg.solve(
            layer.frequency * one - matrix, np.sqrt(decay) * one[p]
        )
        power = np.sum(np.abs(whole[..., p]) ** 2, -1)
        taken = np.sum(lost * np.abs(inside) ** 2, -1)
        np.testing.assert_allclose(power + taken, 1, atol=1e-12)
    if layer.facts.lossless:
        unit = np.einsum("bij,bkj->bik", whole, np.conj(whole))
        np.testing.assert_allclose(unit, [one, one], atol=1e-12)


def test_a_single_resonator_has_its_lorentzian_and_turns_the_phase_by_a_full_turn():
    """Two that are not coupled: one that loses light, and one that does not."""
    decay, loss, detuning = 1.3, 0.4, 0.6
    layer = pair([detuning, 0.0], decay=(decay, 1.0), loss=(loss, 0.0))
    frequency = np.linspace(-200.0, 200.0, 4001)
    whole = np.asarray(spectrum(layer, jnp.zeros(1), jnp.asarray(frequency)))
    s, lossless = whole[:, 0, 0], whole[:, 1, 1]
    away = frequency - detuning
    expected = 1 - 1j * decay / (away + 1j * (decay + loss) / 2)
    np.testing.assert_allclose(s, expected, rtol=1e-12)
    absorbed = decay * loss / (away**2 + ((decay + loss) / 2) ** 2)
    np.testing.assert_allclose(1 - np.abs(s) ** 2, absorbed, atol=1e-12)
    np.testing.assert_allclose(np.abs(lossless), 1, rtol=1e-12)
    np.testing.assert_allclose(lossless[2000], -1, atol=1e-12)  # on resonance
    turned = np.unwrap(np.angle(lossless))
    # A delay is a phase that grows with the frequency in the convention e^{-iwt}.
    assert np.all(np.diff(turned) > 0)
    np.testing.assert_allclose(turned[-1] - turned[0], 2 * np.pi - 2 / 200, rtol=1e-4)


def test_coupling_splits_a_resonance_in_two():
    coupling, x = 3.0, jnp.asarray([0.0])
    layer = pair([0.5, 0.5], coupling, source=0)
    poles = np.sort_complex(np.linalg.eigvals(np.asarray(layer.matrix(x))))
    np.testing.assert_allclose(poles, 0.5 + np.asarray([-3, 3]) - 0.5j, atol=1e-12)
    frequency = np.linspace(-5.5, 6.5, 24001)
    s = np.asarray(spectrum(layer, x, jnp.asarray(frequency)))
    away = frequency - 0.5 + 0.5j
    expected = -1j * coupling / (away**2 - coupling**2)
    np.testing.assert_allclose(s[:, 1, 0], expected, atol=1e-12)
    power, half = np.abs(s[:, 1, 0]) ** 2, len(frequency) // 2
    peaks = [
        frequency[np.argmax(power[:half])],
        frequency[half + np.argmax(power[half:])],
    ]
    apart = np.sqrt(coupling**2 - 0.25)
    np.testing.assert_allclose(peaks, [0.5 - apart, 0.5 + apart], atol=5e-4)
    np.testing.assert_allclose(power.max(), 1, atol=1e-6)
    np.testing.assert_allclose(
        layer(x), -expected.imag[np.argmin(np.abs(frequency))] * -1, atol=1e-12
    )


@pytest.mark.slow
def test_modes_decay_and_settle_into_the_scattered_field(getkey):
    layer = network(getkey(), "through all")
    x = jnp.asarray(draw(getkey(), 2, 3))
    columns = np.asarray(seen(layer, x)[1])[1]
    matrix = np.asarray(layer.matrix(x[1]))
    assert np.all(np.linalg.eigvals(matrix).imag < 0)
    sent = np.arange(15) == layer.source

    def drift(amplitude, time):
        drive = (
            np.sqrt(layer.port_decay()) * sent * np.exp(-1j * layer.frequency * time)
        )
        return -1j * matrix @ amplitude - drive

    time = 60.0
    inside = steady(drift, np.zeros(15, complex), time, 0.02)
    turned = np.exp(1j * layer.frequency * time) * inside
    outgoing = sent + np.sqrt(layer.port_decay()) * turned
    np.testing.assert_allclose(outgoing, columns[:, 0], atol=1e-5)


def test_inputs_detune_all_of_their_replicas(getkey):
    layer = network(getkey(), "reflection")
    x = jnp.asarray(draw(getkey(), 2, 3))
    both = jnp.concatenate([x[0], x[0]])
    moved = eqx.tree_at(lambda r: r.detuning[0], layer, layer.detuning[0] + both)
    (y, twice), shifted = seen(layer, x.at[1].set(2 * x[0]))[0], seen(moved, 0 * x)[0]
    np.testing.assert_allclose(shifted[0], y, atol=1e-13)
    np.testing.assert_allclose(layer.detuning[0], [-0.7] * 3 + [0.7] * 3)
    dark = seen(layer, 0 * x)[0][0]
    assert np.abs(twice - dark - 2 * (y - dark)).max() > 0.01  # it is not linear


def test_vmap_axes_and_single_precision(getkey):
    layer = ResonatorNetwork((4, 2), key=getkey(), source=0)
    x = jnp.asarray(draw(getkey(), 2, 3, 4))
    y, same = eqx.filter_jit(lambda x: (layer(x), jax.vmap(layer)(x)))(x)
    assert y.shape == (2, 3, 2)
    np.testing.assert_allclose(same, y, atol=1e-13)
    single = jax.ShapeDtypeStruct((2, 4), jnp.float32)
    assert eqx.filter_eval_shape(layer, single).dtype == jnp.float32
    assert eqx.filter_eval_shape(layer.scatter, single).dtype == jnp.complex64


def test_a_matrix_that_is_not_symmetric_scatters_differently_in_the_two_directions():
    matrix = np.diag([0.3, 0.0]) - 0.5j * np.eye(2)
    matrix[0, 1] = 1.0
    s = scattering_matrix(jnp.asarray(matrix), jnp.ones(2))
    assert abs(s[1, 0]) < 1e-15 < abs(s[0, 1])


def kerr(key, scale=1.0):
    settings = {"kerr": 0.3, "loss": 0.2, "frequency": 0.4, "rtol": 1e-12}
    return KerrNetwork((2, 3, 2), key=key, scale=scale, **settings)


@eqx.filter_jit
def lit(layer, x):
    incoming = layer.incoming(x)
    return incoming, layer.scatter(incoming), layer.amplitude(incoming)


class TestKerr:
    def test_balances_power_and_is_where_the_motion_ends(self, getkey):
        layer = kerr(getkey())
        x = jnp.asarray(draw(getkey(), 3, 2) + 1j * draw(getkey(), 3, 2))
        sent, left, inside = map(np.asarray, lit(layer, x))
        powers = [np.sum(np.abs(z) ** 2, -1) for z in (sent, left, inside)]
        np.testing.assert_allclose(powers[0], powers[1] + 0.2 * powers[2], rtol=1e-9)
        matrix = np.zeros((7, 7))
        matrix[:2, 2:5], matrix[2:5, 5:] = layer.coupling
        matrix = matrix + matrix.T - 0.4 * np.eye(7) - 0.6j * np.eye(7)

        def drift(a, _):
            return -1j * (a @ matrix + 0.3 * np.abs(a) ** 2 * a) - sent

        # From the dark, without any help of Newton's.
        end = steady(drift, 0 * inside, 60.0, 0.05)
        np.testing.assert_allclose(end, inside, atol=1e-5)

    def test_weak_light_sees_the_linear_network(self, getkey):
        layer = kerr(getkey())
        x = 1e-6 * jnp.asarray(draw(getkey(), 3, 2) + 0j)
        sent, left, _ = map(np.asarray, lit(layer, x))
        linear = ResonatorNetwork((2, 3, 2), key=getkey(), frequency=0.4, loss=0.2)
        linear = eqx.tree_at(lambda r: r.coupling, linear, layer.coupling)
        whole = np.asarray(linear.scattering_matrix(jnp.zeros(2)))
        np.testing.assert_allclose(left, sent @ whole, atol=1e-16)

    def test_a_mode_on_its_own_follows_its_cubic(self, getkey):
        """n [(w0 + g n - w)^2 + (k/2 + k'/2)^2] = k P, for the energy n."""
        layer = kerr(getkey(), scale=0.0)
        x = jnp.asarray([[0.1 + 0.2j, 0.5], [0.7j, 0.3j], [1.4, -1.0]])
        n = np.abs(np.asarray(lit(layer, x)[2])[:, :2]) ** 2
        power = n * ((0.3 * n - 0.4) ** 2 + 0.36)
        np.testing.assert_allclose(power, np.abs(x) ** 2, rtol=1e-10)

    def test_refuses(self, getkey):
        with pytest.raises(ValueError, match="at least one resonator"):
            KerrNetwork((2,), key=getkey(), kerr=0.1)
        with pytest.raises(ValueError, match="must be positive"):
            KerrNetwork((2, 1), key=getkey(), kerr=0.1, decay=0.0)
        with pytest.raises(ValueError, match="2 resonators in the first group"):
            kerr(getkey()).incoming(jnp.zeros(3))
        with pytest.raises(Exception, match="no steady state"):
            lit(kerr(getkey()), jnp.full((3, 2), jnp.nan + 0j))


class TestRefuses:
    @pytest.mark.parametrize(
        "entry, value, match",
        [
            ((0, 1), 0.5, r"\[0, 1\] is 0.5, and \[1, 0\] is 0.0"),
            ((2, 2), np.nan, r"\[2, 2\] is not finite"),
        ],
    )
    def test_matrices_that_are_none(self, entry, value, match):
        matrix = np.zeros((3, 3))
        matrix[entry] = value
        with pytest.raises(ValueError, match=match):
            ResonatorNetwork.from_matrix(matrix, (1, 1, 1))

    def test_couplings_between_groups_that_are_no_neighbors(self):
        matrix = np.zeros((3, 3))
        matrix[0, 2] = matrix[2, 0] = 1.0
        with pytest.raises(ValueError, match="groups 0 and 2, which are no neighbors"):
            ResonatorNetwork.from_matrix(matrix, (1, 1, 1))
        with pytest.raises(ValueError, match="make 2 modes"):
            ResonatorNetwork.from_matrix(matrix, (1, 1))

    @pytest.mark.parametrize(
        "settings, match",
        [
            ({"sizes": (4,)}, "two or more groups"),
            ({"replicas": 3}, "can't be 3 replicas: take 3"),
            ({"source": 6}, "from 0 to 5, but is 6"),
            ({"decay": (1.0, 0.0)}, "Group 1 has to be probed"),
            ({"decay": (0.0, 1.0), "source": 0, "loss": 1.0}, "Group 0 has to be"),
            ({"decay": (0.0, 1.0)}, "Group 0 neither decays"),
            ({"decay": (1.0, 1.0, 1.0)}, "3 numbers for 2 groups"),
            ({"loss": -1.0}, "can't be negative"),
        ],
    )
    def test_settings(self, settings, match):
        with pytest.raises(ValueError, match=match):
            ResonatorNetwork(**{"sizes": (4, 2), **settings}, key=jax.random.key(0))

    def test_inputs(self):
        layer = ResonatorNetwork((4, 2), key=jax.random.key(0), replicas=2)
        with pytest.raises(ValueError, match="2 inputs to 4 resonators"):
            layer(jnp.zeros(4))
        with pytest.raises(Exception, match="NaN or infinite"):
            layer(jnp.asarray([jnp.nan, 0.0]))


def test_facts_tell_loss_and_ports(getkey):
    assert network(getkey(), "reflection").facts == pnn.Facts(
        reciprocal=True, lossless=True, accessible=True
    )
    facts = network(getkey(), "through all").facts
    assert not facts.lossless and not facts.accessible
