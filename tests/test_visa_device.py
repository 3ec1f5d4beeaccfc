"""Instruments: what is written, what is read, and what an instrument can do wrong."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import pyvisa

from pnnjax._layer import AbstractLayer, Facts
from pnnjax.devices import (
    SCPI,
    BlockReader,
    BlockWriter,
    ChannelReader,
    ChannelWriter,
    DeviceError,
    ListReader,
    ListWriter,
    RetryPolicy,
    VISADevice,
    raising_device_errors,
)

BENCH = f"{Path(__file__).parent / 'visa_instrument.yaml'}@sim"
ADDRESS = "TCPIP::bench::INSTR"
VOLTS = ChannelWriter("VOLT {value:.6f},(@{channel})")
WEIGHTS = ListWriter("DATA {values}", ".3f")
METER = ChannelReader("MEAS:VOLT? (@{channel})", 3)


class Gains(AbstractLayer):
    """A gain for each channel, of which the instrument has its own."""

    gains: jax.Array
    channels: int = 3
    facts = Facts(linear=True)

    def __call__(self, x, *, key=None):
        x = x[..., : self.channels]
        return jnp.broadcast_to(self.gains[: self.channels], x.shape) * x


def table(**changes):
    settings = {"identity": "ACME,Bench", "parameters": (WEIGHTS,), "input": VOLTS}
    return SCPI(**(settings | {"output": METER} | changes))


def bench(retry=RetryPolicy(attempts=2, backoff=0.001), **changes):
    limits = {name: (-9.0, 9.0) for name in ("input_range", "output_range")}
    limits["parameter_range"] = (-1.0, 1.0)
    return VISADevice(
        ADDRESS, table(**changes), **limits, retry=retry, timeout=0.05, library=BENCH
    )


@pytest.fixture
def inputs():
    return jnp.asarray([[1.0, -2.0, 3.0], [0.5, 0.25, -0.125]])


@pytest.fixture
def layer():
    return Gains(jnp.asarray([0.5, -0.25, 1.0]))


def measured(device, layer, x):
    with raising_device_errors():
        return jax.block_until_ready(jax.vmap(lambda x: device(layer, x))(x))


def test_writes_parameters_and_each_input_and_reads_each_output(layer, inputs):
    device = bench(setup=("OUTP ON",), trigger=("OUTP ON",), settle=0.001)
    np.testing.assert_allclose(measured(device, layer, inputs), inputs, atol=1e-6)
    resource = device._session._resource
    assert resource.query("DATA?").strip() == "0.500,-0.250,1.000"
    device.close()
    # A run after that connects anew.
    assert measured(device, layer, inputs[:1]).shape == (1, 3)
    assert [run.faults for run in device.device.log] == [(), ()]
    assert device.limits.parameter_range == (-1.0, 1.0)
    device.close()


def test_one_answer_of_several_numbers(inputs):
    device = bench(output=ListReader("READ:TWO?"))
    y = measured(device, Gains(jnp.ones(3), 2), inputs)
    np.testing.assert_array_equal(y, [[0.25, -0.5]] * 2)
    device.close()


@pytest.mark.parametrize(
    ("changes", "tried", "why"),
    [
        (
            {"identity": "^Keysight"},
            1,
            "Run 1 of device `TCPIP::bench::INSTR` failed after 1 attempt: "
            ".*is 'ACME,Bench 4,0815,1.0', in which there is no '.Keysight'",
        ),
        (
            {"trigger": ("OUTP MAYBE",)},
            1,
            'InstrumentError: error queue: -222,"Data out of range"; -222',
        ),
        # A question that is not understood is not answered; the queue says so.
        ({"output": ListReader("MEAS:CURR?")}, 1, "InstrumentError: error queue"),
        # One that is not there is neither understood nor in the queue.
        ({"errors": "OUTP ON"}, 2, r"TimeoutError: no answer within 0.05 s"),
        (
            {"output": ListReader("READ:GARBAGE?")},
            2,
            "malformed answer to `READ:GARBAGE\\?`: '1.0,volts.*not made of numbers",
        ),
        ({"output": ListReader("READ:OVERLOAD?")}, 2, "overload: 1 of 2 values"),
        ({"output": ListReader("READ:TWO?")}, 2, r"shape \(2, 2\), expected \(2, 3\)"),
        ({"parameters": ()}, 1, "1 trainable arrays, but .* commands for 0"),
    ],
    ids=[
        "identity",
        "error queue",
        "unknown question",
        "time-out",
        "malformed",
        "overload",
        "too few",
        "table",
    ],
)
def test_what_goes_wrong_is_said_with_the_run(changes, tried, why, layer, inputs):
    device = bench(**changes)
    with pytest.raises(DeviceError, match=why) as info:
        measured(device, layer, inputs)
    assert (info.value.run, info.value.attempts) == (1, tried)
    device.close()


def test_ranges_are_checked_before_the_instrument_is_opened(layer, inputs):
    device = bench()
    with pytest.raises(DeviceError, match="parameter 0 out of range"):
        measured(device, Gains(5 * layer.gains), inputs)
    assert device._session._resource is None


def test_a_lost_connection_is_made_again(layer, inputs, monkeypatch):
    device = bench()
    measured(device, layer, inputs)
    lost = pyvisa.errors.VisaIOError(pyvisa.constants.StatusCode.error_connection_lost)

    def query(message):
        raise lost

    monkeypatch.setattr(device._session._resource, "query", query)
    np.testing.assert_allclose(measured(device, layer, inputs), inputs, atol=1e-6)
    assert [run.faults for run in device.device.log] == [(), ("connection",)]
    device.close()


def test_complex_signals_are_refused(inputs):
    layer = Gains(jnp.ones(3, complex))
    with pytest.raises(DeviceError, match="complex numbers can't be written"):
        measured(bench(), layer, inputs.astype(complex))


class Wire:
    """What an instrument gets and gives of binary blocks, which pyvisa-sim has not."""

    def __init__(self, answer=()):
        self.answer = answer
        self.sent = []

    def write_binary_values(self, message, values, datatype, big_endian):
        self.sent.append((message, values, datatype, big_endian))

    def query_binary_values(self, message, datatype, big_endian):
        self.sent.append((message, datatype, big_endian))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_binary_blocks():
    wire = Wire([1.0, 2.0])
    BlockWriter("DATA ", "d", big_endian=True).write(wire, np.asarray([0.5, 1.5]))
    np.testing.assert_array_equal(BlockReader("DATA?").read(wire), [1.0, 2.0])
    assert wire.sent == [("DATA ", [0.5, 1.5], "d", True), ("DATA?", "f", False)]
    with pytest.raises(Exception, match="malformed answer to `DATA\\?`: no block"):
        BlockReader("DATA?").read(Wire(ValueError("no block")))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: ChannelWriter("VOLT {value}"), "{value} and {channel} in it"),
        (lambda: ListWriter("DATA"), "must have {values} in it"),
        (lambda: ChannelReader("MEAS? {channel}", 0), "`channels` must be at least 1"),
        (lambda: table(settle=-1.0), "`settle` can't be -1.0 s"),
        (
            lambda: VISADevice(
                ADDRESS,
                table(),
                parameter_range=(0.0, 1.0),
                input_range=(0.0, 1.0),
                output_range=(0.0, 1.0),
                timeout=0.0,
            ),
            "`timeout` must be positive",
        ),
    ],
)
def test_a_table_without_meaning_is_refused(make, why):
    with pytest.raises(ValueError, match=why):
        make()
