"""How fast is learnt at which step?"""

import math
from dataclasses import dataclass

__all__ = ["Schedule"]

WARM_UP_SHARE = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """AdamW with a linear warm-up and a cosine decay to zero.

    Attributes:
        num_steps: Updates in all.
        learning_rate: The greatest.
    """

    num_steps: int
    learning_rate: float
    weight_decay: float = 0.02

    def rate_at(self, step: int) -> float:
        warm_up = max(1, round(self.num_steps * WARM_UP_SHARE))
        if step < warm_up:
            return self.learning_rate * (step + 1) / warm_up
        done = (step - warm_up) / max(1, self.num_steps - warm_up)
        return self.learning_rate * (1 + math.cos(math.pi * done)) / 2
