"""Which action moves the pixels of a model."""

from __future__ import annotations

import pytest
from wrapped_vision import SQUARE

from hf_equi import PixelAction
from hf_equi.actions import PlaneAction
from hf_equi.errors import ActionError
from hf_equi.groups import O2
from hf_equi.models.vision.image_actions import image_action


@pytest.mark.parametrize(("group", "kind"), [(SQUARE, PixelAction), (O2(), PlaneAction)])
def test_finite_and_continuous_groups_have_their_own_action(group, kind):
    action = image_action(group, "circular")
    assert (type(action), action.group, action.padding) == (kind, group, "circular")
    with pytest.raises(ActionError, match="padding='zeros' is not known"):
        image_action(group, "zeros")
