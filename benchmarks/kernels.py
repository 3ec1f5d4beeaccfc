"""What bounds each kernel on this machine, and how far from that bound it is.

    taskset -c 0 python benchmarks/kernels.py
    taskset -c 0 python benchmarks/kernels.py --quick --only mesh --only fiber

One row a kernel, at a size that layers have in training, in single precision on one
core; the worst comes first. What a kernel needs at least is written down beside it,
from its equations: `bound` is how long this machine takes for that, at the rates that
it reaches on nothing else (`roofline.py`), and names what takes most of it. `factor`
is the median of the processor's time (the process's own, so that others on the machine
do not count) over the bound. `XLA` is its own count of FLOPs over ours; it counts what
is in a loop once. Below stands what rows further than three times from their bound
spend the rest on.
"""

import argparse
import os
import time

os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
)
os.environ.setdefault("OMP_NUM_THREADS", "1")

import jax  # noqa: E402
import kernels_circuits  # noqa: E402
import kernels_motion  # noqa: E402
import kernels_optics  # noqa: E402
import kernels_spins  # noqa: E402
import kernels_training  # noqa: E402
import roofline  # noqa: E402
from kernel_needs import Kernel, bound  # noqa: E402
from roofline import compile_for  # noqa: E402

ROOMS = (
    kernels_optics,
    kernels_motion,
    kernels_circuits,
    kernels_spins,
    kernels_training,
)
FAR = 3.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few runs of each")
    parser.add_argument("--only", action="append", help="kernels with this in the name")
    options = parser.parse_args()
    roofline.clock = time.process_time
    names = options.only or [""]
    kernels = [
        kernel
        for room in ROOMS
        for kernel in room.KERNELS
        if any(name in f"{room.__name__} {kernel.name}" for name in names)
    ]
    rows = []
    for kernel in kernels:
        rows.append(row_of(kernel, 0.1 if options.quick else 1.0))
        print(f"{kernel.name}, {kernel.size}: {rows[-1]['factor']:.1f}", flush=True)
    print(f"\nJAX {jax.__version__}, load {os.getloadavg()[0]:.1f}\n")
    report(sorted(rows, key=lambda row: -row["factor"]))


def row_of(kernel: Kernel, budget: float) -> dict:
    function, arguments = kernel.make()
    begun = time.process_time()
    run, compiled = compile_for(function, *arguments)
    compile_seconds = time.process_time() - begun
    least, by = bound(kernel.needs)
    seconds = median_seconds(run, budget)
    counted = compiled.cost_analysis() or {}
    return {
        "kernel": kernel,
        "seconds": seconds,
        "bound": least,
        "by": by,
        "factor": seconds / least,
        "xla": counted.get("flops", 0.0) / max(1.0, kernel.needs.flops),
        "compile": compile_seconds,
    }


def median_seconds(run, budget: float) -> float:
    """Of at least five runs, after one that warms up."""
    jax.block_until_ready(run())
    times = []
    while len(times) < 5 or sum(times) < budget:
        begun = time.process_time()
        jax.block_until_ready(run())
        times.append(time.process_time() - begun)
    return sorted(times)[len(times) // 2]


def report(rows: list[dict]) -> None:
    head = ("kernel", "size", "MFLOP", "MB", "ms", "bound", "by", "factor", "XLA", "s")
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        kernel = row["kernel"]
        cells = (
            kernel.name,
            kernel.size,
            f"{kernel.needs.flops / 1e6:.3g}",
            f"{kernel.needs.moved / 1e6:.3g}",
            f"{1e3 * row['seconds']:.3g}",
            f"{1e3 * row['bound']:.3g}",
            row["by"],
            f"{row['factor']:.1f}",
            f"{row['xla']:.2g}",
            f"{row['compile']:.1f}",
        )
        print("| " + " | ".join(cells) + " |")
    print()
    for row in rows:
        if row["factor"] > FAR:
            kernel = row["kernel"]
            why = kernel.why or "not explained yet"
            print(f"{kernel.name} ({row['factor']:.1f}): {why}")


if __name__ == "__main__":
    main()
