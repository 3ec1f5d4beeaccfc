"""What is made small, and what is counted."""

from ._accuracy import accuracy as accuracy
from ._cross_entropy import cross_entropy as cross_entropy
from ._mean_squared_error import mean_squared_error as mean_squared_error
from ._power import (
    PowerLikelihood as PowerLikelihood,
    PowerSoftmax as PowerSoftmax,
    power_shares as power_shares,
)
