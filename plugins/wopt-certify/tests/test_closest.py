import torch

from wopt_certify.two_sample.measure import closest_record


def _normal(n: int, seed: int, dim: int = 3) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(n, dim, generator=rng, dtype=torch.float64) * torch.tensor([1.0, 5.0, 0.01])


def test_samples_of_the_law_are_as_new_as_held_out_rows_at_the_stated_error():
    found = [
        closest_record(_normal(300, 3 * i), _normal(200, 3 * i + 1), _normal(200, 3 * i + 2))
        for i in range(200)
    ]
    scores = torch.tensor([(one.nearer - 0.5) / one.error for one in found])
    assert abs(scores.mean()) < 3 / len(found) ** 0.5  # standard error of the mean of N(0, 1)
    assert abs(scores.var() - 1) < 3 * (2 / len(found)) ** 0.5


def test_the_share_of_copies_is_seen():
    train, rows = _normal(2000, 1), _normal(1000, 2)
    half = torch.cat([train[:500], _normal(500, 3)])
    found = closest_record(train, rows, half)
    assert abs(found.nearer - 0.75) < 3 * found.error + 0.01  # half copies, half as rows
    assert found.copies
    assert "nearer to training rows than" in found.text()


def test_what_is_far_out_is_not_a_copy():
    found = closest_record(_normal(500, 1), _normal(300, 2), 10 * _normal(300, 3))
    assert found.nearer < 0.2
    assert not found.copies
