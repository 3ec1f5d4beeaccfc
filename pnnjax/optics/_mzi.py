"""One Mach-Zehnder interferometer: two splitters and two phase shifters."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, PRNGKeyArray

from .._fast_angles import cos_sin

HALF_HALF = np.pi / 4
"""The splitter angle (rad) that divides the power evenly."""


def mzi(
    theta: Float[Array, "*shape"],  # rad, between the splitters
    phi: Float[Array, "*shape"],  # rad, before the first splitter
    first: Float[Array, "*shape"],  # rad, splitter angle
    second: Float[Array, "*shape"],  # rad, splitter angle
) -> tuple[Complex[Array, "*shape"], ...]:
    r"""The entries $T_{11}, T_{12}, T_{21}, T_{22}$ of the transmission matrix

    $$T = S(a_2)\begin{pmatrix} e^{i\theta} & 0 \\ 0 & 1 \end{pmatrix}
    S(a_1)\begin{pmatrix} e^{i\varphi} & 0 \\ 0 & 1 \end{pmatrix}, \qquad
    S(a) = \begin{pmatrix} \cos a & i \sin a \\ i \sin a & \cos a \end{pmatrix},$$

    both shifters on the upper arm. With even splitters, $a = \pi/4$, a power
    $\sin^2(\theta/2)$ stays in its waveguide (bar) and $\cos^2(\theta/2)$ crosses.

    **Source:** Clements et al., *Optica* 3, 1460 (2016),
    doi:10.1364/OPTICA.3.001460, with the splitters written out.
    """
    # Without the barrier, XLA takes each sine anew for each entry.
    waves = map(cos_sin, (theta, phi, first, second))
    (ar, ai), (pr, pi), (c1, s1), (c2, s2) = jax.lax.optimization_barrier(tuple(waves))
    bar_real, bar_imag = ar * (c1 * c2) - s1 * s2, ai * (c1 * c2)
    cross_real, cross_imag = -ai * (c1 * s2), ar * (c1 * s2) + s1 * c2
    return (
        jax.lax.complex(pr * bar_real - pi * bar_imag, pr * bar_imag + pi * bar_real),
        jax.lax.complex(-ai * (s1 * c2), ar * (s1 * c2) + c1 * s2),
        jax.lax.complex(
            pr * cross_real - pi * cross_imag, pr * cross_imag + pi * cross_real
        ),
        jax.lax.complex(c1 * c2 - ar * (s1 * s2), -ai * (s1 * s2)),
    )


def unit(angle: Float[Array, "*shape"]) -> Complex[Array, "*shape"]:
    r"""$e^{i\,\mathrm{angle}}$."""
    return jax.lax.complex(*cos_sin(angle))


def haar_theta(
    key: PRNGKeyArray,
    rank: Float[Array, "*shape"],
) -> Float[Array, "*shape"]:
    r"""Draw $\theta$ (rad) as it is in a Haar-random unitary matrix.

    An interferometer that joins `rank` modes' worth of light with one more mode
    has $\cos^2(\theta/2)$ distributed with density $k\,x^{k-1}$, $k$ the rank; all
    are independent.

    **Source:** Russell et al., *New J. Phys.* 19, 033007 (2017),
    doi:10.1088/1367-2630/aa60ed.
    """
    uniform = jax.random.uniform(key, rank.shape, rank.dtype)
    return 2 * jnp.arccos(jnp.sqrt(uniform ** (1 / rank)))
