"""Resistance of the lines of a crossbar: every node's voltage, solved for."""

from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float


class LineResistance(eqx.Module):
    r"""What the lines of an array, its drivers and its sensors resist (ohm).

    Row line $i$ is driven beside column 0, through `source`; column line $j$ is sensed
    at ground behind the last row, through `sense`. A segment of row line, `word`, lies
    before each cell, and one of column line, `bit`, behind each:

    $$\frac{u_{i,j-1} - u_{ij}}{r_w} - \frac{u_{ij} - u_{i,j+1}}{r_w}
    = g_{ij}\,(u_{ij} - v_{ij})
    = \frac{v_{ij} - v_{i+1,j}}{r_b} - \frac{v_{i-1,j} - v_{ij}}{r_b}$$
    """

    word: float = eqx.field(static=True, default=1.0)
    bit: float = eqx.field(static=True, default=1.0)
    source: float = eqx.field(static=True, default=0.0)
    sense: float = eqx.field(static=True, default=0.0)

    def __check_init__(self):
        for name in ("word", "bit", "source", "sense"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(
                    f"`{name}` is a resistance in ohm, such as 1.0, not "
                    f"{getattr(self, name)}."
                )


class Sources(NamedTuple):
    """What drives an array: two terminals a cell's lines, and currents into nodes."""

    rows: Float[Array, "batch rows"]  # V, behind the drivers
    columns: Float[Array, "batch columns"]  # V, behind the sensors
    into_rows: Float[Array, "batch rows columns"]  # A
    into_columns: Float[Array, "batch rows columns"]  # A


class Response(NamedTuple):
    """What an array does: currents out at its terminals, and voltages of its nodes."""

    rows: Float[Array, "batch rows"]  # A
    columns: Float[Array, "batch columns"]  # A
    on_rows: Float[Array, "batch rows columns"]  # V
    on_columns: Float[Array, "batch rows columns"]  # V


def column_currents(
    conductance: Float[Array, "rows columns"],  # S
    voltage: Float[Array, "*batch rows"],  # V
    lines: LineResistance,
) -> Float[Array, "*batch columns"]:  # A
    r"""What grounded columns sense while `voltage` drives the rows.

    Each line alone is a ladder, which a recursion of continued fractions solves:
    factored once, for any number of inputs. What the two sets of lines send each other
    through the cells is found by conjugate gradients, with the ladders as
    preconditioner: the condition number is $1/(1 - \rho)$, with $\rho$ the share of a
    wave along the lines that comes back through both: 0.3 for 256 x 256 cells of 20
    kilohm and 1 ohm a segment, where nine steps end in rounding. More inputs than the
    array has rows or columns go through its matrix, found by as many reads.

    Both ways of derivatives are reads of the same array: sent into the columns, an
    error makes voltages $\tilde u, \tilde v$, and $\bar g = -(u - v)(\tilde u - \tilde
    v)$.

    **Error:** rounding. Nothing cancels as the resistances go to zero, which they may
    be.
    """
    flat = voltage.reshape(-1, voltage.shape[-1])
    if len(flat) > min(conductance.shape):
        found = flat @ transfer(conductance, lines)
    else:
        found = drive_rows(conductance, flat, lines).columns
    return found.reshape(*voltage.shape[:-1], -1)


def row_currents(
    conductance: Float[Array, "rows columns"],  # S
    voltage: Float[Array, "*batch columns"],  # V
    lines: LineResistance,
) -> Float[Array, "*batch rows"]:  # A
    """What grounded rows sense while `voltage` drives the columns, where they end."""
    flat = voltage.reshape(-1, voltage.shape[-1])
    if len(flat) > min(conductance.shape):
        found = flat @ transfer(conductance, lines).T
    else:
        sources = _silent(conductance, len(flat))._replace(columns=flat)
        found = response(lines, conductance, sources).rows
    return found.reshape(*voltage.shape[:-1], -1)


def transfer(
    conductance: Float[Array, "rows columns"],  # S
    lines: LineResistance,
) -> Float[Array, "rows columns"]:  # S
    """The current that each column senses for a volt at each row alone."""
    rows, columns = conductance.shape
    silent = _silent(conductance, min(rows, columns))
    if rows <= columns:
        sources = silent._replace(rows=jnp.eye(rows, dtype=conductance.dtype))
        return response(lines, conductance, sources).columns
    sources = silent._replace(columns=jnp.eye(columns, dtype=conductance.dtype))
    return response(lines, conductance, sources).rows.T


def drive_rows(
    conductance: Float[Array, "rows columns"],  # S
    voltage: Float[Array, "batch rows"],  # V
    lines: LineResistance,
) -> Response:
    """Currents and all voltages, while `voltage` drives the rows."""
    sources = _silent(conductance, len(voltage))._replace(rows=voltage)
    return response(lines, conductance, sources)


def response(
    lines: LineResistance,
    conductance: Float[Array, "rows columns"],  # S
    sources: Sources,
) -> Response:
    """A linear map of the sources, and a symmetric one: reciprocity."""
    return _response(lines, conductance, sources)


def _in_parts(lines: LineResistance, conductance: Array, sources: Sources) -> Response:
    batch, together = len(sources.rows), max(1, _AT_ONCE // conductance.size)
    if batch <= together:
        return _solve(lines, conductance, sources)
    parts = -(-batch // together)

    def split(values):
        lacking = ((0, parts * together - batch), *((0, 0),) * (values.ndim - 1))
        return jnp.pad(values, lacking).reshape(parts, together, *values.shape[1:])

    def joined(values):
        return values.reshape(-1, *values.shape[2:])[:batch]

    found = lax.map(partial(_solve, lines, conductance), jax.tree.map(split, sources))
    return jax.tree.map(joined, found)


def _forward(lines, conductance, sources):
    found = response(lines, conductance, sources)
    return found, (conductance, found)


def _backward(lines, saved, bars):
    conductance, found = saved
    back = response(lines, conductance, Sources(*bars))
    drop = found.on_rows - found.on_columns
    bar = -jnp.sum(drop * (back.on_rows - back.on_columns), 0)
    return bar, Sources(*back)


_response = jax.custom_vjp(_in_parts, nondiff_argnums=(0,))
_response.defvjp(_forward, _backward)


def _solve(lines, conductance, sources):
    rows, columns = conductance.shape
    dtype = conductance.dtype
    # From here on in the order of the distance from the terminals, and with the nodes
    # of a line first: those of a column as "rows batch columns".
    near = conductance[::-1]
    word = _ladder(near.T, _segments(columns, lines.word, lines.source, dtype))
    bit = _ladder(near, _segments(rows, lines.bit, lines.sense, dtype))

    def through(voltage):
        return near[:, None] * voltage

    def on_rows(current, at_terminals):
        out, voltage = _along(word, jnp.swapaxes(current, 0, 2), at_terminals)
        return out, jnp.swapaxes(voltage, 0, 2)

    def on_columns(current, at_terminals):
        return _along(bit, current, at_terminals)

    def ordered(nodes):
        return jnp.swapaxes(nodes, 0, 1)[::-1]

    driven, ends = sources.rows[:, ::-1], sources.columns
    into_rows, into_columns = map(ordered, (sources.into_rows, sources.into_columns))
    _, v = on_columns(into_columns, ends)
    _, u = on_rows(into_rows + through(v), driven)
    u += _conjugate_gradients(
        lambda u: through(on_columns(through(u), jnp.zeros_like(ends))[1]),
        lambda current: on_rows(current, jnp.zeros_like(driven))[1],
        u,
    )
    at_columns, v = on_columns(into_columns + through(u), ends)
    at_rows, _ = on_rows(into_rows + through(v), driven)
    u, v = (jnp.swapaxes(nodes[::-1], 0, 1) for nodes in (u, v))
    return Response(at_rows[:, ::-1], at_columns, u, v)


class _Ladder(NamedTuple):
    """A set of lines, by their nodes from the terminal on: "nodes lines"."""

    admittance: Array
    """From each node outwards, its cell included (S)."""
    passed: Array
    """The share of a voltage that passes the segment before each node."""
    segment: Array
    """The resistance before each node (ohm): " nodes"."""


def _segments(count, each, first, dtype):
    found = np.full(count, each)
    found[0] += first
    return jnp.asarray(found, dtype)


def _ladder(conductance, segment):
    def inwards(beyond, node):
        cell, resistance = node
        admittance = cell + beyond
        passed = 1 / (1 + resistance * admittance)
        return passed * admittance, (admittance, passed)

    end = jnp.zeros_like(conductance[0])
    _, found = lax.scan(inwards, end, (conductance, segment), reverse=True)
    return _Ladder(*found, segment)


def _along(ladder, current, voltage):
    """Out at the terminals, and at the nodes, of currents into nodes and voltages.

    The current is "nodes batch lines", the voltage behind the terminals "batch lines".
    """

    def inwards(beyond, node):
        current, passed = node
        total = current + beyond
        return passed * total, total

    def outwards(before, node):
        total, passed, resistance = node
        here = passed * (before + resistance * total)
        return here, here

    passed = ladder.passed[:, None]
    end = jnp.zeros_like(voltage)
    out, total = lax.scan(inwards, end, (current, passed), reverse=True)
    _, found = lax.scan(outwards, voltage, (total, passed, ladder.segment))
    return out - (passed * ladder.admittance[:, None])[0] * voltage, found


def _conjugate_gradients(coupling, precondition, start):
    r"""$x$ of $(P - C)(s + x) = P s$: `coupling` $C$, `precondition` $P^{-1}$.

    Nodes are on the first and last axis; each example of the middle one has its own
    steps. $P$ itself, infinite without resistance, is never applied.
    """

    def dot(a, b):
        return jnp.sum(a * b, (0, 2), keepdims=True)

    def unfinished(state):
        *_, power, steps = state
        return jnp.any(power > tolerance) & (steps < longest)

    def step(state):
        x, residual, direction, image, power, steps = state
        pushed = image - coupling(direction)
        length = _ratio(power, dot(direction, pushed))
        x += length * direction
        residual -= length * pushed
        better = precondition(residual)
        fresh = dot(residual, better)
        turn = _ratio(fresh, power)
        direction, image = better + turn * direction, residual + turn * image
        return x, residual, direction, image, fresh, steps + 1

    residual = coupling(start)
    direction = precondition(residual)
    power = dot(residual, direction)
    tolerance = jnp.finfo(start.dtype).eps ** 2 * power
    longest = 20 * (start.shape[0] + start.shape[2])
    state = jnp.zeros_like(start), residual, direction, residual, power, 0
    x, _, _, _, power, _ = lax.while_loop(unfinished, step, state)
    return eqx.error_if(
        x,
        jnp.any(jnp.abs(power) > jnp.abs(tolerance)),
        f"The voltages on the lines were not found in {longest} steps: no conductance "
        "may be negative, as one with noise added to it can be.",
    )


def _ratio(a, b):
    return jnp.where(b > 0, a / jnp.where(b > 0, b, 1), 0)


def _silent(conductance, batch):
    nothing = jnp.zeros((batch, *conductance.shape), conductance.dtype)
    return Sources(nothing[:, :, 0], nothing[:, 0], nothing, nothing)


_AT_ONCE = 2**16
"""Nodes of a line set that stay in a core's cache while they are solved for."""
