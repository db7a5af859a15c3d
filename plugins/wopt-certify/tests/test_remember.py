"""Blocks that remember: each row is audited once, and the image is the block's own."""

import torch

from wopt.particles import Particles
from wopt.push import push_all
from wopt.testing import AffineBlock
from wopt.train.wrappers import remembering


class Counted(AffineBlock):
    """Counts the rows that it audits."""

    audited = 0

    def audit(self, x):
        self.audited += len(x)
        return super().audit(x)


def block():
    made = Counted(2)
    made.matrix.data = torch.tensor([[2.0, 0.5], [0.0, 1.0]])
    return made


def test_rows_are_audited_once():
    x, made = torch.randn(50, 2), [block(), block()]
    known = remembering(made, parts=True)
    whole = push_all(known, Particles.start(x), audit=True)
    some = push_all(known, Particles.start(x[:20].clone()), audit=True)
    assert [one.audited for one in made] == [50, 50]
    assert torch.equal(some.points, whole.points[:20])
    assert torch.equal(some.log_det, whole.log_det[:20])
    plain = push_all(made, Particles.start(x), audit=True)
    assert torch.equal(plain.points, whole.points)


def test_without_parts_only_the_same_rows_are_known():
    x, made = torch.randn(50, 2), block()
    (known,) = remembering([made], parts=False)
    known.audit(x)
    known.audit(x.clone())
    assert made.audited == 50
    known.audit(x[:20])
    assert made.audited == 70
    known.audit(x + 1)
    assert made.audited == 120


def test_it_is_the_block_otherwise():
    made = block()
    (known,) = remembering([made], parts=True)
    x = torch.randn(3, 2)
    assert known.provides == made.provides
    assert torch.equal(known(x)[0], made(x)[0])
    assert torch.equal(known.move(x), made.move(x))
