"""Where the numbers of a training run live, if it has several devices."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from ._checkpoint import describe, on_host

BATCH = "batch"
"""The axis of the devices that share the examples of a batch."""
MODEL = "model"
"""The axis of the devices that share the large arrays of a model."""

Shard = Callable[[str, jax.ShapeDtypeStruct, Mesh], PartitionSpec]
"""How an array is shared, by its name in the model, its shape, and the devices."""


class ShardLarge(NamedTuple):
    """Shares each array of `least` bytes or more over the devices' axis "model".

    It is cut along the last axis that can be cut evenly and is half as long as the
    longest, or longer: the inputs of a crossbar, the interferometers of a column.
    Every device has all of what can't be cut, and of what is smaller.
    """

    least: int = 2**20  # bytes

    def __call__(
        self, name: str, leaf: jax.ShapeDtypeStruct, mesh: Mesh
    ) -> PartitionSpec:
        del name
        parts = mesh.shape.get(MODEL, 1)
        long = max(leaf.shape, default=0) / 2
        even = [a for a, n in enumerate(leaf.shape) if n >= long and n % parts == 0]
        if parts == 1 or leaf.size * leaf.dtype.itemsize < self.least or not even:
            return PartitionSpec()
        return PartitionSpec(*[None] * even[-1], MODEL)


class Placement(NamedTuple):
    """Devices, and what each of them holds.

    An array that an optimizer keeps beside a parameter, such as a moment, lies as that
    parameter does. `held`, `cut` and `everywhere` are for use under `jit`.
    """

    mesh: Mesh
    shard: Shard

    def place(self, tree: PyTree, beside: PyTree = None) -> PyTree:
        """A model's arrays on their devices; or an optimizer's, `beside` a model's."""
        return self._each(self._put, tree, beside)

    def held(self, tree: PyTree, beside: PyTree = None) -> PyTree:
        """The same arrays, where `place` puts such."""
        return self._each(self._constrain, tree, beside)

    def replicate(self, tree: PyTree) -> PyTree:
        """The arrays, whole on each device."""
        return self._alike(self._put, tree, PartitionSpec())

    def everywhere(self, tree: PyTree) -> PyTree:
        """The same arrays, where `replicate` puts them."""
        return self._alike(self._constrain, tree, PartitionSpec())

    def cut(self, tree: PyTree) -> PyTree:
        """Examples, shared along the first axis."""
        shared = PartitionSpec(BATCH) if BATCH in self.mesh.shape else PartitionSpec()
        return self._alike(self._constrain, tree, shared)

    def initial(self, init: Callable[[PyTree], PyTree], model: PyTree) -> PyTree:
        """`init(model)`, of which no device ever has more than its share."""

        @jax.jit
        def made(model: PyTree) -> PyTree:
            return self.held(jax.tree.map(jnp.asarray, init(model)), model)

        return made(model)

    def _alike(self, move: Callable, tree: PyTree, spec: PartitionSpec) -> PyTree:
        return jax.tree.map(
            lambda leaf: move(leaf, spec) if _is_array(leaf) else leaf, tree
        )

    def _each(self, move: Callable, tree: PyTree, beside: PyTree) -> PyTree:
        model = _shapes(beside)

        def moved(path: Any, leaf: Any) -> Any:
            if not _is_array(leaf):
                return leaf
            name = jax.tree_util.keystr(path)
            # A moment has the path of its parameter at the end of its own.
            owners = [own for own in model if name.endswith(own)]
            owner = max(owners, key=len, default=None)
            if owner is not None and model[owner] == leaf.shape:
                name = owner
            return move(leaf, self._spec(name, leaf))

        return jax.tree_util.tree_map_with_path(moved, tree)

    def _spec(self, name: str, leaf: Any) -> PartitionSpec:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return PartitionSpec()
        shape = jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)
        spec = self.shard(name, shape, self.mesh)
        if not isinstance(spec, PartitionSpec):
            raise TypeError(
                f"`shard` must return a `jax.sharding.PartitionSpec`, not {spec!r} "
                f"(for `{name}`)."
            )
        self._check(name, leaf, spec)
        return spec

    def _check(self, name: str, leaf: Any, spec: PartitionSpec) -> None:
        said = f"`shard` returned {spec} for `{name}`, of {describe(leaf)}"
        if len(spec) > leaf.ndim:
            raise ValueError(f"{said}: that is more axes than the array has.")
        for length, axes in zip(leaf.shape, spec):
            names = axes if isinstance(axes, tuple) else (axes,)
            names = [axis for axis in names if axis is not None]
            unknown = [axis for axis in names if axis not in self.mesh.shape]
            if unknown:
                raise ValueError(
                    f"{said}: the mesh has no axis {unknown[0]!r}, only "
                    f"{', '.join(map(repr, self.mesh.axis_names))}."
                )
            parts = int(np.prod([self.mesh.shape[axis] for axis in names], dtype=int))
            if length % parts:
                raise ValueError(
                    f"{said}: {length} can't be cut into {parts} equal parts."
                )

    def _put(self, leaf: Any, spec: PartitionSpec) -> jax.Array:
        sharding = NamedSharding(self.mesh, spec)
        local = not isinstance(leaf, jax.Array) or leaf.is_fully_addressable
        if not local or len(processes_of(self.mesh)) == 1:
            return jax.device_put(leaf, sharding)
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            data = self._put(jax.random.key_data(leaf), PartitionSpec())
            return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
        # Where each process puts its own parts, `device_put` would compare the whole.
        host = on_host(leaf)
        return jax.make_array_from_callback(leaf.shape, sharding, lambda at: host[at])

    def _constrain(self, leaf: Any, spec: PartitionSpec) -> jax.Array:
        return jax.lax.with_sharding_constraint(leaf, NamedSharding(self.mesh, spec))


