r"""The operating point of a circuit: Newton's method, diodes and clamps included.

With the unknown voltages $u$ it minimizes
$\tfrac12 u^\top K u - b^\top u + \sum_d w_d\,\phi_d(C_d u + h_d)$ under $A u \le c$,
where $\phi$ is the co-content of the exponential diodes and each row of $A$ an ideal
diode, or a sensor that is held ($A u = c$).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Inexact

from ._diode import shockley_current
from ._elimination import (
    apply_matrix,
    eliminated,
    solve,
    solve_by_factor,
    solve_columns,
)

LARGEST_CURRENT = 1e4
"""That a junction carries (A)."""


class OperatingPoint(NamedTuple):
    """What settles."""

    voltage: Inexact[Array, "*batch unknowns"]  # V
    """Of the nodes that no source holds."""
    current: Inexact[Array, "*batch constraints"]  # A, times the weight of the stage
    """Through the ideal diodes; then what holds the sensors that are held."""


class Junctions(NamedTuple):
    """The exponential diodes."""

    across: Float[Array, "junctions unknowns"]
    offset: Float[Array, "*#batch junctions"]  # V, due to the sources
    weight: Float[Array, " junctions"]
    saturation_current: Float[Array, " junctions"]  # A
    slope_voltage: Float[Array, " junctions"]  # V


class System(NamedTuple):
    """What is to be minimized, in the symbols of this file's first lines."""

    matrix: Float[Array, "unknowns unknowns"]  # S
    force: Inexact[Array, "*batch unknowns"]  # A
    junctions: Junctions
    rows: Float[Array, "constraints unknowns"]
    limit: Float[Array, "*#batch constraints"]  # V
    held: np.ndarray
    """Which constraints are equalities."""
    touched: np.ndarray
    """Which unknowns a junction or a constraint depends on."""


def net_current(system: System, point: OperatingPoint) -> OperatingPoint:
    r"""The net current into each unknown node, and how each constraint is violated.

    For an ideal diode that is the lesser of the voltage that it blocks and
    $1\,\Omega$ times its current: zero both where it conducts and where it blocks.
    """
    u, flow = point
    linear = (
        system.force
        - apply_matrix(system.matrix, u)
        - apply_matrix(system.rows.T, flow)
    )
    junctions = system.junctions
    v = junction_voltage(junctions, u)
    weight, *law = (_like(a, v) for a in junctions[2:])
    i = weight * shockley_current(v, *law)
    blocked = _like(system.limit, u) - apply_matrix(system.rows, u)
    if not system.held.all():
        held = jnp.broadcast_to(system.held, blocked.shape)
        blocked = jnp.where(held, blocked, jnp.minimum(blocked, flow))
    return OperatingPoint(linear - apply_matrix(junctions.across.T, i), blocked)


def junction_voltage(
    junctions: Junctions,
    voltage: Inexact[Array, "*batch unknowns"],  # V
) -> Inexact[Array, "*batch junctions"]:  # V
    """Across each exponential diode."""
    v = apply_matrix(junctions.across, voltage)
    return v + _like(junctions.offset, v)


def settle(system: System, start: OperatingPoint, max_steps: int) -> OperatingPoint:
    """The operating point, differentiable in the system; `start` is where to begin.

    One factorization serves the whole batch where there are no junctions.

    **Raises:** at run time, if there is none, or if it was not found.
    **Error:** rounding; it is found to about the root of the machine precision and then
    takes one more of Newton's steps, which converge quadratically.
    """
    if system.rows.shape[0] == 0 and system.junctions.across.shape[0] == 0:
        point = OperatingPoint(solve(system.matrix, system.force), start.current)
    else:
        dtype = system.force.dtype
        start = jax.tree.map(lambda a: lax.stop_gradient(a).astype(dtype), start)
        point = lax.custom_root(
            partial(net_current, system),
            start,
            lambda _, start: _newton(system, start, max_steps),
            _solve_linearized,
        )
    lost = jnp.isfinite(system.force).all() & ~jnp.isfinite(point.voltage).all()
    voltage = eqx.error_if(
        point.voltage,
        lost,
        "Kirchhoff's equations have no unique solution: a conductance is negative, or "
        "all those that lead from some node to the sources are zero. Raise `low`, or "
        "`project` after each update.",
    )
    return OperatingPoint(voltage, point.current)


