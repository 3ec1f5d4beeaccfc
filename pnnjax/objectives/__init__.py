"""What is made small, and what is counted."""

from ._accuracy import accuracy as accuracy
from ._capacity import (
    Capacities as Capacities,
    information_processing_capacity as information_processing_capacity,
    memory_capacity as memory_capacity,
    memory_curve as memory_curve,
)
from ._cross_entropy import cross_entropy as cross_entropy
from ._forward_forward import (
    GoodnessThreshold as GoodnessThreshold,
    forward_forward as forward_forward,
    mean_of_squares as mean_of_squares,
    sum_of_squares as sum_of_squares,
)
from ._label_embedding import (
    AbstractLabelEmbedding as AbstractLabelEmbedding,
    LabelAppended as LabelAppended,
    LabelInPixels as LabelInPixels,
)
from ._local_contrast import (
    AbstractContrast as AbstractContrast,
    LocalContrast as LocalContrast,
    unit_length as unit_length,
    unit_mean_square as unit_mean_square,
    unit_range as unit_range,
)
from ._mean_squared_error import mean_squared_error as mean_squared_error
from ._normalized_error import nmse as nmse, nrmse as nrmse
from ._physical_local import (
    PairCosine as PairCosine,
    ReferenceCosine as ReferenceCosine,
    physical_local as physical_local,
)
from ._power import (
    PowerLikelihood as PowerLikelihood,
    PowerSoftmax as PowerSoftmax,
    power_shares as power_shares,
)
from ._wrong_labels import (
    AbstractWrongLabels as AbstractWrongLabels,
    LikelyLabels as LikelyLabels,
    RandomLabels as RandomLabels,
)
