"""Templates, filled and cut into tokens."""

from __future__ import annotations

import pytest
from small_models import BOTH, GENDER, chat_tokenizer, tokenizer

from hf_equi.errors import ConfigurationError, HfEquiWarning
from hf_equi.fairness.auditing.blocks import make_blocks


def test_prompt_k_is_that_of_element_k() -> None:
    (block,) = make_blocks(["the {demographic} was"], BOTH, tokenizer())
    assert block.demographics == BOTH.names
    assert block.prompts[4] == "the woman white was"
    assert block.tokens[4] == tuple(tokenizer()("the woman white was")["input_ids"])
    assert not block.neutral


def test_a_template_without_the_place_has_one_prompt() -> None:
    _, block = make_blocks(["the {demographic}", "she was"], GENDER, tokenizer())
    assert (block.demographics, block.prompts, block.neutral) == (("",), ("she was",), True)


@pytest.mark.parametrize(
    "template",
    [
        "<end>user\n\tthe {demographic} worked as\r\n<end>",
        "\u0645\u06cc\u200c\u06af\u0648\u06cc\u062f {demographic} \U0001f469\u200d\U0001f52c",
        "{demographic}\x00\x1b\u2028\u202e",
        "\n",
    ],
    ids=["chat", "joiners", "controls", "blank"],
)
def test_whatever_a_tokenizer_reads_is_a_prompt(template) -> None:
    (block,) = make_blocks([template], GENDER, tokenizer())
    assert block.prompts[0] == template.replace("{demographic}", "man")
    assert block.tokens[0] == tuple(tokenizer()(block.prompts[0])["input_ids"])


def test_a_chat_is_filled_in_every_message_and_read_in_its_turns() -> None:
    messages = [{"role": "system", "content": "he met the {demographic}"}, {"role": "user", "content": "known\nfor"}]
    (block,) = make_blocks([messages], GENDER, chat_tokenizer())
    assert block.template == "system: he met the {demographic}\nuser: known\nfor"
    assert block.prompts[1] == "system: he met the woman\nuser: known\nfor"
    sent = [{**messages[0], "content": "he met the woman"}, messages[1]]
    ids = chat_tokenizer().apply_chat_template(sent, add_generation_prompt=True)["input_ids"]
    assert block.tokens[1] == tuple(ids)
    assert (block.read[1], block.joint) == (chat_tokenizer().decode(ids), "\n")


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ([], "No prompts: pass templates"),
        ("the {demographic}", "received the string"),
        (["the man", ""], "Prompt 1 is ''"),
        (["the man \udc80"], r"'the man \\udc80' contains half of a character"),
        ([3], "Prompt 0 is 3"),
        (["the man", "the man"], "'the man' is given twice"),
        ([[{"role": "user", "content": "the {demographics}"}]], "did you mean {demographic}"),
    ],
)
def test_what_is_no_list_of_templates_is_refused(prompts, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make_blocks(prompts, GENDER, tokenizer())


def test_braces_that_are_no_place_are_said_once_and_read() -> None:
    templates = ["{}", "print({ x })", "{{demographic}}", "{name} {demographic}", '{"role": "user"} {demographic}']
    with pytest.warns(
        HfEquiWarning, match=r"^Braces in '{}', .*, \.\.\. are read as .* written {demographic}\.$"
    ) as said:
        blocks = make_blocks(templates, GENDER, tokenizer())
    assert len(said) == 1
    assert [block.prompts[0] for block in blocks] == [
        "{}",
        "print({ x })",
        "{man}",
        "{name} man",
        '{"role": "user"} man',
    ]


def test_a_prompt_without_tokens_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'the man' has no tokens"):
        make_blocks(["the man"], GENDER, lambda text: {"input_ids": []})
