from __future__ import annotations

import pytest
from small_models import BOTH, tokenizer
from token_writers import bytes_tokenizer, words_tokenizer
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from hf_equi import DemographicGroup, TokenAction
from hf_equi.actions.resolution import cover_tokens, resolve_pair, resolve_tokens
from hf_equi.errors import ActionError, ConfigurationError, GroupWarning

GENDER = DemographicGroup([["man", "woman"], ["he", "she"]])


def marked_tokenizer(scheme: str) -> PreTrainedTokenizerFast:
    """Marked words, as SentencePiece writes them: `▁` for a leading space, and before the first word of a text."""
    pieces = ["▁", "(", "x", "▁he", "▁she", "he", "she", "▁He", "▁She", "He", "man", "▁woman", "▁man"]
    model = Tokenizer(models.Unigram([("<unk>", -20.0), *((piece, -1.0) for piece in pieces)], unk_id=0))
    model.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    model.decoder = decoders.Metaspace(prepend_scheme=scheme)
    return PreTrainedTokenizerFast(tokenizer_object=model, unk_token="<unk>")


def resolved(group, tokens, **settings):
    """The token sets of the first factor as strings."""
    (sets,) = resolve_tokens(group, tokens, **settings).sets
    return {tuple(tokens.convert_ids_to_tokens(list(ids))) for ids in sets}


def test_forms_with_and_without_space_in_all_cases():
    tokens = bytes_tokenizer("he she Ġhe Ġshe He She ĠHe ĠShe HE SHE ĠHE ĠSHE the Ġthe hE sHE")
    pairs = [("he", "she"), ("He", "She"), ("HE", "SHE")]
    expected = {*pairs, *((f"Ġ{a}", f"Ġ{b}") for a, b in pairs)}
    assert resolved(DemographicGroup([["he", "she"]]), tokens) == expected


def test_forms_as_written_are_found():
    tokens = words_tokenizer("McDonald MacDonald mcdonald macdonald")
    expected = {("McDonald", "MacDonald"), ("mcdonald", "macdonald")}
    assert resolved(DemographicGroup([["McDonald", "MacDonald"]]), tokens) == expected


def test_order_of_the_set_is_kept():
    token_map = resolve_tokens(BOTH, tokenizer())
    action = TokenAction(BOTH, token_map)
    ids = tokenizer()("x the black woman said she", return_tensors="pt")["input_ids"]
    text = tokenizer().decode(action.apply(BOTH.element("woman white"), ids)[0])
    assert text == "x the white man said he"


@pytest.mark.parametrize("unknown", ["She", "He"])
def test_unknown_form_leaves_out_the_whole_row(unknown):
    words = "he she He She".replace(f" {unknown}", "")
    assert resolved(DemographicGroup([["he", "she"]]), words_tokenizer(words)) == {("he", "she")}


def test_two_unknown_words_are_no_row():
    with pytest.raises(ActionError, match="do not move as they are written"):
        resolve_tokens(DemographicGroup([["he", "she"]]), words_tokenizer("it"))


GROUP = DemographicGroup([["man", "woman"], ["he", "she"], ["king", "queen"]])


def test_sets_without_a_form_of_one_token_raise_and_are_listed():
    asked = r"\. Pass multi_token=\"compose\" to move them too, leave them out"
    with pytest.raises(ActionError, match=r"word of each set: man/woman; king/queen" + asked):
        resolve_tokens(GROUP, words_tokenizer("he she man king"))


def test_sets_without_a_form_of_one_token_are_skipped_with_a_warning():
    tokens = words_tokenizer("he she man king")
    with pytest.warns(GroupWarning, match=r"^4 of 6 words of the group stay .*: man/woman, king/queen\. To"):
        assert resolved(GROUP, tokens, multi_token="skip") == {("he", "she")}
    with pytest.warns(GroupWarning, match="man/woman, he/she, king/queen"):
        assert resolved(GROUP, words_tokenizer("it"), multi_token="skip") == set()
    coverage = cover_tokens(GROUP, tokens)
    assert [row.form.words for row in coverage.rows] == [("he", "she")]
    assert coverage.lost == (("man", "woman"), ("king", "queen"))