def placement_of(mesh: Mesh, shard: Shard | None, batch_size: int) -> Placement:
    """What `fit` was asked for.

    **Raises:** `ValueError` or `TypeError` for devices that can't do it.
    """
    if not isinstance(mesh, Mesh):
        raise TypeError(
            f"`mesh` must be a `jax.sharding.Mesh`, not {type(mesh).__name__}: such as "
            '`Mesh(jax.devices(), ("batch",))`.'
        )
    if not set(mesh.axis_names) <= {BATCH, MODEL}:
        named = ", ".join(map(repr, mesh.axis_names))
        raise ValueError(
            f'The axes of `mesh` are {named}; they must be "batch", "model" or both, '
            "as in `Mesh(np.array(jax.devices()).reshape(4, 2), "
            '("batch", "model"))`.'
        )
    parts = mesh.shape.get(BATCH, 1)
    if batch_size % parts:
        below = batch_size // parts * parts
        works = f"{below} or {below + parts}" if below else f"{parts}"
        raise ValueError(
            f"`batch_size` is {batch_size}, which {parts} devices can't share evenly: "
            f"make it {works}."
        )
    processes = processes_of(mesh)
    if jax.process_index() not in processes or (
        1 < len(processes) < jax.process_count()
    ):
        raise ValueError(
            f"`mesh` has devices of the processes {sorted(processes)}, and this is "
            f"process {jax.process_index()} of {jax.process_count()}: give all of "
            "`jax.devices()`, or only `jax.local_devices()`."
        )
    # What XLA makes of the sharing of batch and parameters is left to it.
    automatic = Mesh(mesh.devices, mesh.axis_names)
    return Placement(automatic, ShardLarge() if shard is None else shard)


def processes_of(mesh: Mesh) -> set[int]:
    """Which processes the devices belong to."""
    return {device.process_index for device in mesh.devices.flat}


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray)


def _shapes(tree: PyTree) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {
        jax.tree_util.keystr(path): leaf.shape
        for path, leaf in leaves
        if _is_array(leaf)
    }