def _newton(system: System, start: OperatingPoint, max_steps: int) -> OperatingPoint:
    """Newton's method, each step as long as lowers the convex co-content most."""
    if system.junctions.across.shape[0] == 0:
        return _constrained(system, system.matrix, system.force)
    if not system.touched.all():
        inner, restored = _between_valves(system)
        voltage = start.voltage[..., system.touched]
        point = _newton(inner, start._replace(voltage=voltage), max_steps)
        return point._replace(voltage=restored(point.voltage))
    if jnp.iscomplexobj(system.force):
        real = system._replace(force=system.force.real)
        start = jax.tree.map(jnp.real, start)
        begin = _newton(real, start, max_steps)
        begin = jax.tree.map(lambda a: a.astype(system.force.dtype), begin)
        return _newton_steps(system, begin, max_steps, _whole_step)
    return _newton_steps(system, start, max_steps, _best_step)


def _between_valves(system: System) -> tuple[System, Callable]:
    """The same circuit between the nodes of diodes and clamps, and the way back."""
    touched, junctions = system.touched, system.junctions
    matrix, force, restored = eliminated(system.matrix, system.force, ~touched)
    inner = system._replace(
        matrix=matrix,
        force=force,
        junctions=junctions._replace(across=junctions.across[:, touched]),
        rows=system.rows[:, touched],
        touched=touched[touched],
    )
    return inner, restored


def _newton_steps(
    system: System, start: OperatingPoint, max_steps: int, choose: Callable
) -> OperatingPoint:
    junctions = system.junctions
    tolerance = 8 * float(jnp.finfo(start.voltage.dtype).eps) ** 0.5

    def step(carry):
        point, _, count = carry
        v = junction_voltage(junctions, point.voltage)
        wanted = _linearized(system, v)
        change = junction_voltage(junctions, wanted.voltage) - v
        change = jnp.abs(change / _like(junctions.slope_voltage, change))
        largest = jnp.max(change, -1)
        # Over half a slope voltage no conductance doubles, so that the whole step goes
        # downhill. The first one leads to where the constraints are met.
        whole = (largest < 0.5) | (count == 0)
        part = choose(system, point, wanted, whole)[..., None]
        new = jax.tree.map(
            lambda a, b: a + part.astype(a.dtype) * (b - a), point, wanted
        )
        # What is lost to NaN never settles: the caller says why.
        return new, ~jnp.any(largest > tolerance), count + 1

    def go_on(carry):
        _, settled, count = carry
        return ~settled & (count < max_steps)

    first = (start, jnp.asarray(False), jnp.asarray(0))
    point, settled, _ = lax.while_loop(go_on, step, first)
    v = junction_voltage(junctions, point.voltage).real
    voltage = eqx.error_if(
        point.voltage,
        ~settled | jnp.any(v > _cap(junctions, v)),
        f"The diodes did not settle within {max_steps} of Newton's steps to currents "
        f"below {LARGEST_CURRENT} A: raise `max_steps`, lower the voltages or currents "
        "of the sources, or put resistors in series with the diodes.",
    )
    return OperatingPoint(voltage, point.current)


def _whole_step(
    system: System, point: OperatingPoint, wanted: OperatingPoint, whole: Array
) -> Float[Array, "..."]:
    return jnp.ones(point.voltage.shape[:-1], point.voltage.real.dtype)


def _best_step(
    system: System, point: OperatingPoint, wanted: OperatingPoint, whole: Array
) -> Float[Array, "..."]:
    """How much of the step to take: to where the co-content is least, within an eighth;
    all of it where `whole`."""
    junctions = system.junctions
    way = wanted.voltage - point.voltage
    slope = apply_matrix(system.matrix, point.voltage) - system.force
    slope = jnp.sum(way * slope, -1)
    rise = jnp.sum(way * apply_matrix(system.matrix, way), -1)
    v = junction_voltage(junctions, point.voltage)
    change = apply_matrix(junctions.across, way)
    weighted = _like(junctions.weight, v) * change

    def uphill(part):
        i = _tangent(junctions, v + part[..., None] * change)[0]
        return slope + part * rise + jnp.sum(weighted * i, -1) > 0

    def halve(limits):
        low, high = limits
        middle = (low + high) / 2
        up = uphill(middle)
        return jnp.where(up, low, middle), jnp.where(up, middle, high)

    def wide(limits):
        low, high = limits
        return jnp.any((high - low > low / 8) & (high > 1e-9))

    one = jnp.ones_like(slope)
    start = jnp.where(whole | ~uphill(one), one, 0 * one), one
    return lax.while_loop(wide, halve, start)[0]