def test_a_set_has_to_move_as_it_is_written():
    names = DemographicGroup([["John", "Mary"], ["he", "she"]])
    tokens = bytes_tokenizer("John Mary john mary Ġjohn Ġmary Ġhe Ġshe")
    with pytest.raises(ActionError, match=r"do not move as they are written, .*: John/Mary\. Pass multi_token="):
        resolve_tokens(names, tokens)
    with pytest.warns(GroupWarning, match=r"stay as they are .*: John/Mary\. To list") as caught:
        moved = resolved(names, tokens, multi_token="skip")
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert ("john", "mary") in moved  # what is one token moves all the same


RACE = DemographicGroup([["Black", "White", "Asian"]], names=["Black person", "White person", "Asian person"])


@pytest.mark.parametrize("multi_token", ["auto", "error", "skip"])
def test_forms_that_stay_beside_the_written_one_are_said_with_the_elements_that_move(multi_token):
    tokens = "Black White Asian ĠBlack ĠWhite ĠAsian Ġblack Ġwhite"
    message = (
        r"^Some spellings of the words of the group stay .*: in lower case black/white/asian\. More of them move with "
        r"fewer elements: keep only \['Black person', 'White person'\]\. To list them"
    )
    with pytest.warns(GroupWarning, match=message):
        resolve_tokens(RACE, bytes_tokenizer(tokens), multi_token=multi_token)
    with pytest.warns(GroupWarning, match=r": at the start of a text Black/White/Asian\. To list"):
        resolve_tokens(RACE, bytes_tokenizer("ĠBlack ĠWhite ĠAsian Ġblack Ġwhite Ġasian"), multi_token=multi_token)
    offer = r"leave them out.* keep only \['White person', 'Asian person'\]\.$"
    with pytest.raises(ActionError, match=offer):
        resolve_tokens(RACE, bytes_tokenizer("ĠWhite ĠAsian"))
    resolve_tokens(RACE, bytes_tokenizer(f"{tokens} Ġasian"), multi_token=multi_token)  # and nothing is said


def test_words_of_several_tokens_are_no_form():
    tokens = bytes_tokenizer("he she young Ġlad Ġlass Ġyoung")
    with pytest.raises(ActionError, match="young lad/young lass"):
        resolve_tokens(DemographicGroup([["he", "she"], ["young lad", "young lass"]]), tokens)


def test_two_derivations_of_one_mapping_merge():
    tokens = words_tokenizer("man woman he she", normalizers.Lowercase())
    assert resolved(GENDER, tokens) == {("man", "woman"), ("he", "she")}
    assert len(resolve_tokens(GENDER, tokens).sets[0]) == 2


# A normalizer that writes "US" as "usa" makes a derived form of one set collide with the forms of another.
RENAMES = normalizers.Replace("US", "usa")
PLAIN = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()])


def test_explicit_forms_win_over_derived_ones():
    tokens = words_tokenizer("us them usa uk Us Them THEM", RENAMES)
    expected = {("us", "them"), ("Us", "Them"), ("usa", "uk")}
    for sets in ([["us", "them"], ["usa", "uk"]], [["usa", "uk"], ["us", "them"]]):
        assert resolved(DemographicGroup(sets), tokens) == expected


def test_a_form_that_gives_way_leaves_its_other_words_where_they_are():
    """Of UM/US, the second word is a token of an explicit form, and the first is a token of nothing else."""
    tokens = words_tokenizer("us um usa uk UM", RENAMES)
    group = DemographicGroup([["um", "us"], ["usa", "uk"]])
    assert resolved(group, tokens) == {("um", "us"), ("usa", "uk")}


@pytest.mark.parametrize(
    ("group", "tokens", "message"),
    [
        # Two explicit forms, in one factor and in two.
        (
            DemographicGroup([["papa", "mama"], ["papá", "tata"]]),
            words_tokenizer("papa mama tata", PLAIN),
            "papá/tata and papa/mama share a token",
        ),
        (
            DemographicGroup([["papa", "mama"]]) * DemographicGroup([["papá", "mamá"]]),
            words_tokenizer("papa mama", PLAIN),
            "papá/mamá and papa/mama share a token",
        ),
        # Two derived forms.
        (
            DemographicGroup([["us", "them"], ["Usa", "Uk"]]),
            words_tokenizer("us them usa uk Usa Uk THEM", RENAMES),
            "usa/uk and US/THEM share a token",
        ),
        # The same words in another order.
        (
            DemographicGroup([["a", "e", "i"], ["á", "í", "é"]]),
            words_tokenizer("a e i", PLAIN),
            "á/í/é and a/e/i share a token",
        ),
    ],
)
def test_collisions_raise_and_name_both(group, tokens, message):
    with pytest.raises(ActionError, match=message):
        resolve_tokens(group, tokens)


