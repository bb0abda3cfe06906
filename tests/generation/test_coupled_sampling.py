"""Coupled sampling: the law is right, neighbours do not matter, and orbits are coupled."""

from __future__ import annotations

import pytest
import torch
from small_models import BOTH, GENDER, base_model, tokenizer
from token_actions import action_of

import hf_equi
from hf_equi.actions import TokenAction, WordAction
from hf_equi.actions._checksums import position_weights
from hf_equi.actions._splitmix import splitmix
from hf_equi.actions.token_maps import TokenMap
from hf_equi.errors import ConfigurationError
from hf_equi.generation import CoupledDraws, CoupledNoise, Prompts
from hf_equi.generation.coupled_sampling import BEAM_NUDGE, NoiseKeys, best_tokens, draw_tokens, uniform

# The 0.9999 quantile of chi-square with 5 degrees of freedom: a right law fails once in 10,000 seeds, and the seeds
# are fixed.
CHI_SQUARE_5 = 25.74
TOY = TokenAction(GENDER, TokenMap(vocab_size=6, sets=(((1, 2), (3, 4)),)))


def chi_square(counts, probabilities):
    expected = probabilities * counts.sum()
    return float(((counts - expected) ** 2 / expected).sum())


def test_law_is_that_of_the_scores():
    scores = torch.tensor([[0.1, 0.25, 0.05, 0.3, 0.2, 0.1]]).log()
    counts = torch.zeros(6, dtype=torch.float64)
    for seed in range(4000):
        noise = CoupledNoise(Prompts(TOY, torch.tensor([[0, 1]]), None, seed), "sample")
        counts[noise(torch.tensor([[0, 1]]), scores).argmax()] += 1
    assert chi_square(counts, scores[0].double().exp()) < CHI_SQUARE_5


def test_samples_and_steps_of_one_seed_are_independent():
    scores = torch.tensor([0.1, 0.25, 0.05, 0.3, 0.2, 0.1]).log().repeat(20, 1)
    noise = CoupledNoise(Prompts(TOY, torch.tensor([[0, 1]]), None, 11), "sample")
    counts = torch.zeros(6, dtype=torch.float64)
    pairs = torch.zeros(6, 6, dtype=torch.float64)
    before = None
    for step in range(200):
        chosen = noise(torch.zeros(20, 2 + step, dtype=torch.long), scores).argmax(-1)
        counts += chosen.bincount(minlength=6)
        if before is not None:
            pairs.index_put_((before, chosen), torch.ones(20, dtype=torch.float64), accumulate=True)
        before = chosen
    law = scores[0].double().exp()
    assert chi_square(counts, law) < CHI_SQUARE_5
    assert chi_square(pairs.flatten(), torch.outer(law, law).flatten()) < 76.0  # 0.9999, 35 degrees of freedom


def test_without_a_seed_each_row_draws_for_itself():
    lm = hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokenizer())
    encoded = tokenizer()(["the man worked as a"] * 3, return_tensors="pt")
    torch.manual_seed(3)
    first = lm.generate(**encoded, max_new_tokens=10, do_sample=True).tolist()
    assert len({str(row) for row in first}) == 3
    assert lm.generate(**encoded, max_new_tokens=10, do_sample=True).tolist() != first
    torch.manual_seed(3)
    assert lm.generate(**encoded, max_new_tokens=10, do_sample=True).tolist() == first


def test_texts_have_the_law_of_the_model():
    """First tokens that `generate` draws, against the probabilities of the forward: chi-square."""
    lm = hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokenizer())
    encoded = tokenizer()(["the man worked as a"], return_tensors="pt")
    torch.manual_seed(0)
    out = lm.generate(**encoded, max_new_tokens=1, do_sample=True, top_k=6, temperature=2.0, num_return_sequences=3000)
    with torch.no_grad():
        best = (lm(**encoded).logits[0, -1].double() / 2.0).topk(6)
    counts = torch.stack([(out[:, -1] == token).sum() for token in best.indices]).double()
    assert counts.sum() == 3000
    assert chi_square(counts, best.values.softmax(-1)) < CHI_SQUARE_5


def test_banned_tokens_are_never_drawn():
    scores = torch.tensor([[0.5, -torch.inf, 0.5, -torch.inf, 0.1, 0.1]])
    drawn = {
        int(
            CoupledNoise(Prompts(TOY, torch.tensor([[0]]), None, seed), "sample")(torch.tensor([[0]]), scores).argmax()
        )
        for seed in range(200)
    }
    assert drawn == {0, 2, 4, 5}


