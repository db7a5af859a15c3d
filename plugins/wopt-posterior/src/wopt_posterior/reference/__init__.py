"""The reference sample of a target, which serves start, training, log Z and judgement."""

from wopt_posterior.reference.moves import EMPTY, density_of, move
from wopt_posterior.reference.parts import mode_of
from wopt_posterior.reference.sample import POINTS, Reference, reference_of

__all__ = ["EMPTY", "POINTS", "Reference", "density_of", "mode_of", "move", "reference_of"]