def test_two_words_with_one_token_raise():
    tokens = words_tokenizer("jose joan", PLAIN)
    with pytest.raises(ActionError, match="two of 'jose', 'josé' with the same token"):
        resolve_tokens(DemographicGroup([["jose", "josé"]]), tokens)


def test_vocabulary_must_fit_the_embedding():
    tokens = words_tokenizer("man woman he she")
    assert resolve_tokens(GENDER, tokens).vocab_size == len(tokens) == 7
    assert resolve_tokens(GENDER, tokens, vocab_size=7).vocab_size == 7
    assert resolve_tokens(GENDER, tokens, vocab_size=64).vocab_size == 64
    with pytest.raises(ConfigurationError, match="tokens up to 6, but the model's embedding has 6 rows"):
        resolve_tokens(GENDER, tokens, vocab_size=6)


def test_tokens_that_are_added_later_count():
    tokens = words_tokenizer("man woman he she")
    tokens.add_tokens(["person"])
    with pytest.raises(ConfigurationError, match="tokens up to 7"):
        resolve_tokens(GENDER, tokens, vocab_size=7)


@pytest.mark.parametrize("scheme", ["first", "always"])
def test_marked_words_are_found_with_and_without_their_mark(scheme):
    group = DemographicGroup([["he", "she"]])
    # "She" is known with the mark alone, so "He" without the mark stays where it is.
    assert resolved(group, marked_tokenizer(scheme)) == {("▁he", "▁she"), ("he", "she"), ("▁He", "▁She")}


def test_marked_words_must_be_known_on_every_side():
    assert resolved(DemographicGroup([["man", "woman"]]), marked_tokenizer("first")) == {("▁man", "▁woman")}


@pytest.mark.parametrize("value", ["ignore", "", "Error"])
def test_unknown_multi_token_raises(value):
    with pytest.raises(
        ConfigurationError, match=f"multi_token={value!r} is not known: .*se one of 'auto', 'compose', 'error', 'skip'"
    ):
        resolve_tokens(GENDER, tokenizer(), multi_token=value)


@pytest.mark.parametrize("kind", ["neutral", "general"])
def test_listed_words_stand_for_all_their_forms(kind):
    group = DemographicGroup([["he", "she"]], **{kind: ["doctor", "Nurse"]})
    tokens = bytes_tokenizer("he she Ġhe Ġshe doctor Ġdoctor Doctor ĠDOCTOR Nurse Ġnurse the")
    token_map = resolve_tokens(group, tokens)
    (listed,), (other,) = getattr(token_map, kind), getattr(token_map, "general" if kind == "neutral" else "neutral")
    assert set(tokens.convert_ids_to_tokens(list(listed))) == {
        "doctor",
        "Ġdoctor",
        "Doctor",
        "ĠDOCTOR",
        "Nurse",
        "Ġnurse",
    }
    assert other is None


def test_lists_belong_to_their_factors():
    group = DemographicGroup([["he", "she"]], general=["pope"]) * DemographicGroup([["a", "b"]], neutral=["it"])
    tokens = words_tokenizer("he she pope a b it")
    token_map = resolve_tokens(group, tokens)
    ids = tokens.convert_tokens_to_ids
    assert token_map.sets == (((ids("he"), ids("she")),), ((ids("a"), ids("b")),))
    assert token_map.general == ((ids("pope"),), None)
    assert token_map.neutral == (None, (ids("it"),))


def test_listed_words_without_a_token_raise_or_are_skipped():
    group = DemographicGroup([["he", "she"]], general=["pope", "pontiff"])
    tokens = words_tokenizer("he she pope")
    with pytest.raises(ActionError, match=r"general words are not single tokens, .*: pontiff\. Leave"):
        resolve_tokens(group, tokens)
    with pytest.warns(GroupWarning, match=r"^1 of 2 general words .* neutral and are made symmetric: pontiff\.$"):
        token_map = resolve_tokens(group, tokens, multi_token="skip")
    assert token_map.general == ((tokens.convert_tokens_to_ids("pope"),),)
    resolve_tokens(group, tokens, relaxes=False)  # says nothing, as these words make no difference