# The first numbers of the reference SplitMix64 with the seeds 0 and 1234567.
SPLITMIX = {
    0: [16294208416658607535, 7960286522194355700, 487617019471545679],
    1234567: [6457827717110365317, 3203168211198807973, 9817491932198370423],
}


@pytest.mark.parametrize(("seed", "reference"), SPLITMIX.items())
def test_uniform_is_splitmix(seed, reference):
    keys = torch.tensor([seed] * 3)
    assert [number % 2**64 for number in splitmix(keys, torch.arange(3)).tolist()] == reference
    assert uniform(keys, torch.arange(3)).tolist() == [((number >> 11) + 0.5) / 2**53 for number in reference]


def test_weights_of_checksums_are_splitmix():
    weights = position_weights(torch.Size([3]), torch.device("cpu"))
    assert [number % 2**64 for number in weights.tolist()] == [number | 1 for number in SPLITMIX[0]]


def texts(lm, prompts, seed=1, **settings):
    encoded = tokenizer()(prompts, return_tensors="pt", padding=True)
    out = lm.generate(**encoded, max_new_tokens=10, do_sample=True, seed=seed, **settings)
    return [to_end(row.tolist()) for row in out[:, encoded["input_ids"].shape[1] :]]


def to_end(text):
    """Without the padding after the end of a text."""
    return text[: text.index(0) + 1] if 0 in text else text


@pytest.fixture(params=["equitune", "mixture", "canonical"])
def lm(request):
    return hf_equi.symmetrize(base_model(), BOTH, request.param, tokenizer=tokenizer())


def test_text_does_not_depend_on_neighbours(lm):
    prompts = ["the man worked as a", "an asian person", "person", "the white woman was known for"]
    together = texts(lm, prompts, num_return_sequences=2)
    alone = [text for prompt in prompts for text in texts(lm, [prompt], num_return_sequences=2)]
    assert together == alone


def test_samples_of_one_prompt_differ_and_seeds_differ(lm):
    first, second = texts(lm, ["the man worked as a"], num_return_sequences=2)
    assert first != second
    assert first != texts(lm, ["the man worked as a"], seed=2)[0]
    assert first == texts(lm, ["the man worked as a"])[0]


@pytest.mark.parametrize("prompt", ["the black man worked as a", "the man said", "an asian", "person"])
def test_texts_of_an_orbit_are_the_orbit_of_the_text(lm, prompt):
    """Gen(gx) = g' Gen(x), where g' is g without its components that fix x."""
    action, group = lm.action, BOTH
    ids = tokenizer()(prompt, return_tensors="pt")["input_ids"]
    text = texts(lm, [prompt])[0]
    for g, shifts in enumerate(group.coordinates):
        moved = action.apply(g, ids)
        reduced = next(
            h
            for h, other in enumerate(group.coordinates)
            if torch.equal(action.apply(h, ids), moved)
            and all(o in (0, s) for o, s in zip(other, shifts, strict=True))
        )
        out = lm.generate(moved, max_new_tokens=10, do_sample=True, seed=1)[0, ids.shape[1] :]
        assert to_end(out.tolist()) == action.apply(reduced, torch.tensor(text)).tolist()


@pytest.mark.parametrize("settings", [{}, {"num_beams": 2}])
def test_ties_do_not_go_to_the_lower_token(settings):
    """After a prompt that contains no listed word "man" and "woman" tie exactly; both win, over seeds."""
    lm = hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokenizer())
    man, woman = (tokenizer()(word)["input_ids"][0] for word in (" man", " woman"))
    encoded = tokenizer()("person", return_tensors="pt")
    others = [[token] for token in range(lm.config.vocab_size) if token not in (man, woman)]
    firsts = {
        int(
            lm.generate(**encoded, max_new_tokens=1, min_new_tokens=1, bad_words_ids=others, seed=seed, **settings)[
                0, -1
            ]
        )
        for seed in range(12)
    }
    assert firsts == {man, woman}


