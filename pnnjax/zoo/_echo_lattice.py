"""Nonlinear lattices trained by their own echo: exclusive or, and 8 × 8 digits."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from .. import data, estimators, integrators, objectives, oscillators, plots
from .._claims import cosine_similarity
from .._fit import FitResult, fit
from .._motion import AbstractHamiltonianLayer
from .._physical import Physical
from ._digits_mesh import jittered
from ._experiment import AbstractStudy, Outcome
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PIXELS = 64
CLASSES = 10
DIMENSION = 7
"""Of the hypercube: 128 sites, each bound to seven others."""
GROUP = 6
"""Output sites of a class."""
RATES = np.asarray([0.01, 0.03, 0.1, 0.3, 1.0])
"""1/s, at which the echo is compared with the gradient."""


class EchoLattice(AbstractStudy):
    """Pixels are amplitudes of 64 sites; after a while, the light of six others is the
    share of a class. The 128 sites are the corners of a hypercube. Only frequencies and
    couplings are trained, and only by echoes; a chain of six learns exclusive or.
    """

    epochs: int = setting(4, "passes through the training images", low=1)
    batch_size: int = setting(64, "images a step", low=1)
    learning_rate: float = setting(0.02, "of Adam, falling as a cosine (rad/s)", low=0)
    amplitude: float = setting(2.0, "of a whole image, length of the vector", low=0.01)
    nonlinearity: float = setting(1.0, "frequency at intensity 1 (rad/s)")
    duration_of_run: float = setting(3.0, "there, and as long back (s)", low=0.1)
    steps: int = setting(10, "of the splitting", low=1)
    spread: float = setting(0.3, "of the initial couplings (rad/s)", low=0)
    epsilon: float = setting(0.1, "length of the error signal", low=1e-4)
    scale: float = setting(20.0, "of the softmax over the shares", low=0)
    xor_epochs: int = setting(60, "passes through the points of exclusive or", low=1)

    name: ClassVar[str] = "echo-lattice"
    summary: ClassVar[str] = (
        "lattice of nonlinear waves on exclusive or and 8 × 8 digits; Hamiltonian echo"
    )
    reference: ClassVar[str] = (
        "after López-Pastor and Marquardt, Phys. Rev. X 13, 031020 (2023), "
        "doi:10.1103/PhysRevX.13.031020"
    )
    figure: ClassVar[str] = "test accuracy on the digits"
    published: ClassVar[float | None] = None
    duration: ClassVar[float] = 80.0

    def run(
        self, *, seed: int, checkpoint: Path | None, resume: bool, progress: bool
    ) -> Outcome:
        if checkpoint is not None:
            checkpoint.mkdir(exist_ok=True)
        xor_key, digits_key = jax.random.split(jax.random.key(seed))
        points, images = data.xor(), self.digits()
        xor = self.learn(
            Physical(self.chain(key=xor_key), self.estimator()),
            points,
            epochs=self.xor_epochs,
            batch_size=20,
            key=xor_key,
            checkpoint=None if checkpoint is None else checkpoint / "xor",
            resume=resume,
            progress=progress,
        )
        found = self.learn(
            self.classifier(key=digits_key),
            images,
            epochs=self.epochs,
            batch_size=self.batch_size,
            key=digits_key,
            checkpoint=None if checkpoint is None else checkpoint / "digits",
            resume=resume,
            progress=progress,
        )
        results = (xor, found)
        accuracies = [float(r.history.final()["accuracy"]) for r in results]
        lattice = found.model[0].layer
        return Outcome(
            value=accuracies[1],
            seconds=sum(r.history.seconds for r in results),
            model=found.model,
            history=None,
            table={
                "task": ["xor", "digits"],
                "accuracy": accuracies,
                "seconds": [r.history.seconds for r in results],
            },
            pictures={
                "training": lambda: plots.learning_curve(found.history),
                "xor": lambda: plots.decision_regions(
                    xor.model, (points.test_x, points.test_y)
                ),
                "physics": lambda: self.picture(lattice, images),
                "loss": lambda: self.loss_picture(lattice, images),
            },
        )

    def learn(
        self,
        model: Any,
        examples: data.Dataset,
        *,
        epochs: int,
        batch_size: int,
        key: PRNGKeyArray,
        checkpoint: Path | None,
        resume: bool,
        progress: bool,
    ) -> FitResult:
        """Train the model on one of the tasks."""
        return fit(
            model,
            examples,
            objectives.PowerSoftmax(self.scale),
            self._optimizer(epochs * (len(examples.train_x) // batch_size)),
            epochs=epochs,
            batch_size=batch_size,
            metrics={"accuracy": objectives.accuracy},
            evaluate_every=max(1, epochs // 20),
            noisy=False,
            key=key,
            checkpoint=checkpoint,
            resume=resume,
            progress=progress,
        )

    def estimator(self) -> estimators.HamiltonianEcho:
        """The one rule that trains."""
        return estimators.HamiltonianEcho(self.epsilon)

    def digits(self) -> data.Dataset:
        """Images of equal length, each training image in five places."""
        digits = data.digits()
        images = jittered(digits.train_x)
        moved = digits._replace(
            train_x=images.reshape(-1, *images.shape[2:]),
            train_y=np.tile(digits.train_y, len(images)),
        )
        return of_length(self.amplitude, moved)

    def classifier(self, *, key: PRNGKeyArray) -> eqx.nn.Sequential:
        """The hypercube, untrained, and the sum over the sites of each class."""
        lattice = Physical(self.hypercube(key=key), self.estimator())
        return eqx.nn.Sequential([lattice, eqx.nn.Lambda(class_intensities)])

    def hypercube(self, *, key: PRNGKeyArray) -> oscillators.NonlinearLattice:
        """Pixels on one half of the corners, classes on the other."""
        sites = 2**DIMENSION
        return oscillators.NonlinearLattice(
            sites,
            key=key,
            bonds=oscillators.hypercube_bonds(DIMENSION),
            inputs=range(PIXELS),
            outputs=range(sites - GROUP * CLASSES, sites),
            coupling=0.0,
            disorder=self.spread,
            nonlinearity=self.nonlinearity,
            splitting=integrators.Splitting(self.duration_of_run, self.steps),
        )

    def chain(self, *, key: PRNGKeyArray) -> oscillators.NonlinearLattice:
        """Six sites, two of them excited, and the two at the ends read."""
        return oscillators.NonlinearLattice(
            6,
            key=key,
            inputs=[2, 3],
            outputs=[0, 5],
            coupling=0.7,
            disorder=self.spread,
            nonlinearity=self.nonlinearity,
            splitting=integrators.Splitting(self.duration_of_run, 2 * self.steps),
        )

    def picture(
        self, lattice: oscillators.NonlinearLattice, digits: data.Dataset
    ) -> "Figure":
        """The first test image on its way, and its echo with the error signal."""
        image, label = jnp.asarray(digits.test_x[:1]), jnp.asarray(digits.test_y[:1])
        y_bar = self._error(lattice(image), label)
        forward, echo = there_and_back(lattice, image, y_bar, self.epsilon)
        title = f"a {digits.test_y[0]}, and its echo"
        return plots.echo_course(
            forward[:, 0], echo[:, 0], lattice.splitting.duration, title
        )

    def loss_picture(
        self, lattice: oscillators.NonlinearLattice, digits: data.Dataset
    ) -> "Figure":
        """How the echo's gradient turns away as the lattice loses light."""
        x, labels = jnp.asarray(digits.test_x[:64]), jnp.asarray(digits.test_y[:64])
        cosines, lengths = loss_bias(lattice, x, labels, self._error, self.epsilon)
        exposure = lattice.splitting.duration * RATES
        lines = {
            "cosine with the gradient": np.asarray(cosines)[None],
            "length, of the gradient's": np.asarray(lengths)[None],
        }
        return plots.robustness(
            exposure, lines, label="Loss rate × duration", quantity="Echo's gradient"
        )

    def _error(self, y: Array, labels: Array) -> Array:
        """The cotangent of what the output sites show."""
        objective = objectives.PowerSoftmax(self.scale)
        return jax.grad(lambda y: objective(class_intensities(y), labels))(y)

    def _optimizer(self, steps: int) -> optax.GradientTransformation:
        return optax.adam(optax.cosine_decay_schedule(self.learning_rate, steps))


