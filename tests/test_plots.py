"""Pictures show the data they are given, and touch nothing else."""

import inspect
import subprocess
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import pytest
from matplotlib.collections import EllipseCollection, LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import pnnjax as pnn
from pnnjax._history import History

RNG = np.random.default_rng(5)


def history(seed=0, steps=300):
    """A run whose loss falls and whose accuracy rises, with noise."""
    rng = np.random.default_rng(seed)
    at = np.arange(50, steps + 1, 50)
    loss = np.exp(-np.arange(steps) / 100 + 0.1 * rng.normal(size=steps))
    metrics = {"accuracy": 1 - np.exp(-at / 100), "error": np.exp(-at / 100)}
    return History(loss, at, metrics, 1.0)


def lattice(modes, columns=None, kind=pnn.optics.MZIMesh):
    """A mesh with phases beyond a turn, as training leaves them."""
    key = jax.random.key(modes)
    mesh = kind(modes, key=key) if columns is None else kind(modes, columns, key=key)
    phases = [RNG.uniform(-7, 7, p.shape) for p in (mesh.theta, mesh.phi, mesh.gamma)]
    return eqx.tree_at(
        lambda mesh: (mesh.theta, mesh.phi, mesh.gamma),
        mesh,
        [*map(jnp.asarray, phases)],
    )


def beam(ny=24, nx=32):
    y, x = np.mgrid[-1 : 1 : ny * 1j, -1 : 1 : nx * 1j]
    return jnp.asarray(np.exp(-3 * (x**2 + y**2) + 5j * x * y) * 1e-3)


CORNERS = ((2, 7, 3, 11), (2, 7, 20, 28), (15, 20, 3, 11), (15, 20, 20, 28))


def space(distance):
    return pnn.optics.FreeSpace(distance, wavelength=1e-6, pitch=4e-6)


def plane(point):
    return jnp.stack([point[0], -point[0]])


PICTURES = {
    "learning_curve": lambda: pnn.plots.learning_curve(history()),
    "mesh": lambda: pnn.plots.mesh(lattice(6)),
    "field": lambda: pnn.plots.field(beam(), 1e-6),
    "domain_coloring": lambda: pnn.plots.domain_coloring(beam(), 1e-6),
    "phase_masks": lambda: pnn.plots.phase_masks(RNG.uniform(0, 7, (3, 8, 8)), 1e-6),
    "robustness": lambda: pnn.plots.robustness(
        np.array([0.1, 0.2]),
        {"one": np.array([[0.9, 0.5], [0.7, 0.3]])},
        label="Error (rad)",
        quantity="Accuracy",
    ),
    "stack": lambda: pnn.plots.stack(jnp.stack([beam()] * 3), CORNERS, 1, 1e-6),
    "cross_section": lambda: pnn.plots.cross_section([space(1e-3)], beam(), 3),
    "confusion_matrix": lambda: pnn.plots.confusion_matrix(
        np.array([0, 1, 2]), np.array([0, 2, 2])
    ),
    "gradient_alignment": lambda: pnn.plots.gradient_alignment(
        {"first": np.array([0.5, 0.9]), "second": np.array([0.1, -0.4])}
    ),
    "decision_regions": lambda: pnn.plots.decision_regions(
        plane, (RNG.normal(size=(20, 2)), np.arange(20) % 2)
    ),
}


@pytest.mark.parametrize("name", PICTURES)
def test_is_a_figure_of_its_own(name, tmp_path):
    import matplotlib.pyplot as plt

    open_before = plt.get_fignums()
    settings = dict(matplotlib.rcParams)
    fig = PICTURES[name]()
    fig.savefig(tmp_path / "picture.png")
    assert isinstance(fig, Figure)
    assert plt.get_fignums() == open_before
    assert dict(matplotlib.rcParams) == settings
    named = [ax for ax in fig.axes if ax.get_visible() and ax.get_xlabel()]
    assert named and any(ax.get_ylabel() for ax in fig.axes)
    box, (width, height) = fig.get_tightbbox(), fig.get_size_inches()
    # Nothing is cut off, to a fiftieth of an inch.
    assert min(box.x0, box.y0, width - box.x1, height - box.y1) > -0.02


def test_every_picture_is_tested():
    lines = inspect.getsource(pnn.plots).split()
    public = {name for before, name in zip(lines, lines[1:]) if before == "as"}
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("*.py"))
    assert {n for n in public if f"plots.{n.rstrip(',')}(" not in tests} == set()


