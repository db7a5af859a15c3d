"""The target ``tempered``, between a wide Gaussian and another target."""

from wopt.targets import TemperedTarget

__all__ = ["TemperedTarget"]
