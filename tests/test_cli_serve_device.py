"""`pnnjax serve-device`: from a name on the command line to a device elsewhere."""

import os
import signal
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from typer.testing import CliRunner

from pnnjax._cli import app
from pnnjax.devices import DeviceError, RemoteDevice
from pnnjax.devices._hosting import client_token, server_token

COMMAND = [sys.executable, "-m", "pnnjax", "serve-device"]
MODULE = '''"""A bench with one instrument."""


def gain(parameters, x):
    return parameters[0] * x


number = 3
'''


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """A folder with a module of the user's, to be in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "bench_of_test", raising=False)
    (tmp_path / "bench_of_test.py").write_text(MODULE)
    return tmp_path


class Gain(eqx.Module):
    """One number, times the signal."""

    gain: jax.Array

    def __call__(self, x):
        return self.gain * x


def test_a_device_is_served_until_ctrl_c(bench):
    token_file = bench / "token"
    options = ["--parameter-range", "-1", "1", "--batch-limit", "4"]
    with subprocess.Popen(
        [*COMMAND, "bench_of_test:gain", *options, "--token-file", token_file],
        env=os.environ | {"JAX_PLATFORMS": "cpu"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        said = process.stdout.readline(), process.stdout.readline()
        address = said[0].split()[-1]
        assert said[0] == f"bench_of_test:gain is served at {address}\n"
        assert said[1] == f"The token is in {token_file}\n"
        assert token_file.stat().st_mode & 0o777 == 0o600
        device = RemoteDevice(address, token=token_file)
        assert device.limits.parameter_range == (-1.0, 1.0)
        y = device(Gain(jnp.array(0.5)), jnp.arange(6.0).reshape(6, 1))
        np.testing.assert_array_equal(y, 0.5 * np.arange(6.0).reshape(6, 1))
        with pytest.raises(DeviceError, match="The token is missing or wrong"):
            RemoteDevice(address, token="another-token-of-mine")
        device.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr.read() == "Stopped after 2 runs.\n"


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["nothing_here:gain"], "There is no `nothing_here:gain`"),
        (["bench_of_test:loss"], "Give MODULE:NAME"),
        (["bench_of_test"], "There is no `bench_of_test`"),
        (["bench_of_test:number"], "A `int` can't be served: give a function"),
        (["bench_of_test:gain", "--seed", "1"], "A seed is for a `DeviceLayer`"),
        (["bench_of_test:gain", "--host", "0.0.0.0"], "in plain text"),
        (["bench_of_test:gain", "--private-key", "key.pem"], "TLS needs both"),
        (["bench_of_test:gain", "--token-file", "open"], "Others can read open"),
        (["bench_of_test:gain", "--batch-limit", "0"], "`batch_limit` must be at"),
        (
            ["bench_of_test:gain", "--input-range", "2", "1"],
            "`input_range` is `(low, high)` with low < high",
        ),
    ],
)
def test_a_mistake_says_what_would_work(bench, arguments, said):
    (bench / "open").write_text("a-token-for-everyone")
    (bench / "open").chmod(0o644)
    result = CliRunner().invoke(app, ["serve-device", *arguments])
    assert result.exit_code == 2, (result.output, result.exception)
    assert said in " ".join(result.output.split())


def test_the_token_of_the_environment_is_not_shown(bench, monkeypatch):
    monkeypatch.setenv("PNNJAX_DEVICE_TOKEN", "a-token-of-the-shell")
    token, said = server_token(None)
    assert client_token(None) == token == "a-token-of-the-shell"
    assert said == "The token is that of PNNJAX_DEVICE_TOKEN"
    monkeypatch.delenv("PNNJAX_DEVICE_TOKEN")
    one, other = server_token(None), server_token(None)
    assert one[0] in one[1] and len(one[0]) == 43 and one[0] != other[0]