def test_robustness_is_the_mean_of_the_runs():
    (ax,) = PICTURES["robustness"]().axes
    (line,) = ax.lines
    np.testing.assert_allclose(line.get_xydata(), [[0.1, 0.8], [0.2, 0.4]])
    with pytest.raises(ValueError, match="no results"):
        pnn.plots.robustness(np.ones(2), {}, label="", quantity="")


def test_importing_pnnjax_leaves_matplotlib_alone():
    code = "import sys, pnnjax; print('matplotlib' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "False", run.stderr


def test_learning_curve_draws_the_loss_and_the_metrics():
    run = history()
    left, right = pnn.plots.learning_curve(run).axes
    raw, smooth = left.lines
    np.testing.assert_array_equal(raw.get_xdata(), np.arange(1, 301))
    np.testing.assert_array_equal(raw.get_ydata(), run.loss)
    # 300 steps: the mean over six; a constant would stay as it is up to both ends.
    assert smooth.get_ydata()[150] == pytest.approx(run.loss[147:153].mean())
    assert left.get_yscale() == "log"
    for line, (name, values) in zip(right.lines, run.metrics.items()):
        assert line.get_label() == name
        np.testing.assert_array_equal(line.get_xdata(), run.steps)
        np.testing.assert_array_equal(line.get_ydata(), values)


def test_running_mean_keeps_a_constant_to_the_ends():
    run = History(np.full(200, 0.3), np.zeros(0, int), {"accuracy": np.zeros(0)}, 1.0)
    fig = pnn.plots.learning_curve(run)
    np.testing.assert_allclose(fig.axes[0].lines[1].get_ydata(), 0.3)
    assert len(fig.axes) == 1


def test_learning_curve_of_several_runs_is_median_and_range():
    runs = [history(seed) for seed in range(5)]
    levels = np.array([0.1, 0.5, 0.2, 0.9, 0.4])
    runs = [
        run._replace(metrics={"accuracy": np.full(6, level)})
        for run, level in zip(runs, levels)
    ]
    left, right = pnn.plots.learning_curve({"many": runs, "one": history(9)}).axes
    median = right.lines[0]
    np.testing.assert_allclose(median.get_ydata(), 0.4)
    band = right.collections[0].get_datalim(right.transData)
    assert (band.y0, band.y1) == pytest.approx((0.1, 0.9))
    shown = [text.get_text() for text in left.get_legend().get_texts()]
    assert shown == ["many (5 runs)", "one"]


def test_loss_that_is_not_positive_has_a_linear_axis():
    run = history()._replace(loss=np.linspace(1, -1, 300))
    assert pnn.plots.learning_curve(run).axes[0].get_yscale() == "linear"


def test_bad_histories_are_refused():
    run = history()
    with pytest.raises(ValueError, match="no history"):
        pnn.plots.learning_curve([])
    with pytest.raises(ValueError, match="no history of 'a'"):
        pnn.plots.learning_curve({"a": []})
    with pytest.raises(ValueError, match="`loss` is empty"):
        pnn.plots.learning_curve(run._replace(loss=np.zeros(0)))
    with pytest.raises(ValueError, match="1 values that are NaN"):
        pnn.plots.learning_curve(run._replace(loss=np.array([1.0, np.nan])))
    with pytest.raises(ValueError, match="2 values for 6 evaluations"):
        pnn.plots.learning_curve(run._replace(metrics={"accuracy": np.ones(2)}))
    with pytest.raises(ValueError, match=r"differ in length: \[300, 250\]"):
        pnn.plots.learning_curve([run, run._replace(loss=run.loss[:250])])
    with pytest.raises(ValueError, match="differ in their metrics"):
        pnn.plots.learning_curve([run, run._replace(metrics={})])


def parts(fig):
    return {part.get_gid(): part for part in fig.axes[0].collections}


@pytest.mark.parametrize("kind", [pnn.optics.MZIMesh, pnn.optics.TriangularMesh])
@pytest.mark.parametrize("modes", [2, 9, 64])
def test_mesh_has_an_interferometer_for_each_pair_of_modes(modes, kind):
    layer = lattice(modes, kind=kind)
    drawn = parts(pnn.plots.mesh(layer))
    pairs = modes * (modes - 1) // 2
    assert isinstance(drawn["theta"], EllipseCollection)
    assert len(drawn["theta"].get_offsets()) == pairs
    assert len(drawn["phi"].get_offsets()) == pairs
    assert isinstance(drawn["gamma"], PolyCollection)
    assert len(drawn["gamma"].get_paths()) == modes
    np.testing.assert_allclose(
        drawn["gamma"].get_array() * np.pi, np.mod(layer.gamma, 2 * np.pi)
    )