def of_length(amplitude: float, images: data.Dataset) -> data.Dataset:
    """Each image as a vector of that length."""

    def scaled(pixels):
        rows = pixels.reshape(len(pixels), -1)
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        return (amplitude * rows / length).astype(np.float32)

    return images._replace(train_x=scaled(images.train_x), test_x=scaled(images.test_x))


def class_intensities(
    y: Float[Array, "*batch outputs"],
) -> Float[Array, "*batch classes"]:
    """What the sites of each class show together."""
    return jnp.sum(y.reshape(*y.shape[:-1], CLASSES, -1), -1)


@eqx.filter_jit
def there_and_back(
    lattice: AbstractHamiltonianLayer,
    x: Float[Array, "*batch inputs"],
    y_bar: Float[Array, "*batch outputs"],
    epsilon: float,
) -> tuple[Float[Array, "times *batch sites"], Float[Array, "times *batch sites"]]:
    """Intensities at the start and after each step; then from the mirror on."""

    def course(state):
        states = lattice.trajectory(state, None)
        first = jax.tree.map(lambda s: s[None], state)
        whole = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), first, states)
        return oscillators.intensities(whole), jax.tree.map(lambda s: s[-1], states)

    forward, final = course(lattice.initial_state(x))
    turned = final.reversed()
    _, pull_back = jax.vjp(lambda s: lattice.readout(s.reversed()), turned)
    length = jnp.sqrt(jnp.sum(y_bar**2, -1, keepdims=True))
    return forward, course(turned.kicked(pull_back(y_bar / length)[0], epsilon))[0]


