"""Hardware in the loop: devices that run a layer, and may fail."""

from ._callback import CallbackDevice as CallbackDevice
from ._device import AbstractDevice as AbstractDevice
from ._device_layer import DeviceLayer as DeviceLayer
from ._error import (
    DeviceError as DeviceError,
    raising_device_errors as raising_device_errors,
)
from ._retry import RetryPolicy as RetryPolicy
from ._simulated import SimulatedDevice as SimulatedDevice