def test_mesh_colors_are_its_phases():
    layer = lattice(8, 5)
    drawn = parts(pnn.plots.mesh(layer))
    column, slot = np.indices((5, 4))
    exists = 2 * slot + column % 2 < 7
    theta, phi = np.asarray(layer.theta)[exists], np.asarray(layer.phi)[exists]
    # Folding may not change how the power is split.
    shown = drawn["theta"].get_array() * np.pi
    assert shown.min() >= 0 and shown.max() <= np.pi
    np.testing.assert_allclose(np.sin(shown / 2) ** 2, np.sin(theta / 2) ** 2)
    np.testing.assert_allclose(
        np.exp(1j * np.pi * drawn["phi"].get_array()), np.exp(1j * phi)
    )
    center = drawn["theta"].get_offsets()[:, 1] - 0.5
    np.testing.assert_array_equal(center, (2 * slot + column % 2)[exists])


def test_waveguides_of_a_mesh_are_continuous():
    axes = pnn.plots.mesh(lattice(7, 6)).axes[0]
    (lines,) = [c for c in axes.collections if isinstance(c, LineCollection)]
    ends = np.stack(lines.get_segments()).reshape(6, 7, 4, 2)[:, :, [0, 3]]
    for before, after in zip(ends[:-1, :, 1], ends[1:, :, 0]):
        np.testing.assert_allclose(before[np.argsort(before[:, 1])], after)


def test_mesh_with_nan_is_refused():
    layer = lattice(4)
    bad = layer.theta.at[1, 0].set(jnp.nan)
    layer = eqx.tree_at(lambda mesh: mesh.theta, layer, bad)
    with pytest.raises(ValueError, match="`theta` holds 1 values that are NaN"):
        pnn.plots.mesh(layer)


@pytest.mark.parametrize(
    "pitch, unit, half",
    [(2e-6, "µm", 32), (400e-6, "mm", 6.4), (1e-9, "nm", 16), (None, "pixel", None)],
)
def test_field_panels(pitch, unit, half):
    u = beam()
    fig = pnn.plots.field(u, pitch)
    left, right = fig.axes[:2]
    assert left.get_xlabel() == f"$x$ ({unit})"
    if half is not None:
        assert left.images[0].get_extent()[1] == pytest.approx(half)
    # The peak is 1 µW, and the colorbar says in which unit the values are.
    np.testing.assert_allclose(
        left.images[0].get_array(), np.abs(u) ** 2 * 1e9, rtol=1e-12
    )
    assert "Intensity (nW/pixel)" in [ax.get_ylabel() for ax in fig.axes]
    np.testing.assert_allclose(right.images[0].get_array() * np.pi, np.angle(u))


def test_phase_fades_where_there_is_no_light():
    u = jnp.asarray(np.array([[1.0, 0.05], [0.1, 0.0]]) + 0j)
    alpha = pnn.plots.field(u).axes[1].images[0].get_alpha()
    np.testing.assert_allclose(alpha, [[1, 0.5], [1, 0]])
    pnn.plots.field(jnp.zeros((4, 4), complex)).draw_without_rendering()


