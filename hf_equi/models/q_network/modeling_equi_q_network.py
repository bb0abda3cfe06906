"""EquiQNetwork: a Q-network or a policy made equivariant to the symmetries of its environment."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, cast

import torch
from transformers import AutoModel, PreTrainedModel
from transformers.utils import ModelOutput

from hf_equi.actions import ColumnAction, PixelAction, VectorAction, state_action, values_action
from hf_equi.bases.orbit_reader import OrbitRows
from hf_equi.errors import ActionError, ConfigurationError, UnsupportedModelError
from hf_equi.groups import EnvironmentGroup
from hf_equi.models.base import EquiPreTrainedModel
from hf_equi.models.cards.kinds import CardKind
from hf_equi.models.q_network.card import QNetworkCard
from hf_equi.models.q_network.configuration_equi_q_network import EquiQNetworkConfig
from hf_equi.networks.q_network import QNetwork
from hf_equi.networks.q_network.labelled import labelled_loss
from hf_equi.networks.q_network.modeling_q_network import NO_BEST_ACTION
from hf_equi.symmetrizers import Method
from hf_equi.symmetrizers.choice import only_largest
from hf_equi.symmetrizers.weigh import joint_log_weights

__all__ = ["EquiQNetwork", "EquiQNetworkOutput"]


@dataclass
class EquiQNetworkOutput(ModelOutput):
    """The output of `EquiQNetwork`.

    Args:
        loss: `()` with `labels`.
        q_values: `(batch, actions)` the value of each action, or the logits of a policy.
        chosen_element: `(batch,)` the element whose member decided: for `"equizero"` the one that it took, for
            `"canonical"` and `"identity"` the only one that was read.
        margin: `(batch,)` how much surer the network was of that member than of the next one, for `"equizero"`.
        group_weights: `(batch, group)` the weights of `"lambda"`, which add up to 1.
    """

    loss: torch.Tensor | None = None
    q_values: torch.Tensor | None = None
    chosen_element: torch.Tensor | None = None
    margin: torch.Tensor | None = None
    group_weights: torch.Tensor | None = None


class EquiQNetwork(EquiPreTrainedModel):
    r"""A Q-network that treats a state and its mirror image alike, without retraining.

    $$ Q_G(gs, ga) = Q_G(s, a), \qquad Q_G(s, \cdot) = \text{combine}_g\; g^{-1} Q(gs, \cdot) $$

    Methods: equi-tuning (the mean), equizero (the member of which the network is surest), λ-equitune (a weighted
    mean), canonical (the smallest member of the orbit). Equizero takes
    $g^* = \arg\max_g \max_a \text{softmax}(Q(gs, \cdot))_a$ and acts by $g^{*-1} a$.

    If several members tie, equizero takes the smallest one, so the equations hold for ties too. A state that some
    element leaves as it is has equal members. For such a state equizero and canonical return the network's own values,
    which need not be symmetric, and the equations hold up to the elements that fix the state. The means are exactly
    symmetric there.

    Args:
        config: The model's configuration.
        base: The base model, shared and not copied; by default a new one from the configuration.

    Raises:
        UnsupportedModelError: For a base that is not a `QNetwork`.
        ConfigurationError: For a configuration without a group, or with one that does not fit the base.

    Cost: one base forward of |G| times as many states; for canonical and identity one of as many. Guarantee: exact to
    the rounding of values of their size; equizero up to its margin.

    References:
        arXiv 2305.09900, §4.1 and §C.1; arXiv 2006.16908, section 3.2.

    Example:
        >>> from hf_equi import QNetwork, QNetworkConfig, symmetrize
        >>> from hf_equi.groups import CARTPOLE
        >>> model = symmetrize(QNetwork(QNetworkConfig(state_shape=4, num_actions=2)), CARTPOLE, "equizero")
        >>> states = torch.randn(5, 4)
        >>> torch.allclose(model(-states).q_values, model(states).q_values.flip(1), atol=1e-5)
        True
    """

    config_class = EquiQNetworkConfig
    auto_class: ClassVar[Any] = AutoModel
    card_kind: ClassVar[CardKind] = QNetworkCard()
    main_input_name = "states"
    accepts_loss_kwargs = False
    shares_members = False  # a small network reads a state in less time than it takes to compare two

    @classmethod
    def check_base(cls, base: PreTrainedModel | type[PreTrainedModel]) -> None:
        """Refuse a base that is not a Q-network."""
        kind = base if isinstance(base, type) else type(base)
        if not issubclass(kind, QNetwork):
            raise UnsupportedModelError(
                f"{kind.__name__} is not a QNetwork: read one with QNetwork.from_stable_baselines3(path), or make one "
                "with QNetwork(QNetworkConfig(...))"
            )

    def make_action(self, group: EnvironmentGroup) -> VectorAction | PixelAction:
        """Make the group's action on states, and on the scores of actions."""
        self._values_action = values_action(group)
        return state_action(group)

    def prepare(self) -> None:
        """Make the network of the method, if it has one."""
        self.add_network(self.base.feature_size)

    @property
    def device(self) -> torch.device:
        """That of the base."""
        device: torch.device = self.base.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """That of the base."""
        dtype: torch.dtype = self.base.dtype
        return dtype

    @property
    def group(self) -> EnvironmentGroup:
        """The group that the model is equivariant to."""
        return cast("EnvironmentGroup", self._values_action.group)

    @property
    def values_action(self) -> ColumnAction:
        """The group's action on the scores of actions."""
        return self._values_action

    def forward(
        self,
        states: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> EquiQNetworkOutput | tuple[Any, ...]:
        """Score the actions in some states.

        Args:
            states: `(batch, S)` floating numbers, or images `(batch, channels, height, width)`, floating or bytes.
            labels: As in `QNetwork`, for the loss.
            return_dict: `False` for a tuple; by default as in the config.
            **kwargs: None that a `QNetwork` takes; hidden states and attentions are refused.

        Raises:
            ActionError: For states of another shape, kind or precision, without numbers, or with NaN.
            ConfigurationError: Without states; for labels of another shape or kind; for hidden states or attentions.
        """
        method = self.method
        rows, log_weights = self._read(states, method, self.checked_extras(kwargs))
        values, decision = rows.combine("q_values", method.combine, log_weights)
        # If the sum is a number, there is no NaN. Values are fewer than states, and NaN spreads to all of them.
        if not torch.compiler.is_exporting() and math.isnan(float(values.detach().sum())):
            _refuse_infinite(states)
        loss = None
        if labels is not None:
            loss = self.penalised(labelled_loss(self.base.config.outputs, values, labels), rows.selection)
        weights = None if log_weights is None else log_weights.softmax(1)
        chosen = rows.selection.only if decision.chosen_element is None else decision.chosen_element
        return self.returned(EquiQNetworkOutput(loss, values, chosen, decision.margin, weights), return_dict)

    def _read(
        self, states: torch.Tensor | None, method: Method, extras: dict[str, Any]
    ) -> tuple[OrbitRows, torch.Tensor | None]:
        """Return the rows of the orbits, and the members' log-weights."""
        if states is None:
            raise ConfigurationError("EquiQNetwork needs states")
        base, weigh = self.base, method.feature_weights
        base.check_states(states)
        run = partial(_read_rows, base, extras, weigh is not None)
        rows = self.read_orbits({"states": states}, run, {"q_values": self._values_action}, "states")
        log_weights = None
        if weigh is not None:
            log_weights = joint_log_weights(weigh.log_weights(rows.by_member("features")))
        return rows, log_weights

    def greedy_actions(self, states: torch.Tensor) -> torch.Tensor:
        r"""Return the best action in each state.

        $$ a(gs) = g\, a(s) $$

        If several actions tie, the choice is made in the frame of the smallest member of the orbit, where the action
        with the lowest number wins. So the equation holds for ties too, except in a state that some element leaves as
        it is: there an action and its mirror image tie, and one of them has to be taken.

        Args:
            states: As in `forward`.

        Returns:
            `(batch,)` int64.

        Raises:
            ActionError: As in `forward`.

        Cost: that of `forward`. Ties cost the keys of the orbits.
        """
        with torch.no_grad():
            method = self.method
            rows, log_weights = self._read(states, method, {})
            actions = rows.best("q_values", method.combine, log_weights)
            if actions is not None:
                return actions
            return self.best_actions(rows.combine("q_values", method.combine, log_weights)[0], states)

    def best_actions(self, values: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """Return the best action in each state, given its scores; ties as in `greedy_actions`.

        Args:
            values: `(batch, actions)` the scores of the model.
            states: As in `forward`.
        """
        if values.shape[1] == 1:
            return values.argmax(1)
        actions = only_largest(values)
        if actions is not None:
            return actions
        if bool(values.isnan().any()):
            _refuse_infinite(states)
            raise ActionError(NO_BEST_ACTION)
        element = self.action.canonical_element(states)
        canonical = self._values_action.apply(element, values)
        return self._values_action.apply(self.group.inverse(element), canonical.argmax(1))


def _read_rows(base: QNetwork, extras: dict[str, Any], features: bool, rows: dict[str, Any]) -> dict[str, Any]:
    """Return the base's scores and features of some states."""
    out = base(**rows, **extras, output_features=features, return_dict=False)
    return {"q_values": out[0], "features": out[1]} if features else {"q_values": out[0]}


def _refuse_infinite(states: torch.Tensor | None) -> None:
    """Refuse states with NaN, of which no member is the smallest, or infinity, if values are NaN for it."""
    if states is not None and states.is_floating_point() and not bool(states.isfinite().all()):
        raise ActionError(
            "states= holds NaN or infinity: look for a division by zero in the environment or its wrappers."
        )
