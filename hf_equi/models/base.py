"""The core of every wrapped model: a base, an action and a method inside a `PreTrainedModel`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.utils import ModelOutput

from hf_equi.bases.compat import CACHE
from hf_equi.bases.offloading import computing_device
from hf_equi.bases.orbit_reader import OrbitReader, OrbitRows, Outputs, check_batch
from hf_equi.errors import ConfigurationError
from hf_equi.groups import FiniteGroup
from hf_equi.models.configuration_equi import entries_of, method_key
from hf_equi.models.hub.buffers import put_back, unsaved_buffers
from hf_equi.models.hub.checkpoints import CheckpointMixin
from hf_equi.models.peft.bases import attach_adapter, bare_base, check_adapter_names, refused_prompts
from hf_equi.symmetrizers import Combine, Draws, Method, Part, Select, Selection, Weigh
from hf_equi.symmetrizers.outside_loss import refuse_outside_loss

__all__ = ["NETWORKS", "EquiPreTrainedModel"]

NETWORKS = tuple(kind.network_name for kind in (Select, Weigh, Combine))
"""The names of a method's networks in its model."""

_Output = TypeVar("_Output", bound=ModelOutput)


class EquiPreTrainedModel(CheckpointMixin, PreTrainedModel):  # type: ignore[misc]
    r"""A pretrained model made equivariant to a group: the part that all tasks share.

    $$ M_G(gx) = g M_G(x) $$

    The model class of a task sets `config_class`, `auto_class` and `card_kind`, and defines `check_base`,
    `make_action` and `forward`. It holds the base (`base`), the group's action (`action`), the method that makes one
    output of an orbit (`method`), and the networks of the method's parts (`select_network`, `lambda_network`,
    `combine_network`).

    Args:
        config: The model's configuration.
        base: The base model, shared and not copied; by default a new one from the configuration.
        select_network: The network by which the method selects members, if it has one; by default a new one.

    Raises:
        UnsupportedModelError: For a base that cannot be wrapped.
        ConfigurationError: For a configuration without a group.
    """

    auto_class: ClassVar[Any]
    """The Auto class of the bases, and of the model itself."""
    base_model_prefix = "base"
    config: Any
    supports_gradient_checkpointing: bool
    shares_members: ClassVar[bool] = True
    """Whether equal members of an orbit share a row of the base. Looking for them costs |G| motions."""
    _made: tuple[tuple[Any, ...], tuple[nn.Module | None, ...] | None, Method]
    _skip_keys_device_placement = [CACHE]  # noqa: RUF012  as transformers declares it
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    def __init__(
        self, config: Any, base: PreTrainedModel | None = None, select_network: nn.Module | None = None
    ) -> None:
        if not config.has_group:
            raise ConfigurationError(
                f"An {type(self).__name__} needs a group, and everything that its config stores about one: make the "
                "model with hf_equi.symmetrize(model, group)."
            )
        if base is not None:
            self.check_base(base)  # before anything in the config changes
            config._attn_implementation = base.config._attn_implementation
        super().__init__(config)
        self._hold(base, select_network)
        self.prepare()
        self._hold_networks()
        self.post_init()  # type: ignore[no-untyped-call]

    @classmethod
    def auto_class_of(cls, config: Any) -> Any:
        """Return the Auto class of the base of a config, and of the model itself: by default the one of all of them.

        Args:
            config: A config of this model.
        """
        return cls.auto_class

    @classmethod
    def check_base(cls, base: PreTrainedModel | type[PreTrainedModel]) -> None:
        """Refuse a base that cannot be wrapped.

        Raises:
            UnsupportedModelError: For such a base; the message says which bases can be wrapped.
        """
        raise NotImplementedError(f"{cls.__name__} must define check_base(base)")

    def make_action(self, group: Any) -> Any:
        """Make the action of the config's group on the model's input; called once, after base and method exist."""
        raise NotImplementedError(f"{type(self).__name__} must define make_action(group)")

    def prepare(self) -> None:
        """Make what else the model holds, once its base and its method exist: by default nothing."""

    def input_shape(self) -> tuple[int, ...] | None:
        """The shape of one input, for a network that selects members; `None` for texts."""
        return None

    def input_actions(self) -> dict[str, Any]:
        """Return the group's action on each input that moves, by name, the main one first; by default only that."""
        return {self.main_input_name: self.action}

    def rows_at_once(self, x: torch.Tensor) -> int | None:
        """The most rows that a CPU reads at once in evaluation, for the main input: by default all (`None`)."""
        return None

    def read_orbits(
        self,
        given: Mapping[str, Any],
        run: Callable[[dict[str, Any]], Outputs],
        outputs: Mapping[str, Any] | None = None,
        what: str = "samples",
        *,
        mask: torch.Tensor | None = None,
        draws: Draws | None = None,
    ) -> OrbitRows:
        """Run the base on those members of the orbits of tensors that the method asks for.

        Args:
            given: The base's inputs, by name: inputs that move, inputs with one entry for each sample, and anything
                else.
            run: Calls the base on rows, given by name, and returns its outputs by name.
            outputs: The group's action on each output; it does not act on outputs that are not named.
            what: A description of the samples, for a message.
            mask: `(batch, N)`, 0 where a sample is padded, for what selects members; `None` for no padding.
            draws: The source of random elements; by default torch's generator.

        Raises:
            ActionError: If the group does not act on the data, or there are none.
            UnsupportedModelError: If memory runs out, with advice.

        Cost: one base forward for each distinct member.
        """
        base, inputs = self.base, {name: one for name, one in self.input_actions().items() if name in given}
        first = next(iter(inputs))
        check_batch(given[first], first, what)
        selection = self.select_members(inputs[first], given[first], mask, draws=draws)
        chunk, piece = entries_of(self.config)["orbit_chunk_size"], self.rows_at_once(given[first])
        reader = OrbitReader(inputs, outputs or {}, chunk, piece, distinct=self.shares_members)
        return reader.read(base, run, given, selection, what)

    def _hold(self, base: PreTrainedModel | None, select_network: nn.Module | None) -> None:
        """Hold the base, or make a new one from the config."""
        self._owns_weights = base is None
        self._peft_base: tuple[Any, ...] = ()
        self._frozen: tuple[str, ...] = ()
        self._unsaved: dict[str, dict[str, torch.Tensor]] = {}
        if base is None:
            self.config.name_classes()
            base = self._new_base()
            self.check_base(base)
        self.add_module("base", base)
        # Both models share one config object, so that a change in either is seen by both.
        self.config.base_config = base.config
        if not self._owns_weights:
            self.config.follow_base()
        self._share_quantization(base)
        self._made = (method_key(self.config), None, self.config.create_method())
        group = self.config.read_group()
        for part, given in ((self.method.select, select_network), (self.method.combine, None)):
            self._add_network(part, given, group, self.input_shape())
        self._is_stateful = base._is_stateful
        self.supports_gradient_checkpointing = base.supports_gradient_checkpointing
        if base.can_generate() and base.generation_config is not None:
            self.generation_config = copy.deepcopy(base.generation_config)
        self._loaded_base = None
        self._action: Any = self.make_action(group)

    def returned(self, result: _Output, return_dict: bool | None) -> _Output | tuple[Any, ...]:
        """Return the output, or a tuple of it if the call or else the config asks for one, as in transformers."""
        wanted = self.config.return_dict if return_dict is None else return_dict
        return result if wanted else result.to_tuple()

    def _new_base(self) -> Any:
        """Make a base from the config, with the adapter that it had."""
        base = self.auto_class_of(self.config).from_config(self.config.base_config)
        if self.config.adapter is not None:
            adapted = attach_adapter(base, self.config.adapter)
            self.hold_peft_base(adapted)
            base = bare_base(adapted)
            self._frozen = tuple(name for name, weight in base.named_parameters() if not weight.requires_grad)
        return base

    def freeze_again(self) -> None:
        """Freeze what the adapter of a new base had frozen, because loading unfreezes all weights."""
        for name in self._frozen:
            self.base.get_parameter(name).requires_grad_(False)

    def settle(self) -> None:
        """Do what has to wait until loaded weights have their values."""
        for name, buffers in self._unsaved.items():
            put_back(self.get_submodule(name), buffers)
        self._unsaved = {}
        self.freeze_again()

    def hold_peft_base(self, model: Any) -> None:
        """Note the `PeftModel` that `unwrap` returns: the base is its model, or stands for it."""
        self._peft_base = (model,)  # in a tuple, so that the base's weights are not registered a second time

    def _share_quantization(self, base: PreTrainedModel) -> None:
        """Mark the weights as quantised where saving and loading look: in the outer config and model."""
        if getattr(base.config, "quantization_config", None) is not None:
            self.config.quantization_config = base.config.quantization_config
        if getattr(base, "hf_quantizer", None) is not None:
            self.hf_quantizer = base.hf_quantizer
            self.is_quantized = True

    @property
    def base(self) -> Any:  # type: ignore[override]
        """The base model."""
        # torch looks in three places for a part, which takes as long as a layer of a small base.
        base = self._modules.get("base")
        if base is None:
            raise AttributeError(f"This {type(self).__name__} holds no base yet")
        return base

    @property
    def group(self) -> FiniteGroup:
        """The group that the model is equivariant to."""
        group: FiniteGroup = self.action.group
        return group

    @property
    def method(self) -> Method:
        """The method that makes one output of an orbit. It is made again if its settings in the config change.

        Raises:
            ConfigurationError: If the new method needs a network that this model does not have.
        """
        key, held, method = self._made
        # Replicas and peft replace networks by others. Until all networks exist, none are held.
        if key == method_key(self.config) and (held is None or held == self._networks):
            return method
        return self._hold_networks()

    @property
    def _networks(self) -> tuple[nn.Module | None, ...]:
        """Return the networks of the method, in the order of its parts."""
        return tuple(map(self._modules.get, NETWORKS))

    def _hold_networks(self) -> Method:
        """Hold the method of the config, its parts with their networks."""
        key, _, method = self._made
        if key != method_key(self.config):
            method = self.config.create_method()
        method = method.with_networks(self._modules.get)
        self._made = (method_key(self.config), self._networks, method)
        return method

    def select_members(
        self,
        action: Any,
        x: torch.Tensor,
        mask: torch.Tensor | None = None,
        to_score: bool = False,
        draws: Draws | None = None,
    ) -> Selection:
        """Return the members that the method asks for; with `to_score`, those for scoring a known output."""
        return self.method.select(action, x, mask, draws, to_score=to_score, base=self.base)

    def network_dtype(self, part: Part) -> torch.dtype:
        """Return the dtype of a new network of the method: float32 at least."""
        return torch.promote_types(self.base.dtype, torch.float32)

    def _placed(self, network: nn.Module, dtype: torch.dtype | None) -> nn.Module:
        """Put a network of the method where the base computes, in a dtype or in its own."""
        # While a checkpoint is loaded, all weights are made without values, and get a device together with these.
        empty = any(weight.is_meta for weight in network.parameters())
        return network.to(device=None if empty else computing_device(self.base), dtype=dtype)

    def add_network(self, features: int) -> None:
        """Make the network by which the method weighs members, if it has one, for features of the given size."""
        weigh = self.method.weigh
        if weigh.has_network:  # without a network, configs need not give its sizes
            self._add_network(weigh, None, features, self.config.lambda_units, self.config.lambda_dropout)

    def _add_network(self, part: Part, given: nn.Module | None, *sizes: Any) -> None:
        """Hold the network of a part, if it has one: the given one, or a new one."""
        network = part.create_network(*sizes) if given is None else given
        if network is None:
            return
        if torch.empty(0).is_meta:  # a checkpoint is loaded, which has no values for these
            found = unsaved_buffers(network, of_models=given is not None)
            if given is None and found:
                with torch.device("cpu"):
                    found = unsaved_buffers(part.create_network(*sizes) or network, of_models=False)
            self._unsaved[part.network_name] = found
        dtype = self.network_dtype(part) if given is None else None
        self.add_module(part.network_name, self._placed(network, dtype))

    @property
    def action(self) -> Any:
        """Make the group's action on the model's input from the config, never from stored tables."""
        return self._action

    def penalised(
        self, loss: torch.Tensor | None, selection: Selection | None, share: torch.Tensor | float = 1.0
    ) -> torch.Tensor | None:
        """Return the task's loss; in training add what the selection of members adds to it, such as a prior.

        Args:
            loss: `()` the task's loss; `None` without labels.
            selection: The selection of the members; `None` if they were selected earlier.
            share: The share of this batch if a loss is a sum divided by the labels of several batches: the labels of
                this batch over the labels of all. So the addition counts once for all of them.

        Raises:
            ConfigurationError: If there is such an addition, but no loss to add it to.
        """
        if selection is None or selection.penalty is None or not self.training:
            return loss
        if loss is None:
            if torch.is_grad_enabled():
                refuse_outside_loss("what selects members trains by a loss of its own, such as a prior")
            return None
        return loss + share * selection.penalty.mean()

    def checked_extras(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the base's inputs besides the main ones: the arguments of the caller that this model has not used.

        Raises:
            ConfigurationError: For hidden states or attentions; for a separate adapter for each sample.
        """
        check_adapter_names(kwargs, self)
        if kwargs.pop("output_hidden_states", None) or kwargs.pop("output_attentions", None):
            raise ConfigurationError(
                f"An {type(self).__name__} returns only scores: hidden states and attentions belong to the members of "
                "an orbit. Call the base model for them: model.unwrap()."
            )
        return {key: value for key, value in kwargs.items() if value is not None}

    def get_input_embeddings(self) -> nn.Module:
        """The base's."""
        embeddings: nn.Module = self.base.get_input_embeddings()
        return embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Set the base's."""
        self.base.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module | None:
        """The base's."""
        head: nn.Module | None = self.base.get_output_embeddings()
        return head

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        """Set the base's."""
        self.base.set_output_embeddings(new_embeddings)

    def get_submodule(self, target: str) -> nn.Module:
        """Return a part of the model by its name.

        Raises:
            ConfigurationError: If peft looks for the embeddings to put its prompts before.
        """
        if target == "embeddings.word_embeddings":  # no wrapped model has it, as all but its networks lie in `base`
            raise refused_prompts(type(self).__name__)
        part: nn.Module = super().get_submodule(target)
        return part

    def init_weights(self) -> None:
        """Initialise and tie the weights of a new base; a base that was passed in stays bit-identical."""
        if self._owns_weights:
            super().init_weights()  # type: ignore[no-untyped-call]

    def _init_weights(self, module: nn.Module) -> None:
        """Initialise weights that a checkpoint lacks: the method's networks as torch does, the base in its own way."""
        own = [network for network in self._networks if network is not None]
        if not any(module is part for network in own for part in network.modules()):
            self.base._init_weights(module)
        elif callable(reset := getattr(module, "reset_parameters", None)) and not _has_values(module):
            reset()


def _has_values(module: nn.Module) -> bool:
    """Whether all weights of a module come from a checkpoint, as transformers marks them."""
    return all(getattr(weight, "_is_hf_initialized", False) for weight in module.parameters())
