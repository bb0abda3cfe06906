"""What every family of wrapped models owes its users: one suite of checks, which a family gets by two factories."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any, ClassVar

import pytest
import torch
from contract_tools import (
    Moved,
    base_scores,
    cast,
    check_slopes,
    copied,
    gradients,
    in_step,
    loss_in,
    loss_of,
    part_of,
    prompts,
    questions,
    random_like,
    scored,
    scores,
    still,
    tensors,
    train,
    turns,
    with_dtype,
)
from torch import Tensor
from torch.testing import assert_close
from transformers.utils import ModelOutput

from hf_equi.actions import Action, ColumnAction, PixelAction, TokenAction, TokenPairAction
from hf_equi.errors import ActionError, ConfigurationError
from hf_equi.registration import method_names, task_names
from hf_equi.testing import TOLERANCES, assert_equivariant, equivariance_error

SEES = 1e-3
"""By more than this a base tells the members of an orbit apart."""
PARTS = ("base.", "frozen_base.", "lambda_network.", "select_network.")
"""What the names of weights begin with."""


class Contract:
    """The checks of one family, for all methods of its task: `tests/models/test_contract.py` has a subclass of each.

    A family says its `task`, and writes `create_model` and `create_inputs`. How inputs and scores move is read off the
    model. What a family has beside, such as caches, beams or levels, is tested where it is.
    """

    task: ClassVar[str]
    also: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """More cases by name, of a method with its settings: for them the checks of numbers run."""
    says_laws: ClassVar[bool] = False
    """Whether scores are log-probabilities, of float32 at least. Otherwise they have the type of the base."""
    chunks: ClassVar[tuple[int, ...]] = (1, 2)
    methods: ClassVar[tuple[str, ...]] = ()
    """Some methods, where a family reads as another one does for the rest; all that the task has by default."""

    def create_model(self, method: str, group: Any = None, **settings: Any) -> Any:
        """A model that evaluates, around a base of its own; of the group of the family by default."""
        raise NotImplementedError

    def create_inputs(self, batch: int) -> dict[str, Tensor]:
        """Samples that every element but the identity moves one of, with labels."""
        raise NotImplementedError

    def create_still(self, method: str) -> tuple[Any, dict[str, Any]]:
        """A model whose group moves nothing, and what its calls take for that."""
        model = self.model_of(method)
        if isinstance(model.action, TokenAction | TokenPairAction):
            return model, {"group": still(model.action)}
        return self.create_model(method, type(model.group).trivial()), {}

    def inputs_move(self, model: Any) -> dict[str, Action]:
        """How each input moves, by its name: labels as the scores do."""
        output = self.outputs_move(model)
        moves = dict(model.input_actions())
        for name, action in moves.items():
            if isinstance(action, TokenPairAction):
                moves[name] = action.source
        if output is not None:
            moves |= {"labels": output, "decoder_input_ids": output}
        return moves

    def outputs_move(self, model: Any) -> Any:
        """How scores move; `None` where they stay."""
        action = model.card_kind.probe(model).output_action
        assert action is None or isinstance(action, ColumnAction | PixelAction)
        return action

    # What the checks are made of.

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Every method that the task has registered, so that a new one is checked as soon as there is one."""
        methods = self.methods or method_names(self.task)
        if "method" in metafunc.fixturenames:
            metafunc.parametrize("method", methods)
        if "case" in metafunc.fixturenames:
            metafunc.parametrize("case", [*methods, *self.also])

    @classmethod
    @cache
    def model_of(cls, case: str) -> Any:
        """The model of a case: one object, which a check may call and must not change."""
        return cls().create_model(**cls.also.get(case, {"method": case}))

    @classmethod
    @cache
    def batch(cls) -> dict[str, Tensor]:
        """Inputs with labels: the same for all checks."""
        return cls().create_inputs(3)

    def moved(self, model: Any) -> Moved:
        """How all inputs of a call move together."""
        return Moved(model.group, self.inputs_move(model))

    def to_the_bit(self, model: Any, asked: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """What the identity alone leaves to the bit as it is, and what the base says: the scores, by default."""
        return scores(model, asked), base_scores(model, asked, self.says_laws)

    def check_equivariant(self, model: Any, asked: dict[str, Tensor], tolerance: float, some: Any = None) -> None:
        """Of scores, as they move: for all elements, or for some."""
        moved, output, elements = self.moved(model), self.outputs_move(model), some or range(1, model.group.order)
        assert_equivariant(partial(scores, model), asked, moved, output, elements, tolerance=tolerance)

    def check_base(self, model: Any, asked: dict[str, Tensor]) -> None:
        """The base, and no more equivariant than that is: so the inputs would show a fault of other methods."""
        assert torch.equal(*self.to_the_bit(model, asked))
        assert_close(scores(model, asked), base_scores(model, asked, self.says_laws), atol=2e-6, rtol=1e-6)
        errors = equivariance_error(partial(scores, model), asked, self.moved(model), self.outputs_move(model))
        assert errors[0] == 0
        assert errors[1:].min() > SEES

    # Equivariance and training.

    def test_it_is_equivariant_before_and_after_it_is_trained(self, case: str) -> None:
        """In scores as they move, and in losses, which stay."""
        model, batch = copied(self.model_of(case)), self.batch()
        before = scores(model, questions(batch))
        assert before.dtype == torch.float32
        for steps in (0, 2):
            was = {name: weight.clone() for name, weight in model.named_parameters()}
            train(model, batch, steps)
            weights = dict(model.named_parameters())
            learns = {part_of(name) for name, weight in weights.items() if weight.requires_grad} if steps else set()
            assert {part_of(name) for name, weight in weights.items() if not torch.equal(weight, was[name])} == learns
            if case == "identity":
                self.check_base(model, questions(batch))
                continue
            tolerance, some = TOLERANCES[torch.float32], (1, model.group.order - 1)
            if not steps:
                self.check_equivariant(model, questions(batch), tolerance, some)
                continue
            self.check_equivariant(model, questions(batch), tolerance)
            assert_equivariant(partial(loss_of, model), batch, self.moved(model), None, some, tolerance=tolerance)
        assert (scores(model, questions(batch)) - before).abs().max() > SEES

    @pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
    def test_it_is_equivariant_in_other_precisions(self, method: str, dtype: torch.dtype) -> None:
        model, batch = with_dtype(self.model_of(method), dtype), cast(self.batch(), dtype)
        said, wide = scores(model, questions(batch)), torch.promote_types(dtype, torch.float32)
        assert said.dtype == (wide if self.says_laws else dtype)
        assert said.isfinite().all()
        if method != "identity":
            self.check_equivariant(model, questions(batch), TOLERANCES[dtype])
        if model.can_generate():
            asked = prompts(batch)
            length = 1 if model.config.is_encoder_decoder else asked["input_ids"].shape[1]
            assert model.generate(**asked, max_new_tokens=2, min_new_tokens=2).shape[1] == length + 2

    def test_gradients_are_finite_differences(self, case: str) -> None:
        """Along the gradient, and along random directions, which see what the gradient leaves out.

        Of a method that takes one member the gradient is the mean's, or that of the softmax of its scores, which is
        not the slope of its value: it has to reach all parts, and no more is asked here.
        """
        model, batch = with_dtype(self.model_of(case), torch.float64), cast(self.batch(), torch.float64)
        weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        generator = torch.Generator().manual_seed(0)
        probe = random_like(scores(model, questions(batch)), generator)

        def value() -> Tensor:
            out = model(**batch)
            # Some losses of transformers are of float32, whatever the scores are.
            loss = loss_in(out)
            exact = loss if loss.dtype == torch.float64 else 0.0
            return exact + (scored(out, batch) * probe).mean()

        gradient = torch.autograd.grad(value(), [*weights.values()], materialize_grads=True)
        # In torch 2.10 the zeros that stand for no gradient ask for one themselves.
        found = {name: way.detach() for name, way in zip(weights, gradient, strict=True)}
        reached = {part_of(name) for name, way in found.items() if way.abs().max() > SEES}
        assert reached == {part_of(name) for name in weights}
        if model.method.loss is None and not model.method.select.has_network:
            check_slopes(value, weights, found)

    def test_chunks_change_nothing(self, case: str) -> None:
        whole, batch = self.model_of(case), self.batch()
        required, expected = scores(whole, questions(batch)), gradients(whole, batch)
        model = copied(whole)
        for size in self.chunks:
            model.config.orbit_chunk_size = size
            assert_close(scores(model, questions(batch)), required, atol=2e-6, rtol=1e-6)
            assert_close(gradients(model, batch), expected, atol=1e-5, rtol=1e-4)

    # Checkpoints and copies.

    def test_a_checkpoint_holds_the_model_to_the_bit(self, case: str, tmp_path: Any) -> None:
        model, asked = self.model_of(case), questions(self.batch())
        model.save_pretrained(tmp_path)
        assert {path.suffix for path in tmp_path.iterdir()} & {".bin", ".pt", ".pth", ".pkl"} == set()
        # The Auto class loads by the class itself, so that once by that alone will do.
        given = copy.deepcopy(model.config)
        if case == "equitune":
            model.auto_class.from_pretrained(tmp_path, config=given, orbit_chunk_size=1, return_dict=False)
            assert given.to_dict() == model.config.to_dict(), "the caller's config was changed"
        for loader in [model.auto_class, *([type(model)] if case == "equitune" else [])]:
            loaded, information = loader.from_pretrained(tmp_path, output_loading_info=True)
            assert not any(information.values())
            assert type(loaded) is type(model)
            assert not loaded.training
            assert loaded.group == model.group
            own, other = model.config.to_dict(), loaded.config.to_dict()
            assert {name for name in own if own[name] != other[name]} <= {"_name_or_path", "base_config", "dtype"}
            ours, stored = model.state_dict(), loaded.state_dict()
            assert ours.keys() == stored.keys()
            assert all(torch.equal(value, stored[name]) for name, value in ours.items())
            # A copy has weights at places as even as the model's: sums are in one order, the same to the bit.
            assert torch.equal(scores(copied(loaded), asked), scores(model, asked))

    def test_copies_are_alike_and_share_no_weight(self, method: str) -> None:
        model, asked = self.model_of(method), questions(self.batch())
        other = copy.deepcopy(model)
        required = scores(model, asked)
        assert torch.equal(scores(other, asked), required)
        assert not {w.data_ptr() for w in model.parameters()} & {w.data_ptr() for w in other.parameters()}
        train(other, self.batch(), 1)
        assert torch.equal(scores(model, asked), required)

    def test_weights_are_named_by_their_part(self, method: str) -> None:
        assert all(name.startswith(PARTS) for name in self.model_of(method).state_dict())

    # Calls.

    def test_two_threads_may_use_one_model(self, method: str) -> None:
        """In step, layer by layer, so that each would read what the other has left on a module."""
        model, batch = self.model_of(method), questions(self.batch())
        batches = [batch, {name: value.flip(0) for name, value in batch.items()}]

        @torch.no_grad()
        def answer(asked: dict[str, Tensor]) -> list[Tensor]:
            said = tensors(model(**asked))
            if model.can_generate():
                said.append(model.generate(**prompts(asked), max_new_tokens=3, do_sample=True, seed=1))
            return said

        alone = [answer(asked) for asked in batches]
        with in_step(model.base), ThreadPoolExecutor(2) as pool:
            together = list(pool.map(answer, batches))
        assert_close(together, alone, atol=1e-6, rtol=1e-6)
        assert not torch.allclose(alone[0][0], alone[1][0], atol=SEES)

    def test_a_cache_kept_over_turns_changes_nothing(self, method: str) -> None:
        """The first turn has no word that moves, the later ones do, so that they decide the elements anew."""
        model, asked = self.model_of(method), prompts(self.batch())
        if not model.can_generate():
            return
        if model.config.is_encoder_decoder:
            pieces = list(self.batch()["decoder_input_ids"].split(2, 1))
            pieces[0] = torch.full_like(pieces[0][:, :1], model.config.decoder_start_token_id)
        else:
            ids = asked["input_ids"]
            pieces = [ids.masked_fill(model.action.is_moved[ids], model.action.is_moved.int().argmin() + 5), ids, ids]
        kept, anew = (turns(model, asked, pieces, kept, seed=1, do_sample=True) for kept in (True, False))
        for with_cache, without in zip(kept, anew, strict=True):
            assert with_cache.sequences.tolist() == without.sequences.tolist()
            assert torch.equal(*(getattr(out, "chosen_element", out.sequences) for out in (with_cache, without)))

    def test_a_group_that_moves_nothing_leaves_the_base(self, method: str) -> None:
        model, given = self.create_still(method)
        asked = questions(self.batch())
        expected = base_scores(model, asked, self.says_laws)
        assert_close(scores(model, {**asked, **given}), expected, atol=2e-6, rtol=1e-6)

    def test_outputs_are_tuples_on_demand(self, method: str) -> None:
        model, batch = copied(self.model_of(method)), self.batch()
        with torch.no_grad():
            named = model(**batch)
            assert isinstance(named, ModelOutput)
            plain = model(**batch, return_dict=False)
            model.config.return_dict = False
            by_config, again = model(**batch), model(**batch, return_dict=True)
        for each in (plain, by_config):
            assert isinstance(each, tuple)
            assert len(each) == len(named.to_tuple())
            assert_close(tensors(each), tensors(named), atol=0, rtol=0)
        assert type(again) is type(named)
        assert torch.equal(plain[0], named.to_tuple()[0] if named.get("loss") is None else named.loss)

    def test_a_method_is_made_once_and_anew_where_it_changes(self, method: str) -> None:
        model, asked = copied(self.model_of(method)), questions(self.batch())
        made, required = model.method, scores(model, asked)
        assert torch.equal(scores(model, asked), required)
        assert model.method is made
        other = "equitune" if method == "identity" else "identity"
        model.config.method = other
        changed = model.method
        assert changed is not made
        assert changed.name == other
        assert torch.equal(scores(model, asked), scores(self.model_of(other), asked))
        assert model.method is changed
        model.config.method = method
        assert model.method is not changed
        assert model.method.name == method
        assert torch.equal(scores(model, asked), required)

    # Refusals.

    def test_what_is_of_members_alone_is_refused(self, method: str) -> None:
        model, batch = self.model_of(method), questions(self.batch())
        for name in ("output_hidden_states", "output_attentions"):
            message = rf"{type(model).__name__} returns only scores: hidden states and attentions .* model\.unwrap\(\)"
            with pytest.raises(ConfigurationError, match=message):
                model(**batch, **{name: True})
            if model.can_generate() and not model.method.searches:
                with pytest.raises(
                    ConfigurationError, match=rf"{name} .*hidden states and attentions .*model\.unwrap\(\)"
                ):
                    model.generate(**prompts(batch), max_new_tokens=2, return_dict_in_generate=True, **{name: True})

    def test_what_has_no_entry_for_each_row_is_refused(self, method: str) -> None:
        model, batch = self.model_of(method), questions(self.batch())
        masks = [name for name in batch if name.endswith("attention_mask") and model.can_generate()]
        pairs = {name: batch[name][:, None, None].expand(-1, 1, batch[name].shape[1], -1) for name in masks}
        for name, value, message in (
            ("adapter_names", ["one", "other", "one"], "adapter_names= names an adapter for each sample of a batch"),
            *(
                (name, pairs[name], f"{name} needs one number for each token, .*documents pass position_ids")
                for name in masks
            ),
        ):
            with pytest.raises(ConfigurationError, match=message):
                model(**{**batch, name: value})
            if model.can_generate():
                with pytest.raises(ConfigurationError, match=message):
                    model.generate(**{**prompts(batch), name: value}, max_new_tokens=2)

    def test_token_ids_outside_of_the_vocabulary_are_refused(self, method: str) -> None:
        """As by the base. Torch would count those below 0 from the end, and -100 is a label."""
        model, batch = self.model_of(method), questions(self.batch())
        names = {"input_ids", "decoder_input_ids"} & batch.keys()
        for name in names if isinstance(model.action, TokenAction | TokenPairAction) else ():
            for token in (-1, -100, 10**6):
                asked = {**batch, name: batch[name].index_fill(1, torch.tensor([1]), token)}
                text = {key: value for key, value in asked.items() if key != "decoder_attention_mask"}
                for call in (partial(model, **asked), partial(model.generate, **text, max_new_tokens=2)):
                    with pytest.raises(ActionError, match=f"token ids lie between .*{token}.*numbered from 0"):
                        call()

    def test_a_config_without_a_group_is_refused(self) -> None:
        model = self.model_of("equitune")
        whole, base = copy.deepcopy(model.config), model.base.config
        whole.group = None
        for config in (type(whole)(), type(whole)(base_config=base), whole):
            message = rf"{type(model).__name__} needs a group, .* hf_equi\.symmetrize\(model, group\)"
            with pytest.raises(ConfigurationError, match=message):
                type(model)(config)
            with pytest.raises(ConfigurationError, match=message):
                type(model)(config, model.base)

    def test_unknown_methods_are_refused_and_the_known_listed(self) -> None:
        known, config = method_names(self.task), self.model_of("equitune").config
        others = {name for task in task_names() for name in method_names(task)} - set(known)
        listed = ", ".join(map(repr, known))
        for name in ("magic", "", "EquiTune", *others):
            message = rf"^method={name!r} is not known to [\w -]+: .*[uU]se one of {listed}\.$"
            with pytest.raises(ConfigurationError, match=message):
                self.create_model(name)
            with pytest.raises(ConfigurationError, match=message):
                type(config)(**{**config.to_dict(), "method": name})
