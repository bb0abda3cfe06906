"""The base of all wrapped models of point clouds: run the base on orbits or frames, and combine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from transformers import AutoModel, PreTrainedModel

from hf_equi.actions import PointAction, VectorAction
from hf_equi.bases.orbit_reader import OrbitRows, Outputs
from hf_equi.canonicalization import LearnedMember
from hf_equi.canonicalization.finite import FiniteCanonicalizer
from hf_equi.errors import ConfigurationError, UnsupportedModelError
from hf_equi.groups import FiniteGroup
from hf_equi.models.canonicalized import CanonicalizedModel
from hf_equi.models.point_clouds.processor import PointCloudProcessor
from hf_equi.models.processors import load_processor
from hf_equi.networks.point_clouds.inputs import read_cloud
from hf_equi.networks.point_clouds.modeling_point_clouds import PointCloudModel
from hf_equi.symmetrizers import Select
from hf_equi.symmetrizers.weigh import joint_log_weights

__all__ = ["EquiPointCloudModel"]

_TRIED_POINTS = 16
"""The points of the random clouds on which a canonicalizer is checked."""
_POINTS_AT_ONCE = 2**10
"""The points that a CPU reads at once in evaluation, so that what it computes stays in its caches."""


class EquiPointCloudModel(CanonicalizedModel):
    """A model of point clouds made equivariant to a group of space.

    The model class of a task sets `base_class`, and defines `forward`.
    """

    auto_class: ClassVar[Any] = AutoModel
    base_class: ClassVar[type[PointCloudModel]]
    """The class of the bases."""
    main_input_name = "points"
    what_is_read = "clouds"
    accepts_loss_kwargs = False
    shares_members = False  # clouds with a symmetry of their own are rare, and looking for them costs |G| motions
    processor: PointCloudProcessor | None = None
    """What turns files and arrays into tensors; `None` if the base came without it."""

    def __init__(self, config: Any, base: PreTrainedModel | None = None, canonicalizer: Any = None) -> None:
        if canonicalizer is None and config.has_group:
            _require_canonicalizer(config)
        super().__init__(config, base, canonicalizer)

    @classmethod
    def check_base(cls, base: PreTrainedModel | type[PreTrainedModel]) -> None:
        """Refuse a base of another kind."""
        kind = base if isinstance(base, type) else type(base)
        if not issubclass(kind, cls.base_class):
            raise UnsupportedModelError(
                f"{kind.__name__} is not a {cls.base_class.__name__}: use a network of hf_equi.networks, or a "
                f"subclass of {cls.base_class.__name__} of your own"
            )

    @classmethod
    def read_by_canonicalizers(cls, config: Any) -> tuple[PointAction, tuple[int, ...]]:
        """Points, and the shape of a small cloud."""
        return PointAction(config.read_group()), (_TRIED_POINTS, 3)

    def input_shape(self) -> tuple[int, ...]:
        """The shape of a small cloud."""
        return (_TRIED_POINTS, 3)

    def make_action(self, group: Any) -> PointAction:
        """Make the group's action on points."""
        self._vector_action = VectorAction(group)
        return PointAction(group)

    @property
    def vector_action(self) -> VectorAction:
        """The group's action on vectors, such as velocities, which no translation moves."""
        return self._vector_action

    def prepare(self) -> None:
        """Make the network of the method, if it has one."""
        self.add_network(self.base.feature_size)

    def rows_at_once(self, x: torch.Tensor) -> int:
        """The clouds that a CPU reads at once in evaluation."""
        return max(_POINTS_AT_ONCE // x.shape[1], 1)

    @property
    def base_forwards(self) -> int:
        """How often the base reads a cloud, if a canonicalizer names one pose; the frames of a continuous group."""
        select, group = self.method.select, self.group
        if isinstance(select, LearnedMember):
            return len(select.theta_in(group)) + int(select.network.base_forwards)
        if self.method.selects_one:
            return 1
        if isinstance(group, FiniteGroup):
            return int(group.order)
        return self.select_members(self.action, torch.eye(3)[None]).elements.shape[1]

    def _cloud(self, given: Any, mask: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return checked clouds, and which points there are."""
        name = self.main_input_name
        if given is None:
            raise ConfigurationError(f"{type(self).__name__} needs {name}")
        points, kept = read_cloud(given, mask, self.base.least_points, name)
        if kept is not None and isinstance(self._modules.get(Select.network_name), FiniteCanonicalizer):
            raise ConfigurationError(
                "mask=: a canonicalizer of a finite group scores whole clouds and would read the padding. Pass clouds "
                "of one size, or choose method='equitune'"
            )
        return points, kept

    def _read(
        self,
        given: Mapping[str, Any],
        run: Callable[..., Outputs],
        outputs: Mapping[str, Any] | None = None,
    ) -> tuple[OrbitRows, torch.Tensor | None]:
        """Return the rows of the orbits, and the members' log-weights."""
        weigh = self.method.feature_weights
        rows = self.read_orbits(
            given,
            lambda rows: run(**rows, output_features=weigh is not None),
            outputs,
            self.what_is_read,
            mask=given.get("mask"),
        )
        if weigh is None:
            return rows, None
        return rows, joint_log_weights(weigh.log_weights(rows.by_member("features")))

    def _save_companions(self, folder: Path) -> None:
        """Save what turns files and arrays into tensors."""
        if self.processor is not None:
            self.processor.save_pretrained(folder)

    @classmethod
    def _load_companions(cls, path: Any, config: Any, hub: dict[str, Any]) -> dict[str, Any]:
        return {"processor": load_processor(PointCloudProcessor, path, hub)}

    def _require_processor(self) -> PointCloudProcessor:
        """Return the processor."""
        if self.processor is None:
            raise ConfigurationError(
                "This model has no processor: set model.processor = PointCloudProcessor(), or call the model with "
                "tensors"
            )
        return self.processor


def _require_canonicalizer(config: Any) -> None:
    """Refuse a canonical method of a finite group without a canonicalizer, since none is made by default."""
    select = config.create_method().select
    if isinstance(select, LearnedMember) and select.description is None:
        raise ConfigurationError(
            f"method={config.method!r} needs a canonicalizer for a finite group: pass "
            "canonicalizer=hf_equi.canonicalization.OrbitScorer(network, PointAction(group)) with a network that "
            "scores clouds, or choose a continuous group, such as SO3()"
        )
