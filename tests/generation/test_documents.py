"""Documents of packed rows: where they lie, apart and together again."""

from __future__ import annotations

import torch

from hf_equi.generation.documents import Documents

SHAPE = (2, 5)
IDS = torch.arange(10).view(SHAPE)
POSITIONS = torch.tensor([[0, 1, 0, 0, 1], [0, 1, 2, 3, 4]])
APART = [[0, 1, 0, 0, 0], [2, 0, 0, 0, 0], [3, 4, 0, 0, 0], [5, 6, 7, 8, 9]]


def test_documents_lie_where_positions_do_not_go_on():
    documents = Documents.of(POSITIONS, None, {}, SHAPE)
    assert documents.rows.tolist() == [0, 0, 0, 1]
    assert documents.apart(IDS, fill=0).tolist() == APART
    assert documents.mask.sum(1).tolist() == [2, 1, 2, 5]
    table = torch.stack([documents.apart(IDS, fill=-1), documents.apart(IDS, fill=-1) ** 2], -1)
    assert documents.together(table).tolist() == torch.stack([IDS, IDS**2], -1).tolist()


def test_boundaries_are_read_where_there_are_no_positions():
    for given in (
        {"cu_seq_lens_q": torch.tensor([0, 2, 3, 5, 10], dtype=torch.int32), "max_length_q": 5},
        {"seq_idx": torch.tensor([[0, 0, 1, 2, 2], [0, 0, 0, 0, 0]])},
    ):
        documents = Documents.of(None, None, given, SHAPE)
        assert documents.apart(IDS, fill=0).tolist() == APART
        others = {"token_type_ids": IDS, "task_ids": torch.tensor([7, 8]), "scale": 2.0}
        found = documents.extras({**given, **others})
        assert {name: getattr(value, "tolist", lambda: 2.0)() for name, value in found.items()} == {
            "token_type_ids": APART,
            "task_ids": [7, 7, 7, 8],
            "scale": 2.0,
        }


def test_rows_of_one_document_are_left_as_they_are():
    whole = torch.arange(5)[None]
    padded = torch.tensor([[0, 0, 0, 1, 2], [0, 1, 2, 3, 4]])
    for positions, mask in (
        (None, None),
        (whole + 2, None),
        (padded, (padded > 0).long()),
        (torch.zeros(3, 2, 5), None),  # positions of images in a text have more axes
    ):
        assert Documents.of(positions, mask, {}, SHAPE) is None
    assert Documents.of(POSITIONS, torch.ones(SHAPE), {}, SHAPE) is not None
