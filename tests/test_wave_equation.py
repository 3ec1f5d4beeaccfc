"""Waves on a grid, against what the discrete and the continuous equation say."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax.waves import (
    SaturableDamping,
    UnderSampledWarning,
    WaveEquation2D,
    absorbing_profile,
    grid_frequency,
    projected_density,
    stable_step,
    wave_energy,
    wave_equation,
)
from pnnjax.waves._wave_leapfrog import segment_length


@eqx.filter_jit
def free(speed, start, pitch, step, times, **medium):
    """From `start`, with nothing that drives; probes at the middle."""
    middle = (speed.shape[0] // 2, speed.shape[1] // 2)
    silence = jnp.zeros((*start[0].shape[:-2], times, 0), start[0].dtype)
    return wave_equation(
        silence,
        speed,
        pitch=pitch,
        step=step,
        sources=(),
        probes=(middle,),
        start=start,
        **medium,
    )


def mode(shape, orders):
    """Standing wave of a box whose walls are one cell outside."""
    rows, columns = (
        np.sin(math.pi * m * np.arange(1, n + 1) / (n + 1))
        for m, n in zip(orders, shape, strict=True)
    )
    return np.outer(rows, columns)


def standing(shape, orders, speed, pitch, step):
    """A mode that oscillates as its grid frequency says: that and its start."""
    waves = tuple(
        math.pi * m / ((n + 1) * pitch) for m, n in zip(orders, shape, strict=True)
    )
    omega = grid_frequency(waves, speed, pitch=pitch, step=step)
    shape_ = mode(shape, orders)
    return omega, tuple(jnp.asarray(shape_ * math.cos(omega * t)) for t in (0, -step))


class TestDispersion:
    @pytest.mark.parametrize("orders", [(1, 1), (3, 2), (9, 11)])
    def test_standing_waves_have_the_frequency_of_the_grid(self, orders):
        """The last one is the shortest that the grid has."""
        shape, pitch, step, speed = (9, 11), 0.3, 0.04, 5.0
        omega, start = standing(shape, orders, speed, pitch, step)
        run = free(jnp.full(shape, speed), start, pitch, step, 64)
        end = mode(shape, orders) * math.cos(64 * step * omega)
        np.testing.assert_allclose(run.field, end, atol=1e-11)
        times = step * np.arange(1, 65)
        middle = mode(shape, orders)[4, 5] * np.cos(omega * times)
        np.testing.assert_allclose(run.probes[:, 0], middle, atol=1e-11)

    def test_frequencies_of_a_box_converge_with_order_two(self):
        r"""$\omega = \pi c\sqrt{(m/a)^2 + (n/b)^2}$ in a box of 1 m by 1 m."""
        orders, speed = (2, 1), 3.0
        exact = math.pi * speed * math.hypot(*orders)
        errors = []
        for cells in (8, 16, 32, 64):
            pitch = 1 / cells
            step = 0.7 * stable_step(speed, pitch)
            waves = (math.pi * orders[0], math.pi * orders[1])
            omega = grid_frequency(waves, speed, pitch=pitch, step=step)
            errors.append(1 - omega / exact)
        slopes = np.diff(np.log2(errors))
        np.testing.assert_allclose(slopes, -2, atol=0.05)

    def test_a_box_started_as_the_exact_mode_follows_it_to_order_two(self):
        errors = []
        for cells in (8, 16):
            pitch, speed, size = 1 / cells, 3.0, (cells - 1, cells - 1)
            step, shape = 0.5 / cells / speed, mode((cells - 1, cells - 1), (1, 2))
            omega = math.pi * speed * math.sqrt(5)
            start = tuple(
                jnp.asarray(shape * math.cos(omega * t)) for t in (0.0, -step)
            )
            run = free(jnp.full(size, speed), start, pitch, step, 2 * cells)
            exact = shape * math.cos(omega * 2 * cells * step)
            errors.append(float(np.abs(run.field - exact).max()))
        assert 3.5 < errors[0] / errors[1] < 4.5


def draw(seed, *shape):
    """Normal numbers, drawn by NumPy, which has nothing to compile."""
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def rough(shape, batch=()):
    """A plate of random speeds, and a random field of two times."""
    speed = np.random.default_rng(0).uniform(0.4, 1.0, shape)
    field = np.random.default_rng(1).normal(size=(2, *batch, *shape))
    start = (jnp.asarray(field[0]), jnp.asarray(field[0] + 0.3 * field[1]))
    return jnp.asarray(speed), start


def test_energy_is_kept_and_time_can_be_reversed():
    shape, pitch, step = (9, 11), 1.0, 0.7
    speed, start = rough(shape)
    energy = jax.jit(lambda *fields: wave_energy(*fields, pitch=pitch, step=step))
    run = free(speed, start, pitch, step, 64)
    energies = [energy(*start, speed), energy(run.field, run.previous, speed)]
    np.testing.assert_allclose(energies[1], energies[0], rtol=1e-12)
    assert np.all(np.asarray(energies[0]) > 0)
    back = free(speed, (run.previous, run.field), pitch, step, 64)
    np.testing.assert_allclose(back.field, start[1], atol=1e-12)
    np.testing.assert_allclose(back.previous, start[0], atol=1e-12)


def test_energy_is_the_integral_of_the_continuous_one():
    r"""Of $\sin(\pi x)\sin(\pi y)\cos\omega t$ in a unit box: $\pi^2/4$, always."""
    n = 200
    pitch, speed = 1 / n, 2.0
    step, shape = 0.1 * pitch, mode((n - 1, n - 1), (1, 1))
    omega = math.pi * speed * math.sqrt(2)
    for time in (0.0, 0.1):
        now, before = (shape * math.cos(omega * t) for t in (time, time - step))
        energy = wave_energy(
            jnp.asarray(now),
            jnp.asarray(before),
            jnp.full((n - 1, n - 1), speed),
            pitch=pitch,
            step=step,
        )
        np.testing.assert_allclose(energy, math.pi**2 / 4, rtol=2e-3)


def test_uniform_damping_decays_as_the_oscillator_does():
    r"""$\ddot a + 2b\dot a + \omega^2 a = 0$: $e^{-bt}$ and $\sqrt{\omega^2 - b^2}$."""
    shape, pitch, speed, b = (7, 7), 1.0, 1.0, 0.05
    step, shape_ = 0.01, mode((7, 7), (1, 1))
    omega = math.hypot(*[2 * math.sin(math.pi / 16)] * 2)  # of the grid, short steps
    slow = math.sqrt(omega**2 - b**2)

    def exact(t):
        return math.exp(-b * t) * math.cos(slow * t)

    start = tuple(jnp.asarray(shape_ * exact(t)) for t in (0.0, -step))
    damping = jnp.full(shape, b)
    run = free(jnp.full(shape, speed), start, pitch, step, 1000, damping=damping)
    np.testing.assert_allclose(run.probes[-1, 0], exact(10.0), atol=1e-5)


def test_a_point_source_radiates_the_field_of_a_line_in_the_plane():
    r"""$\ddot u = c^2\nabla^2u + h^2\delta\,s$: far away, $|u| \to \frac{h^2}{4c^2}
    |H_0^{(1)}(kr)|$ for $s = \cos\omega t$."""
    from scipy.special import hankel1

    n, far, step = 121, 30, 0.5
    omega = 2 * math.pi / 24
    times = step * jnp.arange(200.0)
    ramp = jnp.minimum(times / 40, 1.0) ** 2
    middle = (n // 2, n // 2)

    @jax.jit
    def measured(drive):
        return wave_equation(
            drive[:, None],
            jnp.ones((n, n)),
            pitch=1.0,
            step=step,
            sources=(middle,),
            probes=((middle[0], middle[1] + far), (middle[0] + far, middle[1])),
        ).probes

    seen = np.asarray(measured(ramp * jnp.cos(omega * times)))
    np.testing.assert_allclose(seen[:, 0], seen[:, 1], atol=1e-13)
    late = slice(152, 200)  # one period; the walls' echo comes at 2 * 60 - 30 = 90 s
    phases = np.exp(1j * omega * np.asarray(times)[late])
    amplitude = 2 * np.abs(np.mean(seen[late, 0] * phases))
    np.testing.assert_allclose(amplitude, abs(hankel1(0, omega * far)) / 4, rtol=0.02)


def test_the_absorber_returns_what_its_profile_scatters():
    r"""A packet in a channel meets an absorber and comes back as weak as the first
    Born term says: $r(k) = \frac{\omega}{c^2k}\int b\,e^{2ikx - 2\int b\,\omega/c^2k}
    dx$, 1.4 % of the amplitude for waves of 12 cells in an absorber of 20."""
    length, cells, height = 220, 20, 9
    ky = math.pi / (height + 1)
    kx = 2 * math.pi / 12
    damping = np.zeros((height, length))
    damping[:] = absorbing_profile((length, length), cells, 1.0)[length // 2]
    across = np.sin(ky * np.arange(1, height + 1))
    along = np.arange(length)

    def omega_of(k):
        squares = np.sin(ky / 2) ** 2 + np.sin(k / 2) ** 2
        return 2 / 0.7 * np.arcsin(0.7 * np.sqrt(squares))

    slope = (omega_of(kx + 1e-4) - omega_of(kx - 1e-4)) / 2e-4

    def packet(t):
        x = along - 90 - slope * t
        wave = np.exp(-((x / 16) ** 2)) * np.cos(kx * (along - 90) - omega_of(kx) * t)
        return jnp.asarray(np.outer(across, wave))

    times = 336
    run = free(
        jnp.ones((height, length)),
        (packet(0.0), packet(-0.7)),
        1.0,
        0.7,
        times,
        damping=jnp.asarray(damping),
    )
    sent = np.linalg.norm(packet(0.0))
    reflected = np.linalg.norm(run.field) / sent
    depth = np.arange(0, cells, 0.01)
    b = (depth / cells) ** 4
    rate = omega_of(kx) / kx * b
    loss = 2 * np.cumsum(rate) * 0.01
    born = abs(np.sum(rate * np.exp(2j * kx * depth - loss)) * 0.01)
    assert reflected < 0.015
    np.testing.assert_allclose(reflected, born, rtol=0.05)


def plate(**settings):
    defaults = {
        "pitch": 1.0,
        "step": 0.6,
        "speeds": (1.0, 0.6),
        "sources": ((5, 3),),
        "probes": ((3, 7), (6, 7)),
        "damping": absorbing_profile((11, 10), 2, 0.5),
        "sharpness": 5.0,
    }
    return WaveEquation2D((11, 10), **(defaults | settings))


def unrolled(layer, x):
    """The same physics by the textbook: whole arrays, autodiff, no segments."""
    material = layer.material()
    speed = layer.speed()
    rate, level = layer.saturable or (0.0, 1.0)
    kerr = layer.kerr or 0.0

    def step(state, now):
        field, before = state
        wide = jnp.pad(field, 1)
        around = wide[2:, 1:-1] + wide[:-2, 1:-1] + wide[1:-1, 2:] + wide[1:-1, :-2]
        c = speed + kerr * material * field**2
        loss = layer.damping.value + material * rate / (1 + (field / level) ** 2)
        loss = loss * layer.step
        stiff = (c * layer.step / layer.pitch) ** 2 * (around - 4 * field)
        after = (2 * field - (1 - loss) * before + stiff) / (1 + loss)
        for place, amplitude in zip(layer.sources, now, strict=True):
            after = after.at[place].add(layer.step**2 * amplitude)
        return (after, field), jnp.stack([after[p] for p in layer.probes])

    still = jnp.zeros(layer.damping.value.shape)
    seen = jax.lax.scan(step, (still, still), x.reshape(len(x), -1))[1]
    return layer.step * jnp.sum(seen**2, 0)


@pytest.mark.parametrize(
    "times, settings",
    [
        (16, {}),
        (26, {"saturable": (0.2, 0.5), "kerr": -0.1, "sources": ((5, 3), (4, 4))}),
    ],
    ids=["linear", "nonlinear"],
)
def test_outputs_and_gradients_are_those_of_plain_steps(times, settings):
    """16 steps are segments of 4; 26 steps are segments of 8, and one of 2 before."""
    layer = plate(**settings)
    more = (2,) if "sources" in settings else ()
    x, gray = draw(0, 2, times, *more), 0.5 + 0.1 * draw(1, *layer.density.shape)
    layer = eqx.tree_at(lambda p: p.density, layer, gray)
    trained, fixed = eqx.partition((layer, x), pnn.is_trainable((layer, x)))

    @jax.jit
    def both(trained):
        def loss(trained, run):
            layer, x = eqx.combine(trained, fixed)
            return jnp.sum(jnp.sin(run(layer, x)))

        own = jax.value_and_grad(loss)(trained, lambda layer, x: layer(x))
        plain = jax.value_and_grad(loss)(
            trained, lambda layer, x: jax.vmap(lambda row: unrolled(layer, row))(x)
        )
        return own, plain

    (own, own_bar), (plain, plain_bar) = both(trained)
    np.testing.assert_allclose(own, plain, rtol=1e-12)
    for mine, other in zip(
        jax.tree.leaves(own_bar), jax.tree.leaves(plain_bar), strict=True
    ):
        np.testing.assert_allclose(mine, other, rtol=1e-9, atol=1e-12)


def test_derivatives_reach_speed_damping_and_start():
    """Finite differences of the pure function, along a random direction."""
    speed, start = rough((6, 7), (2,))
    damping, kerr, rate = (0.01 * draw(seed, 6, 7) ** 2 for seed in (2, 3, 4))
    at = (draw(5, 2, 12, 1), speed, damping, kerr, rate, start)
    along = jax.tree.map(lambda a: draw(6, *a.shape), at)

    @jax.jit
    def value(step):
        moved = jax.tree.map(lambda a, b: a + 0.01 * step * b, at, along)
        drive, speed, damping, kerr, rate, start = moved
        run = wave_equation(
            drive,
            speed,
            pitch=2.0,
            step=0.5,
            sources=((2, 2),),
            probes=((4, 4),),
            damping=damping,
            saturable=SaturableDamping(rate, 0.7),
            kerr=kerr,
            start=start,
        )
        return jnp.sum(run.probes**3) + jnp.sum(run.field * run.previous)

    h = 1e-3
    near, far = value(h) - value(-h), value(2 * h) - value(-2 * h)
    slope = jax.jit(jax.grad(value))(0.0)
    np.testing.assert_allclose((8 * near - far) / (12 * h), slope, rtol=1e-8)


def test_leading_axes_vmap_single_precision_and_going_on():
    layer, x = plate(normalized=True), draw(0, 3, 2, 16)
    x = x.at[0, 0].set(0.0)

    @jax.jit
    def all_ways(x):
        first = layer.run(x[..., :8])
        second = layer.run(x[..., 8:], (first.field, first.previous))
        seen = jnp.concatenate([first.probes, second.probes], axis=-2)
        own = layer(x), jax.vmap(layer)(x), layer(x.astype(jnp.float32))
        return *own, jnp.sum(seen**2, -2)

    shares, mapped, single, energy = all_ways(x)
    assert shares.shape == (3, 2, 2) and single.dtype == jnp.float32
    np.testing.assert_allclose(shares[0, 0], 0.5)  # of nothing
    np.testing.assert_allclose(jnp.sum(shares, -1), 1)
    np.testing.assert_allclose(mapped, shares, rtol=1e-12)
    np.testing.assert_allclose(single, shares, rtol=1e-4)
    energy = np.asarray(energy).reshape(-1, 2)[1:]
    expected = energy / energy.sum(-1, keepdims=True)
    np.testing.assert_allclose(np.asarray(shares).reshape(-1, 2)[1:], expected)


def test_a_thousand_steps_train_within_little_memory():
    """140 x 140 cells, 9 recordings: all fields would be 706 MB; the limit is 2 GiB."""
    with jax.enable_x64(False):
        layer = WaveEquation2D(
            (140, 140),
            pitch=1.0,
            step=0.7,
            speeds=(1.0, 0.8),
            sources=((70, 40),),
            probes=((35, 100), (70, 100), (105, 100)),
        )
        x = jax.ShapeDtypeStruct((9, 1000), jnp.float32)
        trained, fixed = eqx.partition(layer, pnn.is_trainable(layer))

        def loss(trained, x):
            return jnp.sum(jax.vmap(eqx.combine(trained, fixed))(x)[:, 0])

        compiled = jax.jit(jax.value_and_grad(loss)).lower(trained, x).compile()
    memory = compiled.memory_analysis()
    assert memory is not None and memory.temp_size_in_bytes < 120e6


@pytest.mark.parametrize("time", [1, 2, 7, 200, 997, 1000])
def test_segments_are_about_the_root_of_the_time(time):
    length = segment_length(time)
    assert 1 <= length <= time
    assert 2 * (time // length) + length <= 3.5 * math.sqrt(2 * time)


class TestMaterial:
    def test_projection_keeps_black_and_white_and_turns_at_the_threshold(self):
        density = jnp.asarray([[0.0, 0.4, 1.0, -0.3, 1.7]])
        out = projected_density(density, blur=0, sharpness=8.0, threshold=0.4)
        low, high = math.tanh(3.2), math.tanh(4.8)
        expected = [[0, low / (low + high), 1, 0, 1]]
        np.testing.assert_allclose(out, expected, atol=1e-12)

    def test_blur_is_the_mean_over_squares(self):
        density = jnp.zeros((5, 6)).at[2, 3].set(0.9)
        sharp = 1e-6  # the projection is then linear
        out = projected_density(density, blur=1, sharpness=sharp, threshold=0.5)
        expected = np.zeros((5, 6))
        expected[1:4, 2:5] = 0.1
        np.testing.assert_allclose(out, expected, atol=1e-9)

    def test_only_the_design_has_the_second_material(self):
        layer = plate(design=(3, 7, 4, 6), density=1.0, blur=0)
        speed = np.full((11, 10), 1.0)
        speed[3:7, 4:6] = 0.6
        np.testing.assert_allclose(layer.speed(), speed, atol=1e-12)
        outside = eqx.tree_at(lambda p: p.density, layer, layer.density + 2.0)
        np.testing.assert_allclose(outside.speed(), speed, atol=1e-12)
        np.testing.assert_allclose(outside.project().density, 1.0)

    def test_strong_waves_wear_off_the_saturable_damping(self):
        """All but that of the step in which they arrive, where a cell is at rest."""
        x = draw(0, 16)
        run = eqx.filter_jit(lambda layer, x: layer(x))
        lossy = plate(density=1.0, saturable=(0.5, 1e-2))
        clear = run(plate(density=1.0, saturable=(0.0, 1e-2)), x)
        weak, strong = run(lossy, 1e-4 * x) / 1e-8, run(lossy, 1e4 * x) / 1e8
        assert np.all(weak < 0.3 * clear)
        np.testing.assert_allclose(strong, clear, rtol=0.1)


class TestRefuses:
    def test_a_step_that_is_not_stable(self):
        with pytest.raises(ValueError, match="at most 0.707107 s"):
            plate(step=0.71)
        plate(step=1 / math.sqrt(2))
        still = (jnp.zeros((4, 4)), jnp.zeros((4, 4)))
        with pytest.raises(ValueError, match="at most 0.353553 s"):
            wave_equation(
                jnp.zeros((3, 0)),
                jnp.full((4, 4), 2.0),
                pitch=1.0,
                step=0.4,
                sources=(),
                probes=((1, 1),),
                start=still,
            )
        with pytest.raises(Exception, match="speeds above 1.76777 m/s"):
            free(jnp.full((4, 4), 2.0), still, 1.0, 0.4, 2)

    def test_a_field_that_the_grid_cannot_carry(self):
        with pytest.raises(ValueError, match="Take a `pitch` of 0.12 m"):
            plate(highest_frequency=0.5)
        with pytest.warns(UnderSampledWarning, match="`pitch` of 0.4 m"):
            plate(highest_frequency=0.15)
        plate(highest_frequency=0.06)

    @pytest.mark.parametrize("what", ["source", "probe"])
    def test_places_in_the_absorber_or_off_the_plate(self, what):
        with pytest.raises(ValueError, match=rf"The {what} at \(1, 5\) is in the abs"):
            plate(**{f"{what}s": ((1, 5),)})
        with pytest.raises(ValueError, match="not on the grid"):
            plate(**{f"{what}s": ((11, 5),)})
        with pytest.raises(ValueError, match="at least one"):
            plate(**{f"{what}s": ()})

    def test_plates_that_cannot_be(self):
        with pytest.raises(ValueError, match="take at most 4 cells"):
            absorbing_profile((10, 11), 5, 1.0)
        with pytest.raises(ValueError, match="no rectangle"):
            plate(design=(3, 3, 0, 2))
        with pytest.raises(ValueError, match="the design is"):
            plate(density=jnp.ones((2, 2)))
        with pytest.raises(ValueError, match="must be of the shape"):
            plate(damping=np.zeros((3, 3)))
        with pytest.raises(ValueError, match="must be\n? ?positive"):
            plate(speeds=(1.0, 0.0))
        with pytest.raises(ValueError, match="sharpness"):
            plate(sharpness=0.0)
        with pytest.raises(ValueError, match="saturable"):
            plate(saturable=(0.1, 0.0))

    def test_signals_that_do_not_fit(self):
        with pytest.raises(ValueError, match="2 sources need as many series"):
            plate(sources=((5, 3), (5, 4)))(jnp.ones((4, 3)))
        with pytest.raises(ValueError, match="no time"):
            plate()(jnp.ones((2, 0)))

    def test_a_kerr_effect_that_diverges(self):
        layer = plate(kerr=10.0, density=1.0)
        with pytest.raises(Exception, match="weaker drive"):
            eqx.filter_jit(layer)(5.0 * jnp.ones(60))


def test_facts():
    layer = plate()
    assert isinstance(layer, pnn.AbstractBoundedLayer)
    assert layer.facts == pnn.Facts()
