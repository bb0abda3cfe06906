from __future__ import annotations

import pytest
from transformers import Sapiens2Config, VitPoseConfig

from hf_equi.models.dense.key_points import pairs_of, pairs_of_names

COCO = ["Nose", "L_Eye", "R_Eye", "L_Ear", "R_Ear", "L_Shoulder", "R_Shoulder", "L_Elbow", "R_Elbow"]


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (COCO, [[1, 2], [3, 4], [5, 6], [7, 8]]),
        (["right_hand", "left_hand", "head"], [[0, 1]]),
        (["ankle (left)", "ankle (right)"], [[0, 1]]),
        (["eye_l", "eye_r", "leftover", "larynx"], [[0, 1]]),
        (["left_eye", "right_eye", "left_ear"], None),  # what is not known whole is not guessed
        (["LABEL_0", "LABEL_1"], None),
        ([], None),
    ],
)
def test_names_that_differ_in_their_side_are_pairs(names, pairs):
    assert pairs_of_names(dict(enumerate(names))) == pairs


def test_what_a_config_states_comes_first():
    named = {"id2label": dict(enumerate(COCO))}
    assert pairs_of(Sapiens2Config(flip_pairs=[[0, 1]], **named)) == [[0, 1]]
    assert pairs_of(Sapiens2Config(flip_pairs=[])) == []
    assert pairs_of(VitPoseConfig(**named)) == [[1, 2], [3, 4], [5, 6], [7, 8]]
    assert pairs_of(VitPoseConfig()) is None
