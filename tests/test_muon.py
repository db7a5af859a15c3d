"""Muon: what is done to singular values, and the steps of torch's own."""

import pytest
import torch

from wopt.train.optimisers import AdamOptimizer, MuonOptimizer, orthogonalise

SHAPES = [(20, 20), (18, 25), (60, 20), (17, 100)]


def draws(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize("shape", SHAPES)
def test_singular_values_go_through_the_quintic_and_vectors_stay(shape):
    m = draws(3, *shape) * torch.logspace(0, -2, shape[1]).double()
    u, s, v = torch.linalg.svd(m, full_matrices=False)
    s = s / torch.linalg.matrix_norm(m)[:, None]
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    expected = u @ torch.diag_embed(s) @ v
    torch.testing.assert_close(orthogonalise(m), expected, rtol=0, atol=1e-6)
    assert orthogonalise(m.float()).dtype == torch.float32
    torch.testing.assert_close(orthogonalise(m.float()).double(), expected, rtol=0, atol=1e-3)
    assert float(s.max()) < 1.21


def test_a_zero_matrix_stays_zero():
    assert not orthogonalise(torch.zeros(1, 20, 30)).any()


def five_steps(ours, theirs):
    """Return the parameters of two optimisers after five steps, and where they were."""
    params = [torch.nn.Parameter(draws(*shape).float()) for shape in SHAPES]
    others = [torch.nn.Parameter(p.detach().clone()) for p in params]
    before = [p.detach().clone() for p in params]
    optimisers = ours(params), theirs(others)
    for step in range(5):
        for p, q in zip(params, others, strict=True):
            p.grad = draws(*p.shape, seed=step + 1).float()
            q.grad = p.grad.clone()
        for optimiser in optimisers:
            optimiser.step()
    return zip([p.detach() for p in params], [q.detach() for q in others], before, strict=True)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon to compare")
def test_steps_are_torchs_up_to_its_bfloat16():
    how = {"lr": 0.1, "weight_decay": 0.3}
    made = five_steps(lambda p: MuonOptimizer(p, **how), lambda p: torch.optim.Muon(p, **how))
    for p, q, start in made:
        moved = float((q - start).norm())
        assert moved > 0.5
        assert float((p - q).norm()) < 0.02 * moved


@pytest.mark.parametrize("fused", [True, False])
def test_adam_is_torchs_to_the_bit(fused):
    how = {"lr": 0.1, "weight_decay": 0.3}
    made = five_steps(
        lambda p: AdamOptimizer([{"params": p, **how}], fused=fused),
        lambda p: torch.optim.AdamW(p, fused=fused, **how),
    )
    assert all(torch.equal(p, q) for p, q, _ in made)


def test_a_unit_that_has_died_leaves_no_subnormal_numbers():
    """On which processors are far slower: of its gradients' mean soon nothing is left."""
    weight = torch.nn.Parameter(draws(20, 20).float())
    optimiser, seen = MuonOptimizer([weight], lr=0.1), []

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, arguments=(), options=None):
            made = function(*arguments, **(options or {}))
            if isinstance(made, torch.Tensor) and made.is_floating_point():
                size = made.abs()
                seen.append(int(((size > 0) & (size < torch.finfo(made.dtype).tiny)).sum()))
            return made

    for step in range(2000):
        weight.grad = draws(20, 20, seed=step).float()
        if step:
            weight.grad[3] = 0
        if step in (900, 1500, 1999):
            with Watch():
                optimiser.step()
        else:
            optimiser.step()
    assert len(seen) > 30
    assert not any(seen)
    assert not optimiser.state[weight]["momentum"][3].any()
    assert torch.isfinite(weight).all()


def test_what_has_no_gradient_does_not_move():
    still, other = (torch.nn.Parameter(draws(20, 20)) for _ in range(2))
    before = still.detach().clone()
    other.grad = draws(20, 20, seed=1)
    MuonOptimizer([still, other], lr=0.1, weight_decay=0.1).step()
    assert torch.equal(still.detach(), before)
    assert not torch.equal(other.detach(), before)
