"""Scalar diffraction against closed forms, and masks against their own derivatives."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pnnjax.optics import (
    AmplitudeMask,
    ComplexMask,
    DiffractiveLayer,
    FreeSpace,
    HeightMap,
    PhaseMask,
    angular_spectrum,
    fresnel,
    rayleigh_sommerfeld,
    write_stl,
)

PROPAGATORS = [angular_spectrum, fresnel, rayleigh_sommerfeld]
TERAHERTZ = (0.75e-3, 0.4e-3)  # wavelength and pitch (m) of Lin et al. (2018)


def grid(n, pitch):
    """Pixel centers (m), so that the middle is on the axis for odd `n`."""
    x = (np.arange(n) - (n - 1) / 2) * pitch
    return np.meshgrid(x, x, indexing="ij")


def waves(key, shape):
    return jax.random.normal(key, shape, jnp.complex128)


def power(field):
    return float(jnp.sum(field.real**2 + field.imag**2))


def distance_between(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.mark.parametrize("propagate", PROPAGATORS)
def test_gaussian_beam_widens_and_gains_the_gouy_phase(propagate):
    wavelength, pitch, waist, z = 1e-6, 4e-6, 60e-6, 20e-3
    y, x = grid(151, pitch)
    square = x**2 + y**2
    start = jnp.asarray(np.exp(-square / waist**2) + 0j)
    rayleigh_range = np.pi * waist**2 / wavelength
    q = z - 1j * rayleigh_range
    k = 2 * np.pi / wavelength
    expected = -1j * rayleigh_range / q * np.exp(1j * k * (z + square / (2 * q)))
    out = propagate(start, z, wavelength, pitch)
    # The beam is paraxial to second order in its divergence, lambda / (pi waist).
    assert distance_between(out, expected) < 5 * (wavelength / (np.pi * waist)) ** 2
    width = np.sqrt(np.sum(np.abs(out) ** 2 * x**2) / np.sum(np.abs(out) ** 2)) * 2
    assert width == pytest.approx(waist * np.hypot(1, z / rayleigh_range), rel=1e-4)
    gouy = np.angle(np.asarray(out)[75, 75] * np.exp(-1j * k * z))
    assert gouy == pytest.approx(-np.arctan(z / rayleigh_range), abs=1e-3)


@pytest.mark.parametrize("z", [2e-3, 5e-3, 10e-3])
def test_axis_behind_a_circular_aperture(z):
    """Exactly e^{ikz} - (z/s) e^{iks}, s the distance of the rim (Osterberg 1961)."""
    wavelength, pitch, radius = 1e-4, 2.5e-5, 2e-3
    n = 201
    fine = 8  # pixels on the rim count by the share of them that is open
    y, x = grid(n * fine, pitch / fine)
    open_share = (x**2 + y**2 < radius**2).reshape(n, fine, n, fine).mean((1, 3))
    k, rim = 2 * np.pi / wavelength, np.hypot(z, radius)
    expected = np.exp(1j * k * z) - z / rim * np.exp(1j * k * rim)
    for propagate in (rayleigh_sommerfeld, angular_spectrum):
        out = propagate(jnp.asarray(open_share + 0j), z, wavelength, pitch)
        # A pixel radiates as its middle, though its phases differ, most at the rim.
        tolerance = (k * pitch * radius / rim) ** 2 / 24 + 0.01
        assert abs(complex(out[n // 2, n // 2]) - expected) < tolerance


def test_single_slit_in_the_far_field():
    """The minima of the Fraunhofer pattern are where sin = m wavelength / slit."""
    wavelength, pitch, width, z = 1e-6, 5e-6, 21, 0.05
    y, x = grid(255, pitch)
    slit = jnp.asarray((abs(x) < width * pitch / 2) & (abs(y) < width * pitch / 2))
    out = np.abs(fresnel(slit.astype(complex), z, wavelength, pitch)[127]) ** 2
    position = x[127] / (wavelength * z / (width * pitch))
    expected = np.sinc(position) ** 2
    # Fraunhofer's neglected phase is pi (slit/2)^2 / (wavelength z) = 0.17 rad.
    assert np.max(abs(out / out.max() - expected)) < 0.02


@pytest.mark.parametrize("propagate", [angular_spectrum, fresnel])
@pytest.mark.parametrize("dtype", [jnp.complex64, jnp.complex128])
def test_plane_wave_gains_its_phase(propagate, dtype):
    wavelength, z = 633e-9, 0.0123456789
    out = propagate(jnp.ones((8, 8), dtype), z, wavelength, 1e-6, pad=False)
    assert out.dtype == dtype
    # To rounding, though kz is 1e5 rad: floats keep it in double precision.
    turns = z / wavelength % 1
    tolerance = 1e-5 if dtype == jnp.complex64 else 1e-9
    assert np.allclose(out, np.exp(2j * np.pi * turns), atol=tolerance)


def test_tilted_plane_wave_and_evanescent_wave():
    n, pitch, z = 32, 0.4e-6, 1.7e-6
    f = 5 / (n * pitch)
    tilted = jnp.asarray(np.exp(2j * np.pi * f * pitch * np.arange(n))[None] + 0j)
    tilted = jnp.broadcast_to(tilted, (n, n))
    for wavelength in (1e-6, 4e-6):
        k_z = 2 * np.pi * np.sqrt(complex(1 / wavelength**2 - f**2))
        out = angular_spectrum(tilted, z, wavelength, pitch, pad=False)
        assert distance_between(out, np.asarray(tilted) * np.exp(1j * k_z * z)) < 1e-12
    back = angular_spectrum(out, -z, wavelength, pitch, pad=False)
    twice = np.exp(-2 * abs(k_z.imag) * z)
    assert distance_between(back, np.asarray(tilted) * twice) < 1e-12


@pytest.mark.parametrize("propagate", [angular_spectrum, fresnel])
def test_talbot_self_image(propagate):
    wavelength, pitch, n, period = 0.5e-6, 20e-6, 64, 16
    stripes = jnp.asarray(np.tile(np.arange(n) % period < 4, (n, 1)) + 0j)
    talbot = 2 * (period * pitch) ** 2 / wavelength
    out = propagate(stripes, talbot, wavelength, pitch, pad=False)
    paraxial = np.exp(2j * np.pi * talbot / wavelength)
    tolerance = 1e-6 if propagate is fresnel else 0.02  # third order, of k z theta^4/8
    assert distance_between(out, stripes * paraxial) < tolerance


@pytest.mark.parametrize("propagate", PROPAGATORS)
def test_power_is_conserved_and_the_way_back_retraces(propagate):
    wavelength, pitch, z = 1e-6, 3e-6, 1.8e-3
    y, x = grid(96, pitch)
    start = np.exp(-(x**2 + y**2) / 25e-6**2 + 2j * np.pi * 0.02 * x / wavelength)
    out = propagate(jnp.asarray(start), z, wavelength, pitch)
    assert power(out) == pytest.approx(np.sum(abs(start) ** 2), rel=1e-9)
    back = propagate(out, -z, wavelength, pitch)
    assert distance_between(back, start) < 1e-5  # the tail outside the window


def test_methods_agree_as_measured_on_a_terahertz_network():
    """Fresnel is off by a tenth there, and the angular spectrum is not."""
    y, x = grid(200, 0.4e-3)
    square = jnp.asarray((np.maximum(abs(x), abs(y)) < 50 * 0.4e-3) + 0j)
    exact, spectrum, paraxial = (
        abs(np.asarray(propagate(square, 0.03, *TERAHERTZ))) ** 2
        for propagate in (rayleigh_sommerfeld, angular_spectrum, fresnel)
    )
    # Measured with other packages: 0.028 % and 12.2 %.
    assert distance_between(spectrum, exact) < 4e-4
    assert distance_between(paraxial, exact) == pytest.approx(0.122, abs=0.002)


def test_fresnel_changes_its_form_without_a_step():
    wavelength, pitch, n = 1e-6, 4e-6, 64
    y, x = grid(n, pitch)
    start = jnp.asarray(np.exp(-(x**2 + y**2) / 20e-6**2) + 0j)
    edge = 2 * n * pitch**2 / wavelength
    near, far = (fresnel(start, edge * s, wavelength, pitch) for s in (1, 1 + 1e-9))
    phase = np.exp(2j * np.pi * edge * 1e-9 / wavelength)
    assert distance_between(far, near * phase) < 1e-6
    distances = jnp.array([0.5, 2.0]) * edge
    both = fresnel(start, distances, wavelength, pitch)
    for out, z in zip(both, distances, strict=True):
        assert distance_between(out, fresnel(start, float(z), wavelength, pitch)) < 1e-9


@pytest.mark.parametrize("propagate", PROPAGATORS)
def test_padding_equals_a_transform_of_zeros_around(propagate, getkey):
    ny, nx, wavelength, pitch = 12, 9, 0.75e-3, 0.6e-3
    # Near enough for the angular spectrum to keep its whole band.
    z = 12e-3 if propagate is rayleigh_sommerfeld else 2e-3
    field = waves(getkey(), (2, ny, nx))
    out = propagate(field, z, wavelength, pitch)
    around = jnp.pad(field, ((0, 0), (0, ny), (0, nx)))
    plain = propagate(around, z, wavelength, pitch, pad=False)[:, :ny, :nx]
    assert distance_between(out, plain) < 1e-13


@pytest.mark.parametrize("propagate", PROPAGATORS)
@pytest.mark.parametrize("pad", [True, False])
def test_free_space_is_its_own_transpose(propagate, pad):
    z = 6e-3 if propagate is rayleigh_sommerfeld else 3e-3
    space = FreeSpace(z, 0.75e-3, (0.36e-3, 0.4e-3), propagator=propagate, pad=pad)
    pixels = jnp.eye(12 * 13, dtype=complex).reshape(-1, 12, 13)
    matrix = jax.vmap(space)(pixels).reshape(12 * 13, 12 * 13)
    assert np.allclose(matrix, matrix.T, atol=1e-14)


@pytest.mark.parametrize("propagate", PROPAGATORS)
def test_a_negative_distance_is_the_adjoint(propagate, getkey):
    x, y = waves(getkey(), (2, 15, 16))
    there = propagate(x, 6e-3, *TERAHERTZ)
    back = propagate(y, -6e-3, *TERAHERTZ)
    assert np.allclose(jnp.vdot(y, there), jnp.vdot(back, x), rtol=1e-12)


@pytest.mark.parametrize("propagate", PROPAGATORS)
def test_many_wavelengths_at_once_equal_one_by_one(propagate, getkey):
    wavelengths = jnp.array([0.76e-3, 0.78e-3])
    z = 3e-3
    field = waves(getkey(), (2, 3, 14, 15))

    @jax.jit
    def together(field, wavelengths):
        return (
            propagate(field, z, wavelengths[:, None], 0.4e-3),
            propagate(field[0, 0], z, wavelengths, 0.4e-3),
            jax.vmap(lambda f, w: propagate(f, z, w, 0.4e-3))(field, wavelengths),
        )

    outer, shared, mapped = together(field, wavelengths)
    colors = tuple(map(float, wavelengths))
    space = FreeSpace(z, colors, 0.4e-3, propagator=propagate)
    layered = jnp.swapaxes(space(jnp.swapaxes(field, 0, 1)), 0, 1)
    for i, color in enumerate(colors):
        alone = propagate(field[i], z, color, 0.4e-3)
        for out in (outer, mapped, layered):
            assert distance_between(out[i], alone) < 1e-11
        first = propagate(field[0, 0], z, color, 0.4e-3)
        assert distance_between(shared[i], first) < 1e-11
    with pytest.raises(ValueError, match="the 2 wavelengths"):
        space(field)


@pytest.mark.parametrize("propagate", PROPAGATORS)
def test_leading_axes_equal_vmap(propagate, getkey):
    # More images than are transformed at a time, and of an odd number.
    field = waves(getkey(), (3, 7, 80, 90)).astype(jnp.complex64)
    step = eqx.filter_jit(lambda u: propagate(u, 0.03, *TERAHERTZ))
    out = step(field)
    assert out.dtype == jnp.complex64
    assert distance_between(jax.vmap(jax.vmap(step))(field), out) < 1e-6
    exact = step(field[1, 2].astype(jnp.complex128))
    assert distance_between(out[1, 2], exact) < 3e-5


@pytest.mark.parametrize("propagate", PROPAGATORS)
@pytest.mark.parametrize("pad", [True, False])
def test_derivatives(propagate, pad, getkey):
    field, target = waves(getkey(), (2, 2, 15, 16))
    direction = waves(getkey(), (2, 15, 16))

    def overlap(field, distance, wavelength):
        out = propagate(field, distance, wavelength, (0.38e-3, 0.4e-3), pad=pad)
        return jnp.sum((out * target).real ** 2)

    point = (field, jnp.array(3e-3), jnp.array([0.76e-3, 0.79e-3]))
    tangent = (direction, jnp.array(1e-3), jnp.array([1e-4, -1e-4]))
    run = jax.jit(overlap)
    bars = jax.jit(jax.grad(overlap, (0, 1, 2)))(*point)
    slope = sum(jnp.sum(a * b).real for a, b in zip(bars, tangent, strict=True))

    def along(h):
        return run(*(p + jnp.asarray(h, p.dtype) * t for p, t in zip(point, tangent)))

    h = 1e-5
    numeric = (8 * (along(h) - along(-h)) - along(2 * h) + along(-2 * h)) / (12 * h)
    assert slope == pytest.approx(float(numeric), rel=1e-6)


def test_second_derivatives_and_batched_gradients(getkey):
    fields = waves(getkey(), (4, 16, 16))

    def loss(field):
        out = angular_spectrum(field, 3e-3, *TERAHERTZ)
        return jnp.sum((out.real**2 + out.imag**2) ** 2)

    gradient = jax.jit(jax.grad(loss))
    one_by_one = jnp.stack([gradient(field) for field in fields])
    assert np.allclose(jax.jit(jax.vmap(gradient))(fields), one_by_one, rtol=1e-12)

    def along(field):
        return jnp.sum(gradient(field) * fields[1]).real

    slope = jax.jit(jax.grad(along))(fields[0])
    ahead, behind = (along(fields[0] + h * fields[2]) for h in (1e-6, -1e-6))
    numeric = float(ahead - behind) / 2e-6
    assert jnp.sum(slope * fields[2]).real == pytest.approx(numeric, rel=1e-6)


def lengths(message):
    """The lengths (m) that a message names."""
    return [float(number) for number in re.findall(r"(\S+) m\b", message)]


@pytest.mark.parametrize(
    "propagate, distance", [(angular_spectrum, 3.0), (rayleigh_sommerfeld, 2e-3)]
)
def test_errors_name_what_works(propagate, distance):
    field = jnp.ones((40, 50), complex)
    for sign in (1, -1):
        with pytest.raises(ValueError) as error:
            propagate(field, sign * distance, *TERAHERTZ)
        _, working_distance, working_pitch = lengths(str(error.value))
        propagate(field, sign * working_distance, *TERAHERTZ)
        propagate(field, sign * distance, 0.75e-3, working_pitch)
        with pytest.raises(RuntimeError, match="angular|direct"):
            propagate(field, jnp.array([0.01, sign * distance]), *TERAHERTZ)


@pytest.mark.parametrize("propagate", PROPAGATORS)
def test_lengths_must_be_positive(propagate):
    field = jnp.ones((8, 8), complex)
    with pytest.raises(ValueError, match="wavelength"):
        propagate(field, 0.01, -0.75e-3, 0.4e-3)
    with pytest.raises(ValueError, match="pitch"):
        propagate(field, 0.01, 0.75e-3, (0.4e-3, 0.0))


def test_masks_act_pixel_by_pixel(getkey):
    field = waves(getkey(), (3, 5, 6))
    phase = jax.random.normal(getkey(), (5, 6))
    amplitude = 2 * jax.random.normal(getkey(), (5, 6))
    factor = np.exp(1j * np.asarray(phase))
    light = np.asarray(field)
    assert np.allclose(PhaseMask(phase)(field), light * factor, rtol=1e-14)
    assert np.allclose(AmplitudeMask(amplitude)(field), light * np.asarray(amplitude))
    both = ComplexMask(amplitude, phase)
    assert np.allclose(both(field), light * np.asarray(amplitude) * factor)
    for mask in (AmplitudeMask(amplitude), both):
        passive = mask.project()
        assert power(passive(field)) < power(field)
        assert jnp.all((passive.amplitude >= 0) & (passive.amplitude <= 1))
    random = PhaseMask.random((40, 50), key=getkey()).phase
    assert random.shape == (40, 50) and 0 <= random.min() < random.max() < 2 * np.pi


def test_relief_of_a_phase_mask(getkey):
    wavelength, index = 0.75e-3, 1.7227
    mask = PhaseMask(10 * jax.random.normal(getkey(), (5, 6)))
    relief = HeightMap.from_phase(mask, wavelength, index)
    field = waves(getkey(), (2, 5, 6))
    assert np.allclose(relief(field), mask(field), rtol=1e-12)
    assert np.allclose(relief.phase_mask(wavelength)(field), mask(field), rtol=1e-12)
    assert jnp.all((relief.height >= 0) & (relief.height <= relief.maximum))
    assert relief.maximum == pytest.approx(wavelength / (index - 1))
    # Half the phase at twice the wavelength.
    several = HeightMap(relief.height, (wavelength, 2 * wavelength), index, 1e-3)
    squared = several(jnp.ones((2, 5, 6), complex))
    assert np.allclose(squared[1] ** 2, squared[0], rtol=1e-12)
    outside = eqx.tree_at(lambda r: r.height, relief, relief.height * 5 - 1e-3)
    inside = outside.project().height
    assert inside.min() == 0 and inside.max() == relief.maximum
    # Beer-Lambert: the power falls by exp(-4 pi kappa h / wavelength).
    slab = HeightMap(jnp.full((5, 6), 1e-3), wavelength, index, 1e-3, extinction=0.03)
    expected = np.exp(-4 * np.pi * 0.03 * 1e-3 / wavelength)
    assert power(slab(field)) / power(field) == pytest.approx(expected)
    with pytest.raises(ValueError, match="index"):
        HeightMap.from_phase(mask, wavelength, 1.0)


def test_printed_relief_is_closed_and_has_its_volume(tmp_path, getkey):
    # Repeated heights and a checkerboard make every kind of corner.
    height = jnp.round(3 * jax.random.uniform(getkey(), (7, 6))) * 1e-4
    height = height.at[:2, :2].set(jnp.array([[1e-3, 0.0], [0.0, 1e-3]]))
    path = tmp_path / "relief.stl"
    write_stl(path, height, (0.3e-3, 0.4e-3), base=0.5e-3)
    content = path.read_bytes()
    record = [("normal", "<3f4"), ("corners", "<f4", (3, 3)), ("unused", "<u2")]
    triangles = np.frombuffer(content[84:], record)
    assert len(triangles) == np.frombuffer(content[80:84], "<u4")[0]
    corners = triangles["corners"].astype(float)
    volume = np.sum(np.linalg.det(corners)) / 6
    expected = float(jnp.sum(height + 0.5e-3)) * 0.3e-3 * 0.4e-3 * 1e9
    assert volume == pytest.approx(expected, rel=1e-6)
    edges = {}
    for a, b, c in np.round(corners * 1e4).astype(int).tolist():
        for start, end in ((a, b), (b, c), (c, a)):
            edge = (tuple(start), tuple(end))
            edges[edge] = edges.get(edge, 0) + 1
    assert all(edges.get((b, a)) == count for (a, b), count in edges.items())
    areas = np.linalg.norm(np.cross(*np.diff(corners, axis=1).swapaxes(0, 1)), axis=1)
    assert areas.min() > 0
    with pytest.raises(ValueError, match="base"):
        write_stl(path, height, 1e-3, base=0.0)


@pytest.fixture
def layer(getkey):
    space = FreeSpace(3e-3, *TERAHERTZ)
    return DiffractiveLayer(PhaseMask.random((12, 14), key=getkey()), space)


@eqx.filter_jit
def pull_back(layer, x, y_bar):
    y, pullback = eqx.filter_vjp(lambda layer, x: layer(x), layer, x)
    return y, *pullback(y_bar)


def test_light_sent_back_measures_the_gradient(layer, getkey):
    x, y_bar = waves(getkey(), (2, 3, 12, 14))
    y, layer_bar, x_bar = pull_back(layer, x, y_bar)
    out, forward = layer.transmit(x, lambda field: field)
    back, backward = layer.transmit_back(y_bar, lambda field: field)
    assert forward.shape == (1, 3, 12 * 14)
    assert np.allclose(out, y, rtol=1e-12) and np.allclose(back, x_bar, rtol=1e-12)
    measured = layer.cotangent(jnp.sum(forward * backward, axis=1))
    assert np.allclose(measured.mask.phase, layer_bar.mask.phase, rtol=1e-10)


def test_light_sent_forwards_measures_the_gradient(layer, getkey):
    x, y_bar = waves(getkey(), (2, 3, 12, 14))
    y, layer_bar, x_bar = pull_back(layer, x, y_bar)
    at_mask, error = layer.modulate(x), layer.propagate(y_bar)
    assert np.allclose(layer.propagate(at_mask), y, rtol=1e-12)
    assert np.allclose(layer.modulate(error), x_bar, rtol=1e-12)
    measured = layer.cotangent(jnp.sum(at_mask * error, axis=0))
    assert np.allclose(measured.mask.phase, layer_bar.mask.phase, rtol=1e-10)


def test_a_stack_is_a_sequential(layer, getkey):
    stack = eqx.nn.Sequential([layer.space, layer, layer])
    x = waves(getkey(), (3, 12, 14))
    out = eqx.filter_jit(stack)(x)
    assert distance_between(jax.vmap(stack)(x), out) < 1e-12
    trained = jax.tree.leaves(eqx.filter(stack, eqx.is_inexact_array))
    assert [leaf.shape for leaf in trained] == [(12, 14), (12, 14)]
    assert power(out) < power(x)
