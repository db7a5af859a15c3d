"""A device with values and without silent transfers: ``meta``, whose tensors hold numbers here.

PyTorch's ``meta`` device has shapes and no values. Inside :class:`Device` its tensors have both: an
operation on them is made on the CPU, on the tensors that they wrap, so that results are the CPU's.
What a CUDA device would do with a copy between it and the host, or with a wait for it, raises
:class:`Transfer` where :meth:`Device.loop` forbids that:

- a tensor is copied to the host, or from it;
- a number is read: ``item``, ``float``, ``bool``, ``tolist``, a branch;
- an operation takes a tensor of the host beside one of the device (of a single number it may);
- the shape of a result depends on values: ``nonzero``, masks as indices, ``unique``.
"""

import contextlib

import torch
from torch.optim import optimizer
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

AT = torch.device("meta")
aten = torch.ops.aten

READ = {aten._local_scalar_dense, aten.equal, aten.is_nonzero, aten._linalg_check_errors}
SIZED = {aten.nonzero, aten.masked_select, aten.unique_dim, aten._unique2, aten.unique_consecutive}


class Transfer(RuntimeError):
    """Something crossed between host and device, or waited for it."""


class OnDevice(torch.Tensor):
    """A tensor of the device."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(),
            dtype=inner.dtype, device=AT, requires_grad=False,
        )  # fmt: skip

    def __init__(self, inner):
        self.inner = inner

    def __repr__(self):
        return f"OnDevice({self.inner})"

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return _made(function, args, kwargs or {}, None)


class _Generator(torch.Generator):
    """A generator of the device, which draws what one of the CPU does."""

    def __new__(cls, device="cpu"):
        return super().__new__(cls, device="cpu")

    def __init__(self, device="cpu"):
        self._at = torch.device(device)

    @property
    def device(self):
        return self._at


class _Operations(TorchDispatchMode):
    """What is done to tensors."""

    def __init__(self, device):
        super().__init__()
        self.device = device

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return _made(function, args, kwargs or {}, self.device)


class _Calls(TorchFunctionMode):
    """What is called in Python and is no operation: tensors made of numbers, and numbers of them.

    A tensor made of numbers of the host is a copy to the device.
    """

    def __init__(self, device):
        super().__init__()
        self.device = device

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        here = bool(args) and isinstance(args[0], OnDevice)
        if here and function in (torch.Tensor.tolist, torch.Tensor.numpy):
            self.device.check(f"{function.__name__}: from the device to the host")
            return function(args[0].detach().inner, *args[1:], **kwargs)
        made = function in (torch.tensor, torch.as_tensor, torch.asarray)
        at = kwargs.get("device")
        if (made and at is not None and torch.device(at) == AT and not here) or (
            here and function is torch.Tensor.new_tensor
        ):
            self.device.check(f"{function.__name__}: of numbers of the host")
            kwargs["device"] = "cpu"
            if function is torch.Tensor.new_tensor:
                return OnDevice(args[0].inner.new_tensor(*args[1:], **kwargs))
            return OnDevice(function(*args, **kwargs))
        return function(*args, **kwargs)


class Device:
    """The device, present inside: ``torch.zeros(2, device="meta")`` has two zeros there."""

    def __init__(self):
        self.forbids = False
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        fused = optimizer._get_fused_kernels_supported_devices
        for of, name, value in (
            (torch, "Generator", _Generator),
            (optimizer, "_get_fused_kernels_supported_devices", lambda: [*fused(), AT.type]),
        ):
            self._stack.callback(setattr, of, name, getattr(of, name))
            setattr(of, name, value)
        self._stack.enter_context(_Calls(self))
        self._stack.enter_context(_Operations(self))
        return self

    def __exit__(self, *how):
        self._stack.close()

    def check(self, what):
        """Raise, where it is forbidden, for what crosses between host and device."""
        if self.forbids:
            raise Transfer(what)

    @contextlib.contextmanager
    def loop(self, forbids=True):
        """Forbid transfers inside, or allow them again."""
        before, self.forbids = self.forbids, forbids
        try:
            yield
        finally:
            self.forbids = before


def _made(function, args, kwargs, device):
    flat, spec = tree_flatten((args, kwargs))
    here = any(isinstance(x, OnDevice) for x in flat)
    to = kwargs.get("device")
    there = to is not None and torch.device(to) == AT
    if not here and not there:
        return function(*args, **kwargs)
    _check(function, flat, to, here, device)
    flat = [x.inner if isinstance(x, OnDevice) else x for x in flat]
    inner_args, inner_kwargs = tree_unflatten(flat, spec)
    if to is not None:
        inner_kwargs = {**inner_kwargs, "device": torch.device("cpu")}
    made = function(*inner_args, **inner_kwargs)
    if here and to is not None and not there:
        return made.clone() if made is inner_args[0] else made
    made = tree_map(lambda x: OnDevice(x) if isinstance(x, torch.Tensor) else x, made)
    return return_and_correct_aliasing(function, args, kwargs, made)


def _check(function, flat, to, here, device):
    """Raise for what a device would have to wait for, or to copy."""
    if device is None or not device.forbids:
        return
    packet, name = function.overloadpacket, str(function)
    if here and to is not None and torch.device(to) != AT:
        raise Transfer(f"{name}: from the device to the host")
    if packet in READ:
        raise Transfer(f"{name}: a number is read")
    if packet in SIZED:
        raise Transfer(f"{name}: the shape of the result depends on values")
    host = [x for x in flat if isinstance(x, torch.Tensor) and not isinstance(x, OnDevice)]
    if any(x.ndim for x in host) or (not here and host):
        raise Transfer(f"{name}: of a tensor of the host, {[tuple(x.shape) for x in host]}")
    masks = [x for x in flat if isinstance(x, OnDevice) and x.dtype == torch.bool]
    if packet in (aten.index, aten.index_put, aten.index_put_) and masks:
        values = flat[-1] if packet is not aten.index else None
        if values is None or values.ndim:  # one value at a mask is a masked fill
            raise Transfer(f"{name}: a mask is an index")