def luminance(rgb):
    """Relative luminance of sRGB colors (IEC 61966-2-1)."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def test_lightness_is_the_amplitude_whatever_the_phase():
    phase = np.linspace(-np.pi, np.pi, 64, endpoint=False)
    u = np.stack([np.exp(1j * phase), 0.3 * np.exp(1j * phase), 0 * phase])
    image = pnn.plots.domain_coloring(jnp.asarray(u)).axes[0].images[0].get_array()
    bright, dim, dark = luminance(np.asarray(image))
    assert bright.min() > 2 * dim.max() > 0
    # Oklch's lightness is not luminance itself; hues differ in it by a tenth or so.
    assert bright.max() < 1.4 * bright.min()
    np.testing.assert_array_equal(dark, 0)
    # The colors of distinct phases differ, and close the circle.
    steps = np.linalg.norm(np.diff(image[0], axis=0, append=image[0, :1]), axis=-1)
    assert 0.005 < steps.min() and steps.max() < 0.15


@pytest.mark.parametrize("picture", [pnn.plots.field, pnn.plots.domain_coloring])
def test_bad_fields_are_refused(picture):
    with pytest.raises(ValueError, match="`field` holds 1 values"):
        picture(beam().at[0, 0].set(jnp.nan))
    with pytest.raises(ValueError, match="`pitch` must be positive"):
        picture(beam(), -1e-6)
    with pytest.raises(ValueError, match="`field` is empty"):
        picture(jnp.zeros((0, 4), complex))
    with pytest.raises((TypeError, ValueError)):
        picture(beam()[0])


@pytest.mark.parametrize("count", [1, 5, 7])
def test_phase_masks_are_wrapped(count):
    masks = RNG.uniform(-9, 9, (count, 6, 8))
    fig = pnn.plots.phase_masks(masks)
    images = [ax.images[0].get_array() for ax in fig.axes if ax.images]
    np.testing.assert_allclose(np.stack(images) * np.pi, np.mod(masks, 2 * np.pi))
    assert sum("Phase" in ax.get_ylabel() for ax in fig.axes) == 1


def test_stack_shows_planes_regions_and_powers():
    fields = jnp.stack([beam() * scale for scale in (1, 2, 3)])
    fig = pnn.plots.stack(fields, CORNERS, 2, 1e-6)
    images = [ax for ax in fig.axes if ax.images and ax.get_title()]
    assert [ax.get_title() for ax in images] == ["Input", "Plane 1", "Detectors"]
    shape = np.abs(np.asarray(fields)) ** 2
    for ax, plane_ in zip(images, shape):
        np.testing.assert_allclose(ax.images[0].get_array(), plane_ / plane_.max())
    boxes = [p for p in images[-1].patches if isinstance(p, Rectangle)]
    assert len(boxes) == 4
    # The region of rows 15 to 19 and columns 3 to 10, about the center, at 1 µm.
    assert boxes[2].get_bbox().bounds == pytest.approx((3 - 16, 15 - 12, 8, 5))
    assert boxes[2].get_edgecolor() != boxes[1].get_edgecolor()
    (readout,) = [ax for ax in fig.axes if ax.get_title() == "Readout"]
    heights = np.array([bar.get_height() for bar in readout.patches])
    powers = np.array(pnn.optics.power_in(fields[-1], CORNERS))
    np.testing.assert_allclose(heights / heights.max(), powers / powers.max())
    assert readout.get_ylabel() == "Power (µW)"


def test_bad_stacks_are_refused():
    fields = jnp.stack([beam()] * 2)
    with pytest.raises(ValueError, match="`label` is 4, but there are 4 detectors"):
        pnn.plots.stack(fields, CORNERS, 4)
    with pytest.raises(ValueError, match="is empty"):
        pnn.plots.stack(fields, [(3, 3, 0, 5)], 0)
    with pytest.raises(ValueError, match="leaves the"):
        pnn.plots.stack(fields, [(3, 9, 30, 33)], 0)


@pytest.mark.slow
def test_cross_section_of_a_gaussian_beam():
    wavelength, pitch, waist = 1e-6, 4e-6, 20e-6
    flat = pnn.optics.PhaseMask(jnp.zeros((64, 64)))
    layer = pnn.optics.DiffractiveLayer(flat, space(0.7e-3))
    detector = pnn.optics.Detector(((0, 4, 0, 4),))
    stack = eqx.nn.Sequential([space(0.5e-3), layer, detector])
    y, x = pitch * (np.mgrid[:64, :64] - 31.5)
    field = jnp.asarray(np.exp(-(x**2 + y**2) / waist**2) + 0j)
    fig = pnn.plots.cross_section(stack, field, 4)
    ax = fig.axes[0]
    image = np.asarray(ax.collections[0].get_array())
    z = np.array([*np.linspace(0, 0.5e-3, 5), *np.linspace(0.5e-3, 1.2e-3, 5)])
    x = x[0, :, None]
    width = 2 * np.sqrt((image * x**2).sum(0) / image.sum(0))
    rayleigh = np.pi * waist**2 / wavelength
    # Paraxial, and sampled at a fifth of the waist.
    np.testing.assert_allclose(width, waist * np.hypot(1, z / rayleigh), rtol=1e-3)
    assert [line.get_xdata()[0] for line in ax.lines] == pytest.approx([0.5])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$z$ (mm)", "$x$ (µm)")


def test_bad_cross_sections_are_refused():
    with pytest.raises(ValueError, match="no `FreeSpace`"):
        pnn.plots.cross_section([jnp.conj, jnp.abs], beam())
    with pytest.raises(ValueError, match="`samples` must be at least 1"):
        pnn.plots.cross_section([space(1e-3)], beam(), 0)
    colors = pnn.optics.FreeSpace(1e-3, (1e-6, 2e-6), 4e-6)
    with pytest.raises(ValueError, match="wavelength"):
        pnn.plots.cross_section([colors], beam())


def test_confusion_matrix_counts():
    truth = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 2])
    guess = np.array([0, 0, 1, 1, 1, 2, 0, 2, 2, 2])
    ax = pnn.plots.confusion_matrix(guess, truth, ["a", "b", "c", "d"]).axes[0]
    expected = np.array([[2, 1, 0, 0], [0, 2, 0, 0], [1, 0, 4, 0], [0, 0, 0, 0]])
    share = 100 * expected / np.array([[3], [2], [5], [1]])
    np.testing.assert_allclose(ax.images[0].get_array(), share)
    counts = {text.get_position(): int(text.get_text()) for text in ax.texts}
    assert counts == {(c, r): n for (r, c), n in np.ndenumerate(expected) if n}
    assert ax.get_title() == "8 of 10 right (80.0 %)"


def test_bad_predictions_are_refused():
    with pytest.raises(ValueError, match="from 0 to 1, but they are from 0 to 2"):
        pnn.plots.confusion_matrix(np.array([0, 2]), np.array([0, 1]), ["a", "b"])
    with pytest.raises((TypeError, ValueError)):
        pnn.plots.confusion_matrix(np.array([0, 2]), np.array([0]))
    with pytest.raises(ValueError, match="empty"):
        pnn.plots.confusion_matrix(np.zeros(0, int), np.zeros(0, int))


def test_gradient_alignment_lines():
    cosines = {"a": np.array([1.0, 0.8, 0.3]), "b": np.array([0.9, 0.2, 0.1])}
    noise = np.array([0.01, 0.1, 1.0])
    ax = pnn.plots.gradient_alignment(cosines, noise, "Noise (rad)").axes[0]
    assert ax.get_xlabel() == "Noise (rad)"
    for line, (name, values) in zip(ax.lines, cosines.items()):
        assert line.get_label() == name
        np.testing.assert_array_equal(line.get_xdata(), noise)
        np.testing.assert_array_equal(line.get_ydata(), values)


def test_gradient_alignment_bars():
    cosines = {"A": {"x": 0.9, "y": jnp.asarray(0.8)}, "B": {"x": -0.5}}
    ax = pnn.plots.gradient_alignment(cosines).axes[0]
    assert [bar.get_height() for bar in ax.patches] == pytest.approx([0.9, 0.8, -0.5])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["x", "y"]


def test_bad_alignments_are_refused():
    line = {"a": np.array([0.5, 0.2])}
    with pytest.raises(ValueError, match="no alignments"):
        pnn.plots.gradient_alignment({})
    with pytest.raises(ValueError, match="no cosine"):
        pnn.plots.gradient_alignment({"a": np.array([0.5, 1.2])})
    with pytest.raises(ValueError, match="NaN"):
        pnn.plots.gradient_alignment({"a": np.array([0.5, np.nan])})
    with pytest.raises(ValueError, match="2 cosines at 3 positions"):
        pnn.plots.gradient_alignment(line, np.ones(3), "Noise (rad)")
    with pytest.raises(ValueError, match="together"):
        pnn.plots.gradient_alignment(line, np.ones(2))
    with pytest.raises(ValueError, match="leave out `against`"):
        pnn.plots.gradient_alignment({"A": {"x": 0.9}}, np.ones(2), "Noise (rad)")
    with pytest.raises(ValueError, match="Either all"):
        pnn.plots.gradient_alignment({"A": {"x": 0.9}, **line})


def test_decision_regions_are_the_models():
    points = np.array([[-1.0, 0.0], [1.0, 0.0], [0.5, 1.0], [-0.5, -1.0]])
    fig = pnn.plots.decision_regions(plane, (points, np.array([1, 0, 0, 0])))
    ax = fig.axes[0]
    regions, *classes = ax.collections
    drawn = np.asarray(regions.get_array())
    np.testing.assert_array_equal(drawn[:, 0], 1)
    np.testing.assert_array_equal(drawn[:, -1], 0)
    assert drawn.mean() == pytest.approx(0.5)
    offsets = np.concatenate([c.get_offsets() for c in classes])
    np.testing.assert_array_equal(offsets, points[[1, 2, 3, 0]])
    assert ax.get_title() == "3 of 4 right (75.0 %)"


def test_decision_regions_of_a_layer_that_needs_vmap():
    linear = eqx.nn.Linear(2, 3, key=jax.random.key(0))
    data = jnp.asarray(RNG.normal(size=(9, 2))), jnp.arange(9) % 3
    assert isinstance(pnn.plots.decision_regions(linear, data), Figure)


def test_bad_planes_are_refused():
    with pytest.raises(ValueError, match=r"shape \(examples, 2\)"):
        pnn.plots.decision_regions(plane, (np.ones((4, 3)), np.zeros(4, int)))
    with pytest.raises(
        ValueError, match="scores 2 classes, but labels are from 0 to 2"
    ):
        pnn.plots.decision_regions(plane, (np.ones((3, 2)), np.arange(3)))
