"""Hardware in the loop: devices that run a layer, and may fail."""

from ._callback import (
    AbstractNamedRun as AbstractNamedRun,
    CallbackDevice as CallbackDevice,
    LoggedRun as LoggedRun,
)
from ._device import (
    AbstractDevice as AbstractDevice,
    AbstractOnceDevice as AbstractOnceDevice,
)
from ._device_layer import DeviceLayer as DeviceLayer
from ._error import (
    DeviceError as DeviceError,
    raising_device_errors as raising_device_errors,
)
from ._faults import Fault as Fault, FaultyRun as FaultyRun
from ._fit_twin import (
    TwinErrors as TwinErrors,
    TwinFit as TwinFit,
    TwinTraining as TwinTraining,
    fit_twin as fit_twin,
    train_with_twin as train_with_twin,
    twin_error as twin_error,
)
from ._hosting import LayerRun as LayerRun
from ._journal import JournalError as JournalError
from ._limits import Limits as Limits
from ._once import OnceRun as OnceRun
from ._probes import (
    Probes as Probes,
    latin_hypercube_probes as latin_hypercube_probes,
    measure_probes as measure_probes,
    sobol_probes as sobol_probes,
)
from ._reading import Frame as Frame
from ._recorded import RecordedDevice as RecordedDevice
from ._remote import RemoteDevice as RemoteDevice
from ._retry import FrameError as FrameError, RetryPolicy as RetryPolicy
from ._scpi import (
    SCPI as SCPI,
    BlockReader as BlockReader,
    BlockWriter as BlockWriter,
    ChannelReader as ChannelReader,
    ChannelWriter as ChannelWriter,
    ListReader as ListReader,
    ListWriter as ListWriter,
)
from ._server import DeviceServer as DeviceServer, serve as serve
from ._simulated import SimulatedDevice as SimulatedDevice
from ._steady import SteadyRun as SteadyRun
from ._twin import Twin as Twin
from ._visa import VISADevice as VISADevice
from ._wire import Signature as Signature
