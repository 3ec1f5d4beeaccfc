"""Contract 1: what a physical layer is, and what estimators may ask of it."""

import abc
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
from jaxtyping import Array, Complex, Float, Inexact, PRNGKeyArray, PyTree

Detect = Callable[[Complex[Array, "..."]], PyTree]
"""An instrument at the tunable elements: local complex fields in, readings out."""


class Facts(NamedTuple):
    """What is physically true of a layer, whatever its parameters are.

    An estimator reads these to decide whether it is exact, biased or meaningless there.
    """

    linear: bool = False
    """The output is linear in the input."""
    reciprocal: bool = False
    """Sent backwards, the layer applies the transposed matrix."""
    lossless: bool = False
    """The output carries the power of the input: the matrix is unitary."""
    time_reversible: bool = False
    """Reversing the final state and running again retraces the evolution."""
    symmetric: bool = False
    """What follows the tunable elements is its own transpose, as free space is."""
    phase_only: bool = False
    """The tunable elements are phase shifters, and nothing else is tunable."""
    holomorphic: bool = False
    """Its energy is analytic in the state, which follows complex nudges."""
    conservative: bool = False
    """Its forces are the slope of an energy: nudges and responses are symmetric."""
    smooth: bool = False
    """Its settled state moves in proportion to a small force, as no spin does."""
    accessible: bool = False
    """Each of its tunable elements sees what is known at a port: a mode that has one of
    its own, a memory cell whose lines and converters change nothing on the way."""
    sinusoidal: bool = False
    """In each tunable parameter, and in each input unless it is linear in these, the
    output is a sinusoid of one period per turn: it enters as one phase, once."""


