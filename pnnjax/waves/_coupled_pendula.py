"""Coupled pendula that swing from angles to angles."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from .._fast_angles import cos_sin
from .._layer import AbstractLayer, Facts

COARSEST = 1.2
"""Radians of the fastest swing in a step: 1.7 % of its amplitude is then lost in one.
Beyond 2.8, the steps are unstable."""
DOUBLINGS = 12
POWER_STEPS = 12


def pendulum_stiffness(coupling: Float[Array, "n n"]) -> Float[Array, "n n"]:
    r"""$K = 1 + \operatorname{diag}(\sum_j J_{ij}) - J$, of which the sine is pulled.

    **Arguments:** `coupling`: $J$, symmetric, without a diagonal.
    """
    return jnp.diag(1 + jnp.sum(coupling, axis=-1)) - coupling


def swing(
    angle: Float[Array, "*batch n"],  # rad
    velocity: Float[Array, "*batch n"],  # rad per unit of time
    stiffness: Float[Array, "n n"],
    drive: Float[Array, " n"],
    *,
    duration: float,
    steps: int,
    nonlinearity: float = 0.0,
) -> tuple[Float[Array, "steps *batch n"], Float[Array, "steps *batch n"]]:
    r"""Angles and velocities after each step of $\ddot q = e - K\sin((1 + \eta)q)$.

    The unit of time is $\sqrt{l/g}$: a single pendulum has the frequency 1.

    **Arguments:** `stiffness`: $K$; `drive`: $e$; `nonlinearity`: $\eta$.
    **Error:** of order 4 in the step (the classical Runge–Kutta method).
    """
    step = duration / steps

    def acceleration(angle):
        return drive_ - cos_sin((1 + nonlinearity) * angle)[1] @ stiffness

    def advance(state, _):
        angle, velocity = state
        first = acceleration(angle)
        middle = angle + step / 2 * velocity
        second = acceleration(middle)
        third = acceleration(middle + step**2 / 4 * first)
        last = acceleration(angle + step * velocity + step**2 / 2 * second)
        angle = angle + step * velocity + step**2 / 6 * (first + second + third)
        velocity = velocity + step / 6 * (first + 2 * second + 2 * third + last)
        return (angle, velocity), (angle, velocity)

    drive_ = jnp.broadcast_to(drive, angle.shape)
    return lax.scan(advance, (angle, velocity), length=steps)[1]


def pendulum_energy(
    angle: Float[Array, "*batch n"],  # rad
    velocity: Float[Array, "*batch n"],  # rad per unit of time
    stiffness: Float[Array, "n n"],
    drive: Float[Array, " n"],
    nonlinearity: float = 0.0,
) -> Float[Array, "*batch"]:
    r"""What swinging conserves, for an invertible $K$ (dimensionless).

    $$E = \tfrac12\dot q^\top K^{-1}\dot q
          + \sum_i\frac{1 - \cos((1 + \eta)q_i)}{1 + \eta} - e^\top K^{-1}q$$

    The forces are not the slope of an energy of unit masses, since
    $\partial\ddot q_i/\partial q_j = J_{ij}\cos q_j$ is not symmetric. They are those
    of pendula with the mass matrix $K^{-1}$: gravity is each one's own, and inertia
    couples them.
    """
    mass = jnp.linalg.inv(stiffness)
    scale = 1 + nonlinearity
    kinetic = 0.5 * velocity * (velocity @ mass)
    height = (1 - jnp.cos(scale * angle)) / scale
    return jnp.sum(kinetic + height, axis=-1) - angle @ (mass @ drive)


class CoupledPendula(AbstractLayer):
    r"""Pendula let go at the input's angles, read a little later.

    $$\ddot q_i = -\sin q_i + \sum_j J_{ij}(\sin q_j - \sin q_i) + e_i$$

    The first pendula start at $x$, the others hang, all are at rest; the angles of the
    last are the output. The couplings $J$ and the torques $e$ are trained. Only the
    strict upper triangle of `coupling` counts, so that $J$ stays symmetric, whatever an
    optimizer does. All is dimensionless: times in $\sqrt{l/g}$, torques and couplings
    in $mgl$. `pendulum_energy` is conserved. With a key, the starting angles are noisy.

    **Raises:** at run time, for a step that is too coarse, with a number of `steps`
    that would do.
    **Error:** of order 4 in the step.
    **Source:** Wright et al., *Nature* 601, 549 (2022), doi:10.1038/s41586-021-04223-6;
    the authors' Physics-Aware-Training, examples 1 and 2.
    """

    coupling: Float[Array, "n n"]
    drive: Float[Array, " n"]
    inputs: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    steps: int = eqx.field(static=True)
    duration: float
    nonlinearity: float
    noise: float
    facts = Facts()

    def __init__(
        self,
        pendula: int,
        *,
        key: PRNGKeyArray,
        inputs: int | None = None,
        outputs: int | None = None,
        duration: float = 0.5,
        steps: int = 5,
        spread: float = 0.4,
        nonlinearity: float = 0.0,
        noise: float = 0.0,  # rad
    ):
        r"""`pendula`, all coupled to all.

        **Arguments:**

        - `inputs`, `outputs`: how many are set, from the first on, and how many are
            read, up to the last; all of them unless given.
        - `duration`, `steps`: the time they swing for (a small swing takes $2\pi$), and
            the Runge–Kutta steps it is simulated in.
        - `spread`: couplings begin normal, of this standard deviation over the square
            root of `pendula`; torques begin at 0.
        - `nonlinearity`: $\eta$ in $\sin((1 + \eta)q)$, for pendula that are not as
            they should be.
        - `noise`: standard deviation of the starting angles of the inputs.

        **Raises:** `ValueError` for what can't be built.
        """
        inputs = pendula if inputs is None else inputs
        outputs = pendula if outputs is None else outputs
        _check(pendula, inputs, outputs, duration, steps, noise)
        scale = spread / math.sqrt(pendula)
        self.coupling = scale * jax.random.normal(key, (pendula, pendula))
        self.drive = jnp.zeros_like(self.coupling[0])
        self.inputs = inputs
        self.outputs = outputs
        self.steps = steps
        self.duration = duration
        self.nonlinearity = nonlinearity
        self.noise = noise

    def __call__(
        self,
        x: Float[Array, "*batch inputs"],  # rad
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*batch outputs"]:  # rad
        angles, _ = self.motion(x, key=key)
        return angles[-1, ..., -self.outputs :]

    def motion(
        self,
        x: Float[Array, "*batch inputs"],  # rad
        *,
        steps: int | None = None,
        key: PRNGKeyArray | None = None,
    ) -> tuple[Float[Array, "steps *batch n"], Float[Array, "steps *batch n"]]:
        """Angles (rad) and velocities of all pendula after each step.

        **Arguments:** `steps`: as in the constructor; the layer's unless given.
        """
        start, steps = self.start(x, key=key), self.steps if steps is None else steps
        stiffness = followed(self.stiffness(), self.duration, steps, self.nonlinearity)
        return swing(
            start,
            jnp.zeros_like(start),
            stiffness,
            self.drive,
            duration=self.duration,
            steps=steps,
            nonlinearity=self.nonlinearity,
        )

    def start(
        self,
        x: Float[Array, "*batch inputs"],  # rad
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*batch n"]:  # rad
        """Where each pendulum is let go."""
        start = let_go(x, self.inputs, self.drive.shape[0])
        if key is None or self.noise == 0:
            return start
        noise = self.noise * jax.random.normal(key, x.shape, x.dtype)
        return start + let_go(noise, self.inputs, self.drive.shape[0])

    def stiffness(self) -> Float[Array, "n n"]:
        """The matrix $K$ of `swing`."""
        return trained_stiffness(self.coupling)


def let_go(
    x: Float[Array, "*batch inputs"],  # rad
    inputs: int,
    pendula: int,
) -> Float[Array, "*batch n"]:  # rad
    """The first pendula at `x`, the others hanging.

    **Raises:** `ValueError` if `x` does not have one angle for each of the first.
    """
    if x.shape[-1] != inputs:
        raise ValueError(
            f"{inputs} pendula are set by the input, but `x` has {x.shape[-1]} angles: "
            f"its shape is {x.shape}."
        )
    return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, pendula - inputs)])


def trained_stiffness(coupling: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """$K$ by the strict upper triangle of what is trained."""
    upper = jnp.triu(coupling, 1)
    return pendulum_stiffness(upper + upper.T)


def followed(
    stiffness: Float[Array, "n n"],
    duration: float,
    steps: int,
    nonlinearity: float = 0.0,
) -> Float[Array, "n n"]:
    """`stiffness`, if so many steps can follow it.

    **Raises:** at run time, if not, with a number of steps that can.
    """
    step = duration / steps
    turn = fastest(stiffness, nonlinearity) * step
    doublings = jnp.ceil(jnp.log2(turn / COARSEST)).astype(jnp.int32)
    messages = [
        f"A step of {step:.3g} is too coarse for pendula coupled so strongly: with "
        f"`steps={steps * 2**k}` it is {step / 2**k:.3g}, which would do."
        for k in range(1, DOUBLINGS + 1)
    ]
    index = jnp.clip(doublings - 1, 0, DOUBLINGS - 1)
    return eqx.branched_error_if(stiffness, turn > COARSEST, index, messages)


def fastest(
    stiffness: Float[Array, "n n"], nonlinearity: float = 0.0
) -> Float[Array, ""]:  # rad per unit of time
    r"""$\sqrt{(1 + \eta)\,\lVert K\rVert}$: no small swing is faster, or runs away so.

    **Error:** below it by a few percent, as the norm is found by a few powers of $K$.
    """
    matrix = lax.stop_gradient(stiffness)
    odd = jnp.cos(jnp.arange(matrix.shape[0], dtype=matrix.dtype) ** 2)

    def power(vector, _):
        vector = matrix @ vector
        norm = jnp.linalg.norm(vector)
        return vector / norm, norm

    _, norms = lax.scan(power, odd / jnp.linalg.norm(odd), length=POWER_STEPS)
    return jnp.sqrt((1 + nonlinearity) * norms[-1])


def _check(
    pendula: int, inputs: int, outputs: int, duration: float, steps: int, noise: float
) -> None:
    for name, count in (("inputs", inputs), ("outputs", outputs)):
        if not 1 <= count <= pendula:
            raise ValueError(
                f"`{name}` must be from 1 to {pendula}, the number of pendula, but is "
                f"{count}."
            )
    if steps < 1:
        raise ValueError(f"`steps` must be at least 1, but is {steps}.")
    if not 0 < duration < math.inf:
        raise ValueError(f"`duration` must be positive, but is {duration}.")
    if not noise >= 0:
        raise ValueError(f"`noise` can't be negative (rad): {noise}.")