def _linearized(system: System, v: Inexact[Array, "..."]) -> OperatingPoint:
    """The operating point with each junction replaced by its tangent at `v`."""
    junctions = system.junctions
    weight = _like(junctions.weight, v)
    i, g = _tangent(junctions, v)
    across = junctions.across.astype(v.dtype)
    added = jnp.einsum("di,...d,dj->...ij", across, weight * g, across)
    pushed = weight * (i + g * (_like(junctions.offset, v) - v))
    force = system.force - apply_matrix(junctions.across.T, pushed)
    return _constrained(system, _like(system.matrix, added) + added, force)


def _tangent(
    junctions: Junctions, v: Inexact[Array, "..."]
) -> tuple[Inexact[Array, "..."], Inexact[Array, "..."]]:
    """Current and conductance; straight beyond `LARGEST_CURRENT`, against overflow."""
    scale, slope = (_like(a, v) for a in junctions[3:])
    bent = jnp.where(v.real < _cap(junctions, v), v, _cap(junctions, v).astype(v.dtype))
    g = scale / slope * jnp.exp(bent / slope)
    return shockley_current(bent, scale, slope) + g * (v - bent), g


def _cap(junctions: Junctions, v: Inexact[Array, "..."]) -> Float[Array, "..."]:
    scale, slope = junctions[3:]
    return _like(slope * jnp.log1p(LARGEST_CURRENT / scale), v.real)


def _constrained(
    system: System, matrix: Inexact[Array, "..."], force: Inexact[Array, "..."]
) -> OperatingPoint:
    """The operating point of resistors, ideal diodes and clamps."""
    free = solve(matrix, force)
    count = system.rows.shape[0]
    if count == 0:
        return OperatingPoint(free, jnp.zeros((*free.shape[:-1], 0), free.dtype))
    if jnp.iscomplexobj(force):
        raise TypeError(
            "Ideal diodes, and sensors that are held, follow no complex nudge: use a "
            "rule with real ones."
        )
    columns = jnp.broadcast_to(system.rows.T, (*matrix.shape[:-1], count))
    pull = solve_columns(matrix, columns)
    schur = jnp.einsum("ci,...id->...cd", system.rows, pull)
    excess = apply_matrix(system.rows, free) - system.limit
    on, flow = _complementary(schur, excess, system)
    u = free - apply_matrix(pull, flow)
    for _ in range(2):  # of refinement, since a clamp may take back a large excess
        rest = force - apply_matrix(matrix, u) - apply_matrix(system.rows.T, flow)
        u = u + solve(matrix, rest)
        excess = apply_matrix(system.rows, u) - system.limit
        more = _solve_active(schur, excess, on)
        u, flow = u - apply_matrix(pull, more), flow + more
    return OperatingPoint(u, flow)