class AbstractLayer(eqx.Module):
    """Physics that maps a signal to a signal.

    A layer acts on trailing axes and broadcasts over any leading ones. `key=None` is
    noiseless and deterministic; with a key, the noise that the layer declares is drawn.
    Trainable parameters are inexact array leaves; anything else that must be an array
    is wrapped in `Frozen`.
    """

    facts: eqx.AbstractVar[Facts]

    @abc.abstractmethod
    def __call__(
        self,
        x: Inexact[Array, "..."],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Inexact[Array, "..."]:
        """The response to `x`."""


class AbstractBoundedLayer(AbstractLayer):
    """A layer whose parameters have a physical range."""

    @abc.abstractmethod
    def project(self) -> "AbstractBoundedLayer":
        """The nearest layer that can be built; applied after each update."""


class AbstractReciprocalLayer(AbstractLayer):
    r"""Linear optics with phase shifters at which the local field can be measured.

    With $U$ the transmission matrix, `transmit` is $Ux$ and `transmit_back` is
    $U^\top y$: light sent into the outputs. Both call `detect` on the fields just after
    (in the forward sense) the phase shifters, as `"*batch elements"` arrays, once a
    plane, and return its readings stacked over the planes.
    """

    example_ndim: ClassVar[int] = 1
    """How many trailing axes are one example."""

    @abc.abstractmethod
    def transmit(
        self, field: Complex[Array, "..."], detect: Detect
    ) -> tuple[Complex[Array, "..."], PyTree]:
        """Send light forwards: the outgoing field, and the readings on the way."""

    @abc.abstractmethod
    def transmit_back(
        self, field: Complex[Array, "..."], detect: Detect
    ) -> tuple[Complex[Array, "..."], PyTree]:
        """Send light backwards: what leaves the inputs, and the readings on the way."""

    @abc.abstractmethod
    def cotangent(
        self, overlap: PyTree[Complex[Array, "..."]]
    ) -> "AbstractReciprocalLayer":
        r"""The parameters' cotangent from $\sum a\,d$ at each element.

        `overlap` has the structure of the readings; $a$ is the forward field, $d$ the
        backward one. A phase receives $-\operatorname{Im}\sum a\,d$.
        """


class AbstractTransposableLayer(AbstractBoundedLayer):
    r"""A matrix of analog memory cells, driven and read from either side.

    $y = Wx$, $W_{ji} = \sum_k c_k\,g_{kji}$ plus a constant. An error sent into the
    outputs arrives as $W^\top\bar y$, and what meets at a cell, $\bar y_j x_i$, changes
    it where it is.
    """

    conductance: eqx.AbstractVar[Float[Array, "devices outputs inputs"]]
    """The state of each cell, in the layer's unit; trained."""
    traffic: eqx.AbstractVar[Float[Array, "devices outputs inputs"] | None]
    r"""Zeros, and no physics: its cotangent is $\sum|c_k|\,|\bar y_j|\,|x_i|$ over the
    batch, where that of `conductance` is $\sum c_k\,\bar y_j\,x_i$. Half the sum and
    half the difference of the two are what a pulsed update sends up and down."""

    @abc.abstractmethod
    def read_back(
        self, y_bar: Float[Array, "*batch outputs"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "*batch inputs"]:
        """What arrives at the inputs of an error that drives the outputs."""

    @abc.abstractmethod
    def outer_product(
        self, x: Float[Array, "*batch inputs"], y_bar: Float[Array, "*batch outputs"]
    ) -> "AbstractTransposableLayer":
        """The parameters' cotangent, `traffic` included where it is there."""


class AbstractSymmetricLayer(AbstractLayer):
    r"""Light through one plane of tunable elements, then a fixed symmetric system.

    The matrix is $W\operatorname{diag}(m)$ with $W = W^\top$: free space, a lens, an
    even kernel. An error can then be sent *forwards* through the same system.
    """

    example_ndim: ClassVar[int] = 1
    """How many trailing axes are one example."""

    @abc.abstractmethod
    def modulate(self, field: Complex[Array, "..."]) -> Complex[Array, "..."]:
        """The field just after the tunable elements."""

    @abc.abstractmethod
    def propagate(self, field: Complex[Array, "..."]) -> Complex[Array, "..."]:
        """The fixed symmetric system $W$, without the elements."""

    @abc.abstractmethod
    def cotangent(
        self, overlap: PyTree[Complex[Array, "..."]]
    ) -> "AbstractSymmetricLayer":
        r"""The parameters' cotangent from $\sum a\,d$ at each element."""


class AbstractPumpProbeLayer(AbstractLayer):
    """A nonlinear medium that a weak counter-propagating probe can read out."""

    @abc.abstractmethod
    def probe(
        self, pump: Inexact[Array, "..."], probe: Inexact[Array, "..."]
    ) -> Inexact[Array, "..."]:
        """The weak `probe` after the medium that the strong `pump` has saturated."""


class AbstractEquilibriumLayer(AbstractLayer):
    r"""A system that settles into a steady state, from which its output is read.

    The state is a pytree of `"*batch ..."` arrays and the output is `"*batch outputs"`:
    one row is one example, whose elements all belong to one physical system.
    """

    @abc.abstractmethod
    def initial_state(
        self, x: Float[Array, "..."], *, key: PRNGKeyArray | None = None
    ) -> PyTree[Array]:
        """Where the free relaxation begins; what the relaxations draw is in the state.

        With a key, the start and the noise on the way are drawn from it.
        """

    @abc.abstractmethod
    def relax(
        self,
        state: PyTree[Array],
        x: Float[Array, "..."],
        nudge: Inexact[Array, "..."] | None,
    ) -> PyTree[Array]:
        r"""Settle from `state` under the force $-\sum_i n_i\,\partial y_i/\partial s$.

        `nudge` is $n$, of the shape of the output; a complex one makes a complex state.
        `None` is the free phase.
        """

    @abc.abstractmethod
    def readout(self, state: PyTree[Array]) -> Inexact[Array, "..."]:
        """What the output sensors show."""

    @abc.abstractmethod
    def residual(self, state: PyTree[Array], x: Float[Array, "..."]) -> PyTree[Array]:
        r"""The net force on each element of the state: zero where it has settled.

        Where the layer has an energy, this is $F = -\partial E/\partial s$; where
        the state has bounds, what they leave of it: $\operatorname{clip}(s + F) - s$.
        """


class AbstractEnergyLayer(AbstractEquilibriumLayer):
    """A system that settles where its energy is least; a nudge adds `sum(n * y)`."""

    @abc.abstractmethod
    def energy(
        self, state: PyTree[Array], x: Float[Array, "..."]
    ) -> Inexact[Array, "..."]:
        """The energy of each example (J, or dimensionless where the layer says so)."""


class AbstractClampableLayer(AbstractEnergyLayer):
    """An energy layer whose outputs can be held at given values."""

    @abc.abstractmethod
    def relax_clamped(
        self,
        state: PyTree[Array],
        x: Float[Array, "..."],
        output: Float[Array, "..."],
    ) -> PyTree[Array]:
        """Settle from `state` while the sensors are held at `output`."""


class AbstractWrapper(AbstractLayer):
    """A layer whose parameters first pass through something: an imperfection, a bound.

    What a wrapper realizes has the capabilities of what it wraps, so `Physical` runs
    its estimator on the realized layer and sends the cotangent back through `realize`.
    """

    layer: eqx.AbstractVar[AbstractLayer]

    @abc.abstractmethod
    def realize(self, key: PRNGKeyArray | None) -> AbstractLayer:
        """The layer with the parameters that the physical system really has."""


def respond(layer: Any, x: Array, key: PRNGKeyArray | None) -> Array:
    """`layer(x)`, for any leading axes of `x`, also where `layer` is not ours.

    An `eqx.nn.Sequential` is run layer by layer. Any other foreign module is taken to
    act on the last axis and is vmapped over the others.
    """
    if isinstance(layer, AbstractLayer):
        return layer(x, key=key)
    if isinstance(layer, eqx.nn.Sequential):
        count = len(layer.layers)
        keys = [None] * count if key is None else jax.random.split(key, count)
        for inner, own in zip(layer.layers, keys, strict=True):
            x = respond(inner, x, own)
        return x
    rows = x.reshape(-1, x.shape[-1])
    if key is None:
        y = jax.vmap(layer)(rows)
    else:
        y = jax.vmap(lambda row, own: layer(row, key=own))(
            rows, jax.random.split(key, rows.shape[0])
        )
    return y.reshape(*x.shape[:-1], *y.shape[1:])


def output_size(layer: Any, x: Any) -> int:
    """How many real numbers one response to `x` is; a complex one counts two."""
    y = eqx.filter_eval_shape(respond, layer, x, None)
    return y.size * (1 + jax.numpy.issubdtype(y.dtype, jax.numpy.complexfloating))
