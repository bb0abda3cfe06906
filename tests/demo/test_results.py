"""What the page shows, as HTML."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

from hf_equi.demo.answers import Answer, Question, answer
from hf_equi.demo.next_words import NextWord
from hf_equi.demo.results import problem_html, results_html, styles, waiting_html
from hf_equi.fairness import GroupGap
from hf_equi.fairness.completions import Member

EVIL = "<img src=x onerror=alert(1)> {{7*7}} ${7*7} \x1b[2J\u202e"


def member(who: str, *texts: str) -> Member:
    base, equi = ((((" " + text, False), (f" {who}", True)),) for text in texts)
    return Member((who,), (1, 2), (("The", False), (f" {who}", True), (" said", False)), base, equi)


def answered(**changes) -> Answer:
    words = (NextWord("he / she", (0.3, 0.1), (0.2, 0.2)), NextWord("rare", (1e-5, 1e-5), (1e-5, 1e-5)))
    members = (member("man", "left early", "stayed"), member("woman", "cried", "stayed"))
    whole = Answer(
        "EquiLM (equitune)",
        members,
        words,
        GroupGap(0.399, 0.2),
        GroupGap(3.9e-8, 1e-8),
        ("a note",),
        "By chance.",
        True,
    )
    return replace(whole, **changes)


def texts(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def test_all_that_was_computed_is_there() -> None:
    html = results_html(answered())
    assert "The man said Base model left early man EquiLM (equitune) stayed man The woman said" in texts(html)
    assert html.count("The <mark>man</mark> said") == 1
    assert "Base model 0.399 nats a token EquiLM (equitune) 3.9×10⁻⁸ nats a token" in texts(html)
    assert "A note." in texts(html)
    assert "words that the group moves. By chance." in texts(html)
    bars = re.findall(r'style="width: ([\d.]+)%"></i></span><span class="equi-value">(\S+) %</span> .*?>(\w+)<', html)
    assert bars == [
        ("100.00", "30.0", "man"),
        ("33.33", "10.0", "woman"),
        ("66.67", "20.0", "man"),
        ("66.67", "20.0", "woman"),
    ]
    assert "rare" not in html


def test_members_are_named_by_as_few_words_as_tell_them_apart() -> None:
    def names(*prompts: str) -> list[str]:
        asked = (replace(member("x", "", ""), prompt=tuple((word, True) for word in text.split())) for text in prompts)
        words = (NextWord("a", (0.5,) * len(prompts), None),)
        html = results_html(answered(members=tuple(asked), words=words))
        return re.findall(r'equi-who">(.*?)<', html)

    assert names("father his", "mother her") == ["father", "mother"]
    assert names("Black his", "Black her", "White his") == ["Black … his", "Black … her", "White … his"]
    assert names("") == []


def test_a_row_of_single_bars_says_what_the_method_makes_equal() -> None:
    alone = answered(members=answered().members[:1], words=(NextWord("he", (0.3,), (0.2,)),))
    assert "EquiLM (equitune) gives a word and its counterparts the same" in texts(results_html(alone))
    assert "need not give a word and its counterparts the same" in texts(results_html(replace(alone, even=False)))


def test_a_search_says_that_it_has_no_law() -> None:
    words = tuple(replace(word, equi=None) for word in answered().words)
    said = texts(results_html(answered(words=words, equi_gap=None, title="EquizeroLM (equizero)")))
    assert "not measured: a search has no tractable likelihood" in said
    assert "EquizeroLM (equizero) chooses between whole drafts, so it gives no probabilities for single tokens" in said


def test_no_text_acts_on_the_page() -> None:
    evil = (member(EVIL, EVIL, ""), member("woman", EVIL, ""))
    for html in (results_html(answered(members=evil, notes=(EVIL,))), problem_html(EVIL)):
        assert "<img" not in html
        assert not {"{", "$", "\x1b", "\u202e"} & set(html)
        assert "<img src=x onerror=alert(1)> {{7*7}} ${7*7} \\x1b[2J\\u202e" in texts(html)


def test_a_problem_is_one_sentence_that_is_announced() -> None:
    assert problem_html("the prompt\n is empty") == '<p class="equi-problem" role="alert">The prompt is empty.</p>'


def test_a_text_that_ended_at_once_is_said(lm) -> None:
    whole = answer(lm, Question("the man said", tokens=1))
    silent = tuple(replace(one, equi=((),)) for one in whole.members)
    assert texts(results_html(replace(whole, members=silent))).count("(no text: the model ended at once)") == 2


def test_each_class_has_its_style() -> None:
    used = {*re.findall(r"equi-\w+", results_html(answered()) + problem_html("x") + waiting_html())}
    ids = {name for name in used if f'id="{name}-title"' in results_html(answered())}
    assert used - ids - {name for name in used if f".{name}" in styles()} == set()