@pytest.mark.parametrize(
    ("sets", "normalizer"),
    [
        ([["papa", "mama"], ["papá", "mamá"]], PLAIN),
        ([["a", "e", "i"], ["é", "í", "á"]], PLAIN),
        ([["papa", "mama"], ["Papa", "Mama"]], normalizers.Lowercase()),
    ],
)
def test_two_sets_of_one_mapping_merge(sets, normalizer):
    tokens = words_tokenizer(" ".join(sets[0]), normalizer)
    assert resolved(DemographicGroup(sets), tokens) == {tuple(sets[0])}


COMMANDS = DemographicGroup([["jump", "run"], ["JUMPS", "RUNS"]])


def strings(tokens, token_map):
    """The token sets of the first factor as strings."""
    return {tuple(tokens.convert_ids_to_tokens(list(ids))) for ids in token_map.sets[0]}


def test_each_side_moves_the_words_that_it_knows():
    source, target = words_tokenizer("and run jump Jump Run"), words_tokenizer("RUNS WALKS JUMPS")
    maps = resolve_pair(COMMANDS, source, target)
    assert strings(source, maps[0]) == {("jump", "run"), ("Jump", "Run")}
    assert strings(target, maps[1]) == {("JUMPS", "RUNS")}
    assert [each.vocab_size for each in maps] == [len(source), len(target)]
    assert [each.vocab_size for each in resolve_pair(COMMANDS, source, target, 64, 32)] == [64, 32]


def test_words_that_both_sides_know_move_on_both():
    source, target = words_tokenizer("jump run RUNS JUMPS"), words_tokenizer("RUNS JUMPS")
    maps = resolve_pair(COMMANDS, source, target)
    assert strings(source, maps[0]) == {("jump", "run"), ("JUMPS", "RUNS")}
    assert strings(target, maps[1]) == {("JUMPS", "RUNS")}


def test_a_shared_tokenizer_gives_one_map_twice():
    tokens = words_tokenizer("jump run RUNS JUMPS")
    source, target = resolve_pair(COMMANDS, tokens, tokens)
    assert source == target == resolve_tokens(COMMANDS, tokens)


def test_words_that_neither_side_knows_raise_or_are_skipped():
    group = DemographicGroup([["jump", "run"], ["JUMPS", "RUNS"], ["look", "walk"]])
    # Each side knows one word of the last set, which moves on neither.
    source, target = words_tokenizer("jump run look"), words_tokenizer("RUNS JUMPS walk")
    message = r"the source and the target tokenizer lack a single token .*: look/walk\. Leave"
    with pytest.raises(ActionError, match=message):
        resolve_pair(group, source, target)
    with pytest.warns(GroupWarning, match=r"with these tokenizers .*: look/walk\. To"):
        maps = resolve_pair(group, source, target, multi_token="skip")
    assert [strings(*side) for side in zip((source, target), maps, strict=True)] == [
        {("jump", "run")},
        {("JUMPS", "RUNS")},
    ]


def test_listed_words_need_one_side_alone():
    group = DemographicGroup([["he", "she"]], general=["pope"])
    source, target = words_tokenizer("he she"), words_tokenizer("pope")
    maps = resolve_pair(group, source, target)
    assert [each.general for each in maps] == [((),), ((target.convert_tokens_to_ids("pope"),),)]
    with pytest.raises(ActionError, match=r"not single tokens, .*: pope\. Leave"):
        resolve_pair(group, source, source)


@pytest.mark.parametrize(("sizes", "highest"), [((6, 64), 6), ((64, 5), 5)])
def test_vocabularies_must_fit_their_sides(sizes, highest):
    source, target = words_tokenizer("jump run and look"), words_tokenizer("JUMPS RUNS A")
    with pytest.raises(
        ConfigurationError, match=f"tokens up to {highest}, but the model's embedding has {highest} rows"
    ):
        resolve_pair(COMMANDS, source, target, *sizes)


def test_collisions_on_either_side_raise():
    plain, accents = words_tokenizer("jump run júmp rún papa"), words_tokenizer("jump run papa", PLAIN)
    group = DemographicGroup([["jump", "run"], ["júmp", "papa"]])
    for sides in ((plain, accents), (accents, plain)):
        with pytest.raises(ActionError, match="júmp/papa and jump/run share a token"):
            resolve_pair(group, *sides)


def test_unknown_multi_token_of_a_pair_raises():
    with pytest.raises(
        ConfigurationError, match="multi_token='drop' is not known: use one of 'auto', 'error', 'skip'"
    ):
        resolve_pair(COMMANDS, tokenizer(), tokenizer(), multi_token="drop")
