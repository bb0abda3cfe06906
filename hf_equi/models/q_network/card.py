"""The card of EquiQNetwork."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from hf_equi.models.cards.kinds import BASE, CardKind
from hf_equi.models.cards.measuring import Probe
from hf_equi.models.cards.random_inputs import seeded

__all__ = ["QNetworkCard"]

_STATES = 16
_CHOICE = (
    "**A choice.** The symmetry is exact unless the network is equally sure of the best two members of an orbit, to "
    "within rounding. Then the two sides may choose different members. The output holds the margin between the two."
)
_FIXED = (
    "**Symmetric states.** In a state that an element leaves as it is, the values are those of the base, which need "
    "not be symmetric."
)
_ENVIRONMENT = (
    "**The environment.** The symmetry is that of the group, whether or not the environment has it. "
    "`hf_equi.testing.assert_environment_symmetric` tests an environment."
)


class QNetworkCard(CardKind):
    """The card of an EquiQNetwork."""

    pipeline_tag = "reinforcement-learning"
    what = "An agent's network that treats a state and its mirror image alike"
    use = "Use it to choose the actions of an agent in the environment that its base was trained in."
    settings: ClassVar[tuple[str, ...]] = ("lambda_units", "lambda_dropout")

    def config_settings(self, model: Any) -> dict[str, Any]:
        """The settings that the method uses."""
        found = super().config_settings(model)
        unread = () if model.method.feature_weights is not None else self.settings
        return {name: value for name, value in found.items() if name not in unread}

    def probe(self, model: Any) -> Probe:
        """Random states."""
        weight, shape = model.base.head.weight, model.base.config.state_shape
        states = torch.randn(_STATES, *shape, generator=seeded()).to(weight.device, weight.dtype)

        def run(asked: Any, states: torch.Tensor) -> torch.Tensor:
            values: torch.Tensor = asked(states=states).q_values.float()
            return values

        said = "Q-values" if model.base.config.outputs == "q_values" else "logits"
        return Probe(states, model.action, model.values_action, run, f"{_STATES} random states", said)

    def group_text(self, model: Any) -> str:
        """The elements, and the actions that they send the actions to."""
        group = model.group
        rows = "; ".join(f"{name}: {row}" for name, row in zip(group.names, group.permutations.tolist(), strict=True))
        states = "the numbers of a state" if group.images is None else f"images by `{group.images!r}`"
        return f"{group.order} elements, which move {states}. They send the actions 0, 1, … to {rows}."

    def limits(self, model: Any) -> list[str]:
        """The limits of the method."""
        found = [_CHOICE] if model.method.takes_best else []
        found += [_FIXED] if model.method.takes_best or model.method.selects_one else []
        return [*super().limits(model)[:-1], *found, _ENVIRONMENT, BASE]

    def usage(self, model: Any, place: str) -> str:
        """Code that loads the model and asks it for an action."""
        shape = ", ".join(map(str, model.base.config.state_shape))
        return "\n".join(
            [
                "import torch",
                "from hf_equi import EquiQNetwork",
                f"model = EquiQNetwork.from_pretrained({place})",
                f"print(model.greedy_actions(torch.zeros(1, {shape})))",
            ]
        )
