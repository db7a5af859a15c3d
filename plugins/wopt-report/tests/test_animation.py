"""The flow in motion: CSS alone, pausable, still where less motion is wanted, in words too."""

import re

import numpy as np
import pytest
import report_parts as parts
import torch

from wopt_report import read_plotted_run
from wopt_report.animation import animation


def run_of(folder, **tensors):
    return read_plotted_run(parts.write_run(folder, tensors=tensors))


def places(point):
    pairs = re.findall(r"--p(\d+):([-\d.]+)px,([-\d.]+)px;", point.style)
    assert [int(k) for k, *_ in pairs] == list(range(len(pairs)))
    return np.array([[float(x), float(y)] for _, x, y in pairs])


def test_points_go_where_the_particles_go(tmp_path):
    start = torch.rand(30, 2, generator=torch.Generator().manual_seed(0))
    paths = torch.stack([start, 2 * start, 3 * start])
    made = animation(run_of(tmp_path, paths=paths, backward=paths.flip(0)))
    assert len(made.there) == len(made.back) == 30
    there = np.stack([places(point) for point in made.there], 1)
    assert there.shape == (3, 30, 2)
    # Across is a rising function of the first coordinate, down a falling one of the second.
    across = np.polyfit(paths[..., 0].flatten(), there[..., 0].flatten(), 1, full=True)
    down = np.polyfit(paths[..., 1].flatten(), there[..., 1].flatten(), 1, full=True)
    assert across[0][0] > 0 > down[0][0]
    assert across[1][0] < 0.5  # rounding to a tenth: 90 residuals of variance 1 / 1200
    assert down[1][0] < 0.5
    back = np.stack([places(point) for point in made.back], 1)
    assert np.allclose(back[::-1], there, atol=0.11)


def test_its_stages_are_in_the_order_of_play(tmp_path):
    paths = torch.randn(3, 20, 2, generator=torch.Generator().manual_seed(0))
    made = animation(run_of(tmp_path, paths=paths, backward=paths.clone()))
    assert [stage.label for stage in made.stages] == [
        "preprocessed data", "block 1, h = 0.5", "block 2, h = 1",
        "samples of the target", "block 2 undone", "all blocks undone",
    ]  # fmt: skip
    delays = [stage.delay for stage in made.stages]
    assert delays == sorted(delays)
    assert max(delays) < 0
    assert all(stage.label in made.alt for stage in made.stages)
    for k in range(6):
        assert f"#motion-{k}:checked~svg *{{animation:none}}" in made.css
    for name in ("move-there", "move-back", "show-there", "show-back", "label"):
        assert f"@keyframes {name}{{" in made.css
    assert "--cycle:10.8s" in made.css


@pytest.mark.parametrize("blocks", [1, 4, 40])
def test_many_blocks_are_a_few_stages(tmp_path, blocks):
    paths = torch.randn(blocks + 1, 20, 2, generator=torch.Generator().manual_seed(0))
    made = animation(run_of(tmp_path, paths=paths))
    assert len(made.stages) == min(blocks + 1, 5)
    assert not made.back
    assert "show-there" not in made.css


def test_one_coordinate_is_spread_over_the_height(tmp_path):
    paths = torch.linspace(0, 1, 20)[None, :, None] * torch.tensor([1.0, 2.0])[:, None, None]
    made = animation(run_of(tmp_path, paths=paths))
    there = np.stack([places(point) for point in made.there], 1)
    assert np.allclose(there[0, :, 1], there[1, :, 1])
    assert there[0, :, 1].std() > 5


def test_without_a_block_or_particles_there_is_none(tmp_path):
    assert animation(run_of(tmp_path, paths=torch.zeros(1, 5, 2))) is None
    assert animation(run_of(tmp_path, paths=torch.full((2, 5, 2), torch.nan))) is None
    assert animation(run_of(tmp_path, real=torch.zeros(5, 2))) is None


def test_on_the_page(plane):
    page = parts.Page(plane / "report.html")
    source = page.source
    assert "script" not in page.tags
    assert page.tags.count("circle") == 2 * len(animation(read_plotted_run(plane)).there)
    section = source.split('id="motion-title"')[1].split("</section>")[0]
    for control in ("motion-play", "motion-pause", "motion-0", "motion-5"):
        assert f'id="{control}"' in section
        assert f'<label for="{control}"' in section
    assert 'role="img" aria-label="Points that move from data to noise and back' in section
    assert len(section) < 80_000
    styles = source.split("</style>")[0]
    assert "#motion-pause:checked ~ svg * { animation-play-state: paused; }" in styles
    less = styles.split("@media (prefers-reduced-motion: reduce)")[1][:200]
    assert "animation: none !important" in less
