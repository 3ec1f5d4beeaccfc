"""Data sets, and encoders that turn them into light."""

from ._channel_equalization import channel_equalization as channel_equalization
from ._cifar10 import cifar10 as cifar10
from ._circles import circles as circles
from ._cochleagram import (
    cochleagram as cochleagram,
    erb as erb,
    erb_spaced as erb_spaced,
)
from ._dataset import (
    Dataset as Dataset,
    rescaled as rescaled,
    select as select,
    split as split,
    standardized as standardized,
)
from ._deterding_vowels import deterding_vowels as deterding_vowels
from ._digits import digits as digits
from ._encoders import (
    amplitude as amplitude,
    low_frequencies as low_frequencies,
    on_grid as on_grid,
    phase as phase,
    power_normalized as power_normalized,
    repeated as repeated,
    with_reference as with_reference,
)
from ._fashion_mnist import fashion_mnist as fashion_mnist
from ._gset import (
    Graph as Graph,
    gset as gset,
    gset_names as gset_names,
    read_graph as read_graph,
)
from ._iris import iris as iris
from ._ising_instances import (
    IsingInstances as IsingInstances,
    dense_maxcut as dense_maxcut,
    dense_spin_glass as dense_spin_glass,
)
from ._lorenz import lorenz as lorenz
from ._mackey_glass import mackey_glass as mackey_glass
from ._mnist import mnist as mnist
from ._moons import moons as moons
from ._narma10 import narma10 as narma10
from ._santa_fe import santa_fe as santa_fe
from ._series import Series as Series
from ._spoken_digits import (
    Cochleagrams as Cochleagrams,
    SpokenDigits as SpokenDigits,
    spoken_digits as spoken_digits,
)
from ._vowel_recordings import (
    Recordings as Recordings,
    vowel_recordings as vowel_recordings,
)
from ._vowels import FORMANT_TRACK as FORMANT_TRACK, vowels as vowels
from ._xor import xor as xor
