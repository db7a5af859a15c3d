"""Files of tensors against their schemas: one line names the file, the tensor and the fault."""

import re

import pytest
import torch

import wopt
from wopt.parallel import Team
from wopt.store.documents import read_document
from wopt.store.pieces import Index, read_pieces, write_index, write_pieces
from wopt.tensors import SCHEMAS, check_tensors, write_tensors
from wopt_report import FIGURES, SNAPSHOT

KINDS = SCHEMAS | {"figures": FIGURES, "snapshot": SNAPSHOT}

WHOLE = {
    "particles": {"points": torch.ones(5, 2), "log_det": torch.zeros(5)},
    "transform": {
        "shift": torch.zeros(2), "matrix": torch.eye(2), "inverse_matrix": torch.eye(2),
    },
    "figures": {"paths": torch.zeros(3, 5, 2), "grid_extent": torch.arange(4.0)},
    "snapshot": {"points": torch.zeros(5, 2), "exact": torch.zeros(9, 2)},
}  # fmt: skip

WRONG = [
    ("particles", {"points": None}, "`points` is missing"),
    ("particles", {"points": torch.ones(5)}, "`points` has shape (5,), wanted is (n, 2)"),
    ("particles", {"weights": torch.ones(4)}, "`weights` has shape (4,), wanted is (5)"),
    ("particles", {"gradient": torch.ones(5, 3)}, "`gradient` has shape (5, 3), wanted is (5, 2)"),
    ("particles", {"points": torch.full((5, 2), torch.nan)}, "`points` is not finite"),
    ("particles", {"points": torch.ones(0, 2)}, "`points` is empty"),
    ("particles", {"log_det": torch.zeros(5).double()}, "`log_det` is torch.float64"),
    ("transform", {"matrix": torch.ones(2, 3)}, "`matrix` has shape (2, 3), wanted is (2, 2)"),
    ("transform", {"shift": torch.ones(2).long()}, "`shift` is torch.int64"),
    ("figures", {"backward": torch.ones(4, 5, 2)}, "wanted is (3, 5, 2)"),
    ("figures", {"grid_extent": torch.ones(3)}, "`grid_extent` has shape (3,), wanted is (4)"),
    ("figures", {"labels": torch.ones(3)}, "`labels` is torch.float32, wanted is torch.uint8"),
    ("snapshot", {"exact": torch.ones(9, 3)}, "`exact` has shape (9, 3), wanted is (9, 2)"),
]


@pytest.mark.parametrize("kind", WHOLE)
def test_whole_files_pass_and_lose_what_their_schema_does_not_know(tmp_path, kind):
    tensors = WHOLE[kind] | {"other": torch.zeros(0)}
    assert check_tensors(tmp_path, tensors, KINDS[kind]).keys() == WHOLE[kind].keys()


@pytest.mark.parametrize(("kind", "change", "says"), WRONG)
def test_what_is_wrong_with_a_tensor_is_told(tmp_path, kind, change, says):
    tensors = {k: v for k, v in (WHOLE[kind] | change).items() if v is not None}
    dtype = torch.float32 if kind == "particles" else None
    path = tmp_path / "a.safetensors"
    with pytest.raises(wopt.errors.DamagedError, match=re.escape(says)) as caught:
        check_tensors(path, tensors, KINDS[kind], dtype=dtype, remedy="do this", d=2)
    assert str(caught.value).startswith(f"{path}: is damaged: ")
    assert str(caught.value).endswith("; do this")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"files": {"../x": 6}}, "not one of its files"),
        ({"files": {"a": 5}}, "rows are missing"),
        ({"files": {"a": -6}}, "files.a"),
        ({"tensors": {"points": [[6, 2], "torch.int8"]}}, "torch.float32"),
        ({"tensors": {"points": [[6, 10**12], "torch.float32"]}}, "larger than its files"),
    ],
)
def test_an_index_that_no_run_writes(tmp_path, change, says):
    folder, tensors = tmp_path / "state", {"points": torch.rand(6, 2)}
    index = written(folder, tensors)
    assert torch.equal(read_pieces(folder, index)[0]["points"], tensors["points"])
    table = read_document(folder / index, Index).to_dict()
    wopt.files.write_json(folder / index, table | change)
    with pytest.raises(wopt.errors.DamagedError, match=says):
        read_pieces(folder, index)


def written(folder, tensors):
    """Write tensors of six rows in two pieces, and return the name of the index."""
    for rank, points in enumerate(tensors["points"].split(3)):
        write_pieces(folder, "001", {"points": points}, 6, Team(rank, 2))
    return write_index(folder, "001", tensors, 6, Team(size=2))


def test_pieces_of_another_length_or_type_are_told(tmp_path):
    tensors = {"points": torch.rand(6, 2)}
    index = written(tmp_path, tensors)
    piece = tmp_path / "001-00002-of-00002.safetensors"
    for wrong in (torch.rand(2, 2), torch.rand(3, 3), torch.rand(3, 2).double()):
        write_tensors(piece, {"points": wrong}, {})
        with pytest.raises(wopt.errors.DamagedError, match=r"00002\.safetensors.*`points`"):
            read_pieces(tmp_path, index)
    (tmp_path / index).unlink()
    with pytest.raises(wopt.errors.DamagedError, match="is missing"):
        read_pieces(tmp_path, index)
