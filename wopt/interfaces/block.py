"""Flow blocks: the invertible map of one step."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from wopt.bijection import Bijection, given
from wopt.capabilities import Capability, require
from wopt.component import Component, Spec
from wopt.errors import CapabilityError
from wopt.interfaces import returns
from wopt.jacobian import jacobians
from wopt.memory import within_memory
from wopt.precision import Precision
from wopt.renamed import both_names, old_method

Map = Callable[..., tuple[Tensor, Tensor]]
Compiler = Callable[[Callable[..., Any]], Callable[..., Any]]


_OLD_NAMES = {"see": "initialise", "aim": "initialise_images"}


class FlowBlock(Component, Bijection):
    """A map T of R^d with log |det DT|; the identity when new.

    The constructor's parameters ``dim`` and ``condition`` are supplied by wopt; the others are the
    configuration. A conditional block (``Capability.CONDITION``) takes ``condition: int = 0``, the
    number k of conditions, and its methods take these as their second argument c, shape ``(n, k)``;
    ``c`` is ``None``, or left out, if there are none.
    """

    kind: ClassVar[str] = "block"
    returns = returns.BLOCK
    supplied: ClassVar[tuple[str, ...]] = ("dim", "condition")
    provides: Capability = Capability.NOTHING
    precision: Precision | None = None
    """Precision of matrix products in its training; if it is set, it is audited in float64."""
    folds: ClassVar[bool] = False
    """Whether several points y have one T^-1(y), of which T gives one: T^-1(T(x)) is x, and the law
    of T^-1(y) has the density that T states, but T(T^-1(y)) may be another point."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        both_names(cls, _OLD_NAMES)

    def initialise(self, points: Tensor, c: Tensor | None = None) -> None:
        """Receive the training particles, ``(n, d)``, given c, ``(n, k)``, before training begins.

        It is called once, before :meth:`warm_start`, for blocks whose parameters depend on them.
        """

    def initialise_images(self, points: Tensor) -> None:
        """Receive points that images should cover, shape ``(n, d)``, after :meth:`initialise`.

        A block may then begin at a map that spreads the particles over them.
        """

    def calibrate(self, points: Tensor, c: Tensor | None = None) -> bool:
        """Receive held-out particles ``(n, d)``, given c, ``(n, k)``, once training is over.

        Return whether the map, in evaluation mode, has been changed by them, to be less certain
        than training made it, say. The change is undone where their loss is not less by it.
        """
        return False

    see = old_method("see", "initialise")
    aim = old_method("aim", "initialise_images")

    def differentiable_inverse(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the result of :meth:`inverse`, shapes ``(n, d)`` and ``(n,)``, with gradients.

        Gradients reach ``y`` and the parameters. By the implicit function theorem, with
        x = T^-1(y) and DT(x) held fixed,

            x - DT(x)^-1 (T(x) - y)

        has the value and the derivatives of T^-1; it takes d backward passes. A block whose
        inverse supports autograd returns that instead.
        """
        with torch.no_grad():
            x = self.inverse(*given(y, c))[0]
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            jacobian = jacobians(self.move(*given(leaf, c)), leaf).detach()
        rest = self.move(*given(x.detach(), c)) - y
        x = x - torch.linalg.solve(jacobian, rest[..., None])[..., 0]
        return x, -self(*given(x, c))[1]

    def forward_with_action(
        self, x: Tensor, c: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return T(x), ``(n, d)``, log-det and action, each ``(n,)``; needs ``Capability.ACTION``.

        The action is int_0^1 |dx_t/dt|^2 dt along each particle's path.
        """
        raise CapabilityError(f"block {type(self).__name__} does not provide ACTION")

    def half_way(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return (x + T(x))/2, ``(n, d)``, and log |det (I + DT)/2|, ``(n,)``.

        It needs ``Capability.HALF_WAY``.
        """
        raise CapabilityError(f"block {type(self).__name__} does not provide HALF_WAY")

    def velocity(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return u(x), shape ``(n, d)``, and div u(x), ``(n,)``; needs ``Capability.VELOCITY``.

        T = id + u, or T is the flow of u for unit time, which agrees to first order in u.
        """
        raise CapabilityError(f"block {type(self).__name__} does not provide VELOCITY")

    def field(self, t: Tensor, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return v(t, x), shape ``(n, d)``, at times ``(n,)``; needs ``Capability.FIELD``.

        T is the flow of v from time 0 to 1.
        """
        raise CapabilityError(f"block {type(self).__name__} does not provide FIELD")

    def refine(self) -> bool:
        """Make the discretisation finer, in place; return whether that was possible."""
        return False

    def compile_training(self, compiler: Compiler | None) -> None:
        """Set the compiler of the maps in training, as ``run.compile`` asks.

        Args:
            compiler: Turns a function into a faster one of the same values; ``None`` at the end.
        """
        if compiler is None:
            return
        raise CapabilityError(
            f"block {type(self).__name__} is not written for run.compile = true (ode is); leave it "
            "out, or choose another block"
        )

    def warm_start(self, previous: FlowBlock) -> None:
        """Begin from the previous step's map."""
        self.load_state_dict(previous.state_dict())

    def become_affine(self, slope: Tensor, shift: Tensor) -> None:
        """Set the map to  T(x) = A x + b; for blocks whose family has such a map.

        Args:
            slope: Slope A, symmetric positive definite, shape ``(d, d)``.
            shift: Shift b, shape ``(d,)``.
        """
        raise CapabilityError(
            f"block {type(self).__name__} cannot become an affine map, which "
            'the solver "gaussian" needs; choose the block affine, or another solver'
        )

    def state(self) -> dict[str, Tensor]:
        """Return the saved tensors by name, of any shape, on the CPU."""
        return {k: v.detach().cpu().contiguous() for k, v in self.state_dict().items()}

    @torch.no_grad()
    def freeze(self) -> FlowBlock:
        """Make the parameters constant and return the block, in evaluation mode."""
        return self.requires_grad_(False).eval()


def audit_of(block: FlowBlock) -> Map:
    """Return a block's audit, computed in float64 if ``run.precision`` rounds its training.

    Results have the dtype of the points.
    """
    if block.precision is None:
        return block.audit
    finer = copy.deepcopy(block).double()

    def audit(*inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return T(x), shape ``(n, d)``, and its log-det, ``(n,)``, computed in float64."""
        y, log_det = finer.audit(*(t.double() for t in inputs))
        return y.to(inputs[0]), log_det.to(inputs[0])

    return audit


def new_block(chosen: Spec, dim: int, condition: int = 0) -> FlowBlock:
    """Return a new block of the chosen class and options."""
    name, sizes = f"block {chosen.cls.__name__}", {"dim": dim}
    if condition:
        require("a conditional flow", Capability.CONDITION, name, chosen.cls.provides)  # type: ignore[attr-defined]
        sizes["condition"] = condition
    with within_memory(f"{name}; make its sizes smaller (width, ...)"):
        made: FlowBlock = chosen.build(**sizes)
    return made
