"""Policies of Q-networks: what acts in an environment."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from hf_equi.checks import check_between, check_seed, check_share
from hf_equi.errors import ActionError, ConfigurationError

__all__ = ["QPolicy", "ScoresActions"]


class ScoresActions(Protocol):
    """What `QPolicy` asks of a network; `QNetwork` and `EquiQNetwork` have it."""

    device: Any
    dtype: Any

    def __call__(self, *, states: torch.Tensor) -> Any:
        """Return an output with `q_values`, `(B, A)`."""

    def greedy_actions(self, states: torch.Tensor) -> torch.Tensor:
        """Return the best action in each state, `(B,)`."""


class QPolicy:
    r"""A policy that acts by the Q-values of a network, as Stable-Baselines3 and gymnasium loops call it.

    With `deterministic=True` it takes the network's `greedy_actions`, which commute with the group if it is an
    `EquiQNetwork`. Otherwise it draws actions from one of

    $$ \pi(a \mid s) = (1 - \varepsilon) \frac{[a \in \arg\max Q(s, \cdot)]}{|\arg\max Q(s, \cdot)|}
       + \frac{\varepsilon}{A} \qquad\text{or}\qquad \pi(a \mid s) = \text{softmax}(Q(s, \cdot) / \tau)_a $$

    Both are equivariant in law, $\pi(ga \mid gs) = \pi(a \mid s)$, where Q is equivariant. So is the choice between
    actions that tie, each of which is as likely; `argmax` would prefer the lowest number, on both sides of a mirror.

    Args:
        network (`QNetwork` or `EquiQNetwork`):
            The network. Of a policy network, whose outputs are logits, `temperature=1.0` draws from its own law.
        epsilon (`float`, *optional*, defaults to 0.0):
            ε, the probability of an action that is drawn uniformly.
        temperature (`float`, *optional*):
            τ, instead of ε.
        seed (`int`, *optional*):
            The seed of what is drawn; by default another one each time.

    Raises:
        ConfigurationError: For another network; for ε outside of 0 to 1, τ that is not above 0, or both; for a wrong
            seed.

    Cost: one call of the network for each call of `predict`.

    Example:
        ```python
        >>> import numpy as np
        >>> from hf_equi import QNetwork, QNetworkConfig, symmetrize
        >>> from hf_equi.environments import QPolicy
        >>> from hf_equi.groups import CARTPOLE
        >>> network = symmetrize(QNetwork(QNetworkConfig(state_shape=[4], num_actions=2)), CARTPOLE)
        >>> policy = QPolicy(network, epsilon=0.1, seed=0)
        >>> actions, _ = policy.predict(np.ones((3, 4), dtype=np.float32), deterministic=False)
        >>> actions.shape, actions.dtype
        ((3,), dtype('int64'))

        ```
    """

    def __init__(
        self,
        network: ScoresActions,
        epsilon: float = 0.0,
        *,
        temperature: float | None = None,
        seed: int | None = None,
    ) -> None:
        if not all(hasattr(network, name) for name in ("device", "dtype", "greedy_actions")):
            raise ConfigurationError(
                f"network= is a {type(network).__name__}, not a QNetwork or EquiQNetwork: "
                "QNetwork.from_stable_baselines3(agent) reads that of an agent"
            )
        check_share("epsilon", epsilon)
        check_seed(seed)
        if temperature is not None:
            check_between("temperature", temperature)
            if epsilon:
                raise ConfigurationError("epsilon and temperature explore in two ways: pass one of them")
        self.network, self.epsilon, self.temperature = network, epsilon, temperature
        self._noise = torch.Generator("cpu")
        if seed is None:
            self._noise.seed()
        else:
            self._noise.manual_seed(seed)

    def predict(
        self,
        observation: NDArray[Any],
        state: Any = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = True,
    ) -> tuple[Any, Any]:
        """Return the actions to take.

        Args:
            observation (`numpy.ndarray`):
                One state, `(S,)` or `(C, H, W)`, or one for each of B environments. Images of bytes (`uint8`) are
                passed on as they are, other numbers in the precision of the network.
            state: The state of a recurrent policy, which is returned as it is: a `QPolicy` has none.
            episode_start (`numpy.ndarray` of shape `(B,)`, *optional*):
                Where episodes begin, which only recurrent policies need.
            deterministic (`bool`, *optional*, defaults to `True`):
                `False` explores, as ε or τ says, and breaks ties at random.

        Returns:
            The actions, int64: a number for one state, `(B,)` for several; and `state`.

        Raises:
            ActionError: For observations that are not one array of numbers, or of another number of axes; for values
                that are NaN; as the network.
        """
        states, single = _read(observation, self.network)
        if deterministic:
            actions = self.network.greedy_actions(states)
        else:
            with torch.no_grad():
                actions = self._drawn(self.network(states=states).q_values.float().cpu())
        found: NDArray[np.int64] = actions.cpu().numpy()
        return (found[0] if single else found), state

    def _drawn(self, values: torch.Tensor) -> torch.Tensor:
        """Draw an action for each row of scores, `(B, A)`."""
        if bool(values.isnan().any()):
            raise ActionError("The values are NaN, so no action can be drawn: look at the weights and the states.")
        if self.temperature is not None:
            shares = (values / self.temperature).softmax(1)
        else:
            shares = (values == values.amax(1, keepdim=True)).float()  # multinomial makes them add up to 1
        drawn = torch.multinomial(shares, 1, generator=self._noise).squeeze(1)
        if not self.epsilon:
            return drawn
        anywhere = torch.randint(values.shape[1], drawn.shape, generator=self._noise, device="cpu")
        return torch.where(
            torch.rand(drawn.shape, generator=self._noise, device="cpu") < self.epsilon, anywhere, drawn
        )


def _read(observation: Any, network: ScoresActions) -> tuple[torch.Tensor, bool]:
    """Return observations as the network reads them, and whether there was a single one."""
    try:
        states = torch.from_numpy(np.ascontiguousarray(observation))
    except (TypeError, ValueError) as error:
        given = type(observation).__name__
        hint = (
            " env.reset() of gymnasium returns a pair: pass its first part." if isinstance(observation, tuple) else ""
        )
        raise ActionError(f"An observation is one array of numbers; received a {given}.{hint}") from error
    axes = states.dim()
    if axes not in (1, 2, 3, 4):
        raise ActionError(
            f"An observation has the shape (S,) or (C, H, W), and (B, S) or (B, C, H, W) for B environments; received "
            f"{tuple(states.shape)}."
        )
    image = axes > 2 and states.dtype == torch.uint8
    states = states.to(network.device) if image else states.to(network.device, network.dtype)
    single = axes in (1, 3)
    return (states.unsqueeze(0) if single else states), single