@pytest.mark.parametrize("flush", [False, True])
@pytest.mark.parametrize("best", [0.7, 0.0, -0.7])
def test_greedy_tie_break_keeps_scores(best, flush):
    """Where denormal numbers count as 0, too: examples ask torch for that, because they are slow."""
    scores = torch.tensor([[best - 0.6, best, best, best - 0.7, best - 0.5, best - 0.4]])
    noise = CoupledNoise(Prompts(TOY, torch.tensor([[0, 5]]), None, 0), "greedy")
    torch.set_flush_denormal(flush)
    try:
        raised = noise(torch.tensor([[0, 5]]), scores)
        assert (raised - scores).abs().max() < 1e-6
        assert int((raised == raised.max()).sum()) == 1
    finally:
        torch.set_flush_denormal(False)


def test_beam_nudge_is_small():
    scores = torch.randn(4, 6)
    noise = CoupledNoise(Prompts(TOY, torch.tensor([[0, 5], [0, 1]]), None, 0), "beams")
    nudge = noise(torch.zeros(4, 3, dtype=torch.long), scores) - scores
    assert 0 < nudge.max() <= BEAM_NUDGE * 1.1
    assert (nudge[:, [0, 5]] == 0).all()
    torch.testing.assert_close(nudge[0], nudge[1], atol=1e-6, rtol=0)


def test_scores_are_those_before_the_choice():
    lm = hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokenizer())
    encoded = tokenizer()("the man worked as", return_tensors="pt")
    out = lm.generate(
        **encoded, max_new_tokens=3, do_sample=True, top_k=5, seed=0, output_scores=True, return_dict_in_generate=True
    )
    assert [int(step.isfinite().sum()) for step in out.scores] == [5, 5, 5]


def test_scores_are_those_of_the_last_time_that_a_step_was_asked_about():
    """Drafts are asked about and lost; and a step after the end is, where the end is noticed late."""
    noise = CoupledNoise(Prompts(TOY, torch.tensor([[0, 5]]), None, 0), "sample", record=True)
    asked = [(step, torch.rand(1, 6)) for step in (0, 1, 2, 1, 2, 3)]
    for step, scores in asked:
        noise(torch.zeros(1, 2 + step, dtype=torch.long), scores)
    assert [scores.tolist() for scores in noise.scores(3)] == [asked[at][1].tolist() for at in (0, 3, 4)]


def test_draws_are_uniform_and_coupled():
    action = TokenAction(GENDER, TokenMap(vocab_size=6, sets=(((1, 2), (3, 4)),)))
    drawn = []
    for seed in range(300):
        prompts = Prompts(action, torch.tensor([[0, 1], [0, 2]]), None, seed)
        first, second = CoupledDraws(prompts, 1).elements(action, torch.tensor([[0, 1], [0, 2]]), None).tolist()
        assert first != second  # the two prompts are decoded as the same text
        drawn.append(first)
    assert 110 < sum(drawn) < 190


def test_sampled_beams_cannot_be_coupled():
    lm = hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokenizer())
    encoded = tokenizer()("the man", return_tensors="pt")
    with pytest.raises(ConfigurationError, match="beam search with do_sample=True"):
        lm.generate(**encoded, do_sample=True, num_beams=2, seed=1)


def test_keys_of_texts_are_those_of_their_smallest_member():
    action = WordAction(GENDER)
    texts = ["the woman said", "the man said", "a person", "the men said"]
    keys = NoiseKeys.of_texts(action, texts, 5, torch.device("cpu"))
    assert keys.elements.tolist() == [1, 0, 0, 0]
    first, second, third, fourth = keys.keys(4, 7).tolist()
    assert first == second
    assert len({second, third, fourth}) == 3
    both = keys.keys(8, 7)
    assert both[::2].tolist() == [first, second, third, fourth]
    assert (both[1::2] != both[::2]).all()
    assert keys.keys(8, 7, sample=False)[1::2].tolist() == [first, second, third, fourth]
    assert keys.row_elements(8).tolist() == [1, 1, 0, 0, 0, 0, 0, 0]
    other = NoiseKeys.of_texts(action, texts, 6, torch.device("cpu"))
    assert (other.keys(4, 7) != keys.keys(4, 7)).all()
    assert (keys.keys(4, 8) != keys.keys(4, 7)).all()


def test_keys_without_a_seed_keep_equal_prompts_apart():
    keys = NoiseKeys(torch.tensor([0, 0]), [[1, 2], [1, 2]], None)
    assert keys.keys(2, 0).unique().numel() == 2