def loss_bias(
    lattice: oscillators.NonlinearLattice,
    x: Float[Array, "examples inputs"],
    labels: Int[Array, " examples"],
    error: Any,
    epsilon: float,
    rates: Float[np.ndarray, " rates"] = RATES,  # 1/s
) -> tuple[Float[Array, " rates"], Float[Array, " rates"]]:
    """Of the echo's gradient: its cosine with the exact one, and its relative length.

    **Arguments:** `error(y, labels)`: the cotangent of the output.
    """
    rule = estimators.HamiltonianEcho(epsilon)

    @eqx.filter_jit
    def both(lattice, x, labels, rate):
        def learned(layer: oscillators.NonlinearLattice):
            return [layer.frequency, layer.coupling]

        def lossy(values):
            where = lambda n: [*learned(n), n.loss_rate]  # noqa: E731
            return eqx.tree_at(where, lattice, [*values, rate])

        layer = lossy(learned(lattice))
        y, pull_back = jax.vjp(lambda values: lossy(values)(x), learned(lattice))
        y_bar = error(y, labels)
        _, final = rule.forward(layer, x, key=None)
        bar, _ = rule.backward(layer, x, final, y_bar, key=None)
        return learned(bar), pull_back(y_bar)[0]

    rows = []
    for rate in jnp.asarray(rates, x.dtype):
        ours, exact = both(lattice, x, labels, rate)
        lengths = [jnp.linalg.norm(jnp.concatenate(bar)) for bar in (ours, exact)]
        rows.append((cosine_similarity(ours, exact), lengths[0] / lengths[1]))
    cosines, ratios = zip(*rows, strict=True)
    return jnp.asarray(cosines), jnp.asarray(ratios)
