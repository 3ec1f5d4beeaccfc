"""How learning rates change in the course of a training."""

from typing import Any

import optax


def rising_and_falling(peak: Any, steps: int) -> optax.Schedule:
    """Rises in a fiftieth of the steps, then falls as a cosine.

    `peak` may be traced, as `optax.warmup_cosine_decay_schedule` does not allow.
    """
    rise = max(1, steps // 50)
    shape = optax.warmup_cosine_decay_schedule(0.0, 1.0, rise, steps)
    return lambda step: peak * shape(step)