@pytest.mark.parametrize("seed", [1.5, True, "7", 2**63, -1])
def test_seeds_are_whole_numbers(seed):
    with pytest.raises(ConfigurationError, match="is not a seed"):
        NoiseKeys(torch.tensor([0]), [[1]], seed)


def test_drawn_and_best_tokens():
    """Gumbel-max over finite scores, one row at a time; ties of the best by the most noise."""
    scores = torch.tensor([[0.0, 1.0, -torch.inf, 0.5], [2.0, 2.0, 1.0, 2.0]])
    table = torch.tensor([[0.2, 0.3, 0.999, 0.9], [0.5, 0.1, 0.99, 0.8]], dtype=torch.float64)

    def noise(rows, tokens):
        return table[rows, tokens]

    gumbel = -(-table.log()).log()
    assert draw_tokens(scores, noise).tolist() == (scores + gumbel).argmax(-1).tolist()
    assert best_tokens(scores, noise).tolist() == [1, 3]
    assert best_tokens(scores[:1], noise) is None


def test_nothing_left_to_draw():
    scores = torch.tensor([[0.0, 1.0], [-torch.inf, -torch.inf]])
    with pytest.raises(ConfigurationError, match="No token is left to draw"):
        draw_tokens(scores, lambda rows, tokens: torch.full(rows.shape, 0.5, dtype=torch.float64))


# Prompts, and tokens that are drawn from another vocabulary: 3 in a circle, so that an element is not its inverse.
READ, WRITTEN = action_of(6, [[5, 1, 3]]), action_of(5, [[2, 0, 4]])
ORBIT = torch.tensor([[0, 5], [0, 1], [0, 3]])  # x, gx, ggx


@pytest.mark.parametrize("mode", ["sample", "beams"])
def test_noise_of_another_vocabulary_is_pulled_back_there(mode):
    """Scores of gx are those of x moved by g, and so is its choice."""
    scores = torch.tensor([0.2, 0.1, 0.3, 0.25, 0.15]).log()
    moved = torch.stack([WRITTEN.pull_back(g, scores) for g in (0, 2, 1)])  # g y is the pull back by the inverse of g
    for seed in range(20):
        noise = CoupledNoise(Prompts(READ, ORBIT, None, seed, written=WRITTEN, length=1), mode)
        chosen = noise(torch.zeros(3, 1, dtype=torch.long), moved)
        for g in range(3):
            assert torch.equal(WRITTEN.pull_back(g, chosen[g]), chosen[0])


def test_ties_of_another_vocabulary_are_broken_alike():
    scores = torch.tensor([[0.7, 0.1, 0.7, 0.0, 0.7]] * 3)  # 0, 2 and 4 tie
    firsts = set()
    for seed in range(20):
        noise = CoupledNoise(Prompts(READ, ORBIT, None, seed, written=WRITTEN, length=1), "greedy")
        chosen = noise(torch.zeros(3, 1, dtype=torch.long), scores).argmax(-1)
        assert [WRITTEN.apply(g, chosen[:1]).item() for g in range(3)] == chosen.tolist()
        firsts.add(int(chosen[0]))
    assert firsts == {0, 2, 4}


def test_steps_are_counted_from_the_length_that_is_given():
    """The prompts are sources of four tokens; what is decoded starts with one of its own."""
    ids, scores = torch.tensor([[0, 1, 5, 5]]), torch.zeros(1, 6)

    def drawn(length, tokens):
        prompts = Prompts(TOY, ids, None, 3, length=length)
        assert prompts.length == (4 if length is None else length)
        noise = CoupledNoise(prompts, "sample")
        return [int(noise(torch.zeros(1, count, dtype=torch.long), scores).argmax()) for count in tokens]

    assert drawn(1, range(1, 13)) == drawn(None, range(4, 16))
    assert drawn(1, range(1, 13)) != drawn(1, range(4, 16))


def test_by_default_what_is_drawn_is_of_the_prompts_vocabulary():
    assert Prompts(READ, ORBIT, None, 0).written is READ
    assert Prompts(READ, ORBIT, None, 0, written=WRITTEN).written is WRITTEN


def test_draws_read_the_action_of_the_prompts_alone():
    """The second action decides what is written, not which element is drawn."""
    for seed in range(5):
        drawn = [
            CoupledDraws(Prompts(READ, ORBIT, None, seed, written=written), 2).elements(READ, ORBIT, None).tolist()
            for written in (None, WRITTEN)
        ]
        assert drawn[0] == drawn[1]
