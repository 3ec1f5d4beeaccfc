"""A run of a device in another process: `pytest benchmarks/bench_remote.py`.

64 x 784 float32 and a 10 x 784 weight there, 64 x 10 back, over loopback, from a device
that takes no time itself. `extra_info` has what of the round trip the messages alone
take on one core (`messages`), a bare gRPC call with as many bytes (`bare`), and the
whole from a jitted step (`jitted`), in seconds, each timed in turn with it.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import equinox as eqx
import grpc
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pnnjax.devices import RemoteDevice
from pnnjax.devices._wire import (
    Request,
    pack_answer,
    pack_request,
    unpack_answer,
    unpack_request,
)

TOKEN = "the-token-of-a-benchmark"
X = np.ones((64, 784), np.float32)
WEIGHT = np.ones((10, 784), np.float32)
ECHO = """
from concurrent.futures import ThreadPoolExecutor
import grpc
server = grpc.server(ThreadPoolExecutor(4))
bare = grpc.stream_unary_rpc_method_handler(lambda r, _: next(r)[:2560])
server.add_generic_rpc_handlers(
    [grpc.method_handlers_generic_handler("Bare", {"Run": bare})])
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
"""


def columns(parameters, x):
    """A device that takes no time."""
    return x[:, : parameters[0].shape[0]]


@pytest.fixture
def processes():
    """Started with a fresh interpreter; each says where it listens."""
    started = []

    def start(*arguments):
        environment = os.environ | {
            "PNNJAX_DEVICE_TOKEN": TOKEN,
            "PYTHONPATH": str(Path(__file__).parent),
        }
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        return process.stdout.readline().split()[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_round_trip(benchmark, processes):
    address = processes("-m", "pnnjax", "serve-device", "bench_remote:columns")
    port = processes("-c", ECHO)
    device = RemoteDevice(address, token=TOKEN)
    layer = eqx.nn.Linear(784, 10, use_bias=False, key=jax.random.key(0))
    layer = eqx.tree_at(lambda l: l.weight, layer, jnp.asarray(WEIGHT))
    step, x = eqx.filter_jit(device), jnp.asarray(X)
    numbers = iter(range(10**9))
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        message = pack_request(Request("a", [WEIGHT], X))
        bare = channel.unary_unary("/Bare/Run")

        def messages():
            request = unpack_request(pack_request(Request("a", [WEIGHT], X)))
            unpack_answer(pack_answer("a", request.x[:, :10]), "a")

        def whole():
            device.device.run([WEIGHT], X, f"run-{next(numbers)}")

        timed = {
            "whole": whole,
            "messages": messages,
            "bare": lambda: bare(message),
            "jitted": lambda: jax.block_until_ready(step(layer, x)),
        }
        seconds = {name: [] for name in timed}
        for _ in range(300):
            for name, call in timed.items():
                start = time.perf_counter()
                call()
                seconds[name].append(time.perf_counter() - start)
        benchmark(whole)
    device.close()
    medians = {name: statistics.median(all_) for name, all_ in seconds.items()}
    benchmark.extra_info |= medians
