"""The loss of scores of actions, for Q-networks and for those that wrap them."""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy, smooth_l1_loss

from hf_equi.errors import ConfigurationError

__all__ = ["labelled_loss"]


def labelled_loss(outputs: str, values: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    r"""Return the loss of the scores of actions.

    $$ \frac{1}{n} \sum_{(s, a)} \text{huber}\big(Q(s, a) - y(s, a)\big) \qquad\text{or}\qquad
    -\frac{1}{B} \sum_s \log \text{softmax}(z(s))_{a_s} $$

    over the n targets y that are numbers, for Q-values; for logits z, over the actions taken.

    Args:
        outputs: `"q_values"` or `"logits"`.
        values: `(B, A)` the scores.
        labels: `(B, A)` targets, NaN where there is none; for logits `(B,)` int64 actions.

    Raises:
        ConfigurationError: For labels of another shape or kind, actions that do not exist, or no target that is a
            number.

    Example:
        >>> labelled_loss("q_values", torch.tensor([[1.0, 5.0]]), torch.tensor([[3.0, torch.nan]]))
        tensor(1.5000)
    """
    if not isinstance(labels, torch.Tensor):
        raise ConfigurationError(f"labels= is a {type(labels).__name__}: pass a tensor")
    if outputs == "logits":
        count = values.shape[1]
        if labels.shape != values.shape[:1] or labels.is_floating_point() or labels.dtype == torch.bool:
            raise ConfigurationError(
                f"labels= of a policy are actions, {values.shape[0]} whole numbers; received {labels.dtype} of the "
                f"shape {tuple(labels.shape)}"
            )
        if not bool(((labels >= 0) & (labels < count)).all()):
            raise ConfigurationError(f"labels= of a policy are actions, from 0 to {count - 1}; received others")
        return cross_entropy(values, labels.long())
    if labels.shape != values.shape or not labels.is_floating_point():
        raise ConfigurationError(
            f"labels= of Q-values are targets, floating numbers of the shape {tuple(values.shape)}, NaN for actions "
            f"without one; received {labels.dtype} of the shape {tuple(labels.shape)}"
        )
    counted = ~labels.isnan()
    if not bool(counted.any()):
        raise ConfigurationError("labels= holds NaN alone: give the target of one action or more")
    return smooth_l1_loss(values[counted], labels[counted].to(values.dtype))
