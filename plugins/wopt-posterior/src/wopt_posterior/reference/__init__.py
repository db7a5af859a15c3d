"""The reference sample of a target, which serves start, training, log Z and judgement."""

from wopt_posterior.reference.moves import EMPTY, density_of, move
from wopt_posterior.reference.parts import parts_of
from wopt_posterior.reference.sample import POINTS, Reference, reference_of

__all__ = ["EMPTY", "POINTS", "Reference", "density_of", "move", "parts_of", "reference_of"]
