"""Five 200 x 200 phase masks, 32 images, loss and gradient: us beside torchoptics.

    pip install torchoptics==1.0.2 torch==2.13.0
    python benchmarks/peers/diffraction.py

The plain padded FFT is what chromatix does (zero-pad by half the width on each side,
`fft2`, times a transfer function, `ifft2`, crop, whole batch at once), written out here
with our own transfer function, because the chromatix on PyPI is an empty 0.0.1; its
mapped variant takes the images one by one, as a careful user may. Both must find our
gradient. torchoptics runs its two methods in float32.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jitted import Jitted
from side_by_side import Here, begin, contest, finish, installed, versions

from pnnjax.optics import (
    DiffractiveLayer,
    FreeSpace,
    PhaseMask,
    detector_grid,
    power_in,
)

N, BATCH, LAYERS = 200, 32, 5
DISTANCE, WAVELENGTH, PITCH = 0.03, 0.75e-3, 0.4e-3
REGIONS = detector_grid((N, N), 10, size=20, spacing=40)
SPACE = FreeSpace(DISTANCE, WAVELENGTH, PITCH)


def score(field):
    return jnp.mean(jax.nn.logsumexp(power_in(field, REGIONS), axis=-1))


def stack(phases):
    layers = [DiffractiveLayer(PhaseMask(phase), SPACE) for phase in phases]
    return eqx.nn.Sequential([SPACE, *layers])


def batched(phases, field):
    return score(stack(phases)(field))


def vmapped(phases, field):
    return score(jax.vmap(stack(phases))(field))


def plain(transfer, phases, field):
    return score(_plain_stack(transfer, phases, field))


def mapped(transfer, phases, field):
    return score(jax.lax.map(lambda u: _plain_stack(transfer, phases, u), field))


def _plain_stack(transfer, phases, field):
    side = ((N // 2, N // 2), (N // 2, N // 2))
    around = ((0, 0),) * (field.ndim - 2) + side

    def propagate(field):
        spectrum = jnp.fft.fft2(jnp.pad(field, around)) * transfer
        return jnp.fft.ifft2(spectrum)[..., N // 2 : -N // 2, N // 2 : -N // 2]

    field = propagate(field)
    for phase in phases:
        field = propagate(field * jax.lax.complex(jnp.cos(phase), jnp.sin(phase)))
    return field


def our_transfer_function():
    """Of the padded window, from the response to its corner pixel."""
    pixels = np.arange(N)
    ours = SPACE(jnp.zeros((N, N), jnp.complex64).at[0, 0].set(1))
    kernel = np.zeros((2 * N, 2 * N), np.complex64)
    for flip_y in (1, -1):
        for flip_x in (1, -1):
            kernel[np.ix_(flip_y * pixels, flip_x * pixels)] = ours
    return jnp.fft.fft2(jnp.asarray(kernel))


def torchoptics_cases(phases, field):
    import torch
    import torchoptics

    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float32)
    torchoptics.set_default_spacing(PITCH)
    torchoptics.set_default_wavelength(WAVELENGTH)
    data = torch.tensor(np.asarray(field))
    masks = [torch.tensor(np.asarray(phase), requires_grad=True) for phase in phases]

    def run(method):
        light = torchoptics.Field(data)
        options = {"propagation_method": method}
        if method == "ASM":
            options["asm_pad"] = (N // 2, N // 2)
        for i, mask in enumerate(masks):
            light = light.propagate_to_z((i + 1) * DISTANCE, **options)
            light = light.modulate(torch.exp(1j * mask))
        light = light.propagate_to_z((LAYERS + 1) * DISTANCE, **options)
        power = light.data.real**2 + light.data.imag**2
        sums = [power[..., a:b, c:d].sum((-1, -2)) for a, b, c, d in REGIONS]
        loss = torch.logsumexp(torch.stack(sums, -1), -1).mean()
        return torch.autograd.grad(loss, masks)

    return {
        "torchoptics, direct integration": Here(lambda: run("DIM")),
        "torchoptics, angular spectrum": Here(lambda: run("ASM")),
    }


def jax_cases(phases, field) -> dict[str, Jitted]:
    transfer = our_transfer_function()
    cases = {}
    for name, function, before in (
        ("pnnjax", batched, ()),
        ("pnnjax under `jax.vmap`", vmapped, ()),
        ("plain padded FFT", plain, (transfer,)),
        ("plain padded FFT, image by image", mapped, (transfer,)),
    ):
        gradient = jax.grad(function, argnums=len(before))
        cases[name] = Jitted(gradient, *before, phases, field)
    return cases


def differences(cases: dict[str, Jitted]) -> dict[str, str]:
    """How far each gradient is from ours."""
    gradients = {name: np.asarray(case.run()) for name, case in cases.items()}
    ours, notes = gradients["pnnjax"], {}
    for name, gradient in gradients.items():
        error = np.linalg.norm(gradient - ours) / np.linalg.norm(ours)
        assert error < 1e-3, f"{name} finds another gradient: {error:.1e}"
        notes[name] = f"gradients differ by {error:.0e}"
    return notes


def main():
    options = begin(__doc__)
    batch = 4 if options.quick else BATCH
    keys = jax.random.split(jax.random.key(0))
    phases = jax.random.uniform(keys[0], (LAYERS, N, N), jnp.float32, 0, 2 * np.pi)
    amplitude = jax.random.uniform(keys[1], (batch, N, N), jnp.float32)
    field = jax.lax.complex(amplitude, jnp.zeros_like(amplitude))
    alike = jax_cases(phases, field)
    cases = dict(alike)
    if installed("torchoptics", "pip install torchoptics==1.0.2 torch==2.13.0"):
        cases |= torchoptics_cases(phases, field)
    what = f"{LAYERS} masks of {N} x {N}, {batch} images, forward and gradient"
    rows = contest(what, cases, min(options.rounds, 9))
    notes = differences(alike)
    rows = [row._replace(note=notes.get(row.peer, "")) for row in rows]
    finish(rows, options, versions("pnnjax", "jax", "torchoptics", "torch"))


if __name__ == "__main__":
    main()