def _complementary(
    schur: Float[Array, "..."], excess: Float[Array, "..."], system: System
) -> tuple[Bool[Array, "..."], Float[Array, "..."]]:
    r"""$\lambda \ge 0$ with $S\lambda \ge q$, one of the two an equality.

    **Returns:** where $\lambda$ flows, and $\lambda$.

    Block principal pivoting: all wrong guesses are flipped at once as long as there
    come to be fewer, and the last one alone where not, which always ends.

    **Source:** Júdice & Pires, *Computers & Operations Research* 21, 587 (1994),
    doi:10.1016/0305-0548(94)90106-6.
    """
    count, held = excess.shape[-1], jnp.broadcast_to(system.held, excess.shape)
    eps = float(jnp.finfo(excess.dtype).eps)
    scale = jnp.max(jnp.abs(excess), -1, keepdims=True) + jnp.max(
        jnp.abs(system.limit), -1, keepdims=True
    )
    slack = 200 * eps * scale
    size = jnp.max(jnp.diagonal(schur, axis1=-2, axis2=-1), -1, keepdims=True)
    size = jnp.broadcast_to(size, slack.shape)

    def judge(on):
        flow = _solve_active(schur, excess, on)
        missing = excess - apply_matrix(schur, flow)
        wrong = jnp.where(on, flow * size < -slack, missing > slack) & ~held
        return flow, missing, wrong

    def step(carry):
        on, (_, _, wrong), fewest, patience, steps = carry
        number = jnp.sum(wrong, -1, keepdims=True)
        better = number < fewest
        last = jnp.broadcast_to(jnp.arange(count), wrong.shape) == _last(wrong)
        flip = jnp.where(better | (patience > 0), wrong, wrong & last)
        patience = jnp.where(better, 3, patience - 1)
        on = on ^ flip
        return on, judge(on), jnp.minimum(number, fewest), patience, steps + 1

    def go_on(carry):
        return jnp.any(carry[1][2]) & (carry[4] < 100 + 20 * count)

    on = held | (excess > 0)
    fewest = jnp.full((*excess.shape[:-1], 1), count + 1)
    carry = on, judge(on), fewest, jnp.full_like(fewest, 3), jnp.asarray(0)
    on, (flow, missing, wrong), *_ = lax.while_loop(go_on, step, carry)
    stuck = jnp.any(wrong) | jnp.any(on & (jnp.abs(missing) > 1e4 * slack))
    flow = eqx.error_if(
        flow,
        stuck,
        "Ideal diodes, or sensors that are held, contradict each other or the sources: "
        "put resistors in series with the diodes, raise their `offset`, or hold other "
        "values.",
    )
    return on, flow


def _solve_active(
    schur: Float[Array, "..."],
    excess: Float[Array, "..."],
    on: Bool[Array, "..."],
) -> Float[Array, "..."]:
    """The currents that close exactly the diodes that are `on`.

    The ridge serves diodes in parallel, and is refined away for all others.
    """
    size = jnp.max(jnp.diagonal(schur, axis1=-2, axis2=-1), -1, keepdims=True)
    size = jnp.where(size > 0, size, 1)  # 0 Ω: a diode right between two sources
    ridge = 1e3 * float(jnp.finfo(excess.dtype).eps) * _like(size, excess)
    both = on[..., :, None] & on[..., None, :]
    diagonal = jnp.where(on, ridge, 1)
    eye = jnp.eye(on.shape[-1], dtype=excess.dtype)
    matrix = jnp.where(both, jnp.broadcast_to(schur, both.shape), 0)
    wanted = jnp.where(on, excess, 0)
    factor = jnp.linalg.cholesky(matrix + diagonal[..., None] * _like(eye, both))
    flow = jnp.zeros_like(wanted)
    for _ in range(3):
        rest = wanted - apply_matrix(matrix, flow)
        flow = flow + solve_by_factor(factor, rest[..., None])[..., 0]
    return jnp.where(on, flow, 0)


def _last(wrong: Bool[Array, "..."]) -> Array:
    count = wrong.shape[-1]
    return count - 1 - jnp.argmax(wrong[..., ::-1], -1, keepdims=True)


def _solve_linearized(function: Any, rest: OperatingPoint) -> OperatingPoint:
    """Solve `function(point) = rest`, linear and of each example by itself."""
    sizes = rest.voltage.shape[-1]
    flat = jnp.concatenate(rest, -1)

    def column(unit):
        whole = jnp.broadcast_to(unit, flat.shape)
        image = function(OperatingPoint(whole[..., :sizes], whole[..., sizes:]))
        return jnp.concatenate(image, -1)

    basis = jnp.eye(flat.shape[-1], dtype=flat.dtype)
    matrix = jax.vmap(column, out_axes=-1)(basis)
    solved = jnp.linalg.solve(matrix, flat[..., None])[..., 0]
    return OperatingPoint(solved[..., :sizes], solved[..., sizes:])


def _like(values: Array, other: Array) -> Array:
    """With leading axes for those of `other`, and complex where it is."""
    dtype = other.dtype if jnp.iscomplexobj(other) else values.dtype
    return values.astype(dtype)[(None,) * (other.ndim - values.ndim)]
