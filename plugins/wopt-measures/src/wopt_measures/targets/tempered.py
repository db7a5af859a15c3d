"""The target ``tempered``, between a wide Gaussian and another target."""

from wopt.targets.tempered import TemperedTarget

__all__ = ["TemperedTarget"]
