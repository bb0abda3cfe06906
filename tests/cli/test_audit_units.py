"""`hf-equi audit` with words of several tokens."""

from __future__ import annotations

import json

COMPOSED = ("-g", '[["old king", "queen"], ["he", "she"]]', "-n", "2")
COMPOSED += ("--max-new-tokens", "3", "-p", "the {demographic} was")


def test_words_of_several_tokens_move_where_methods_combine_members(run, folder, tmp_path) -> None:
    asked = (
        "audit",
        "-m",
        folder,
        *COMPOSED,
        "--out",
        tmp_path / "audit",
        "--methods",
        "base,EquiLM,mixture",
        "--json",
    )
    result = run(*asked)
    document = json.loads(result.out)
    base, lm, mixture = document["models"]
    assert lm["group_gap"] <= 1e-5 < base["group_gap"]
    assert (lm["consistency"], mixture["consistency"]) == (1.0, None)
    assert [one["units"] for one in document["about"]["models"].values()] == [[], ["old king/queen"], []]
    assert "EquiLM moves words of several tokens as one (old king/queen)" in document["briefing"][0]
    assert [one.get("multi_token") for one in document["settings"]["models"]] == [None, "compose", None]
    assert "words of several tokens that move as one: 'old king', 'queen'" in result.err
    assert "mixture: words of several tokens stay where they are, but the figures exchange them" in result.err
    assert run(*asked).out == result.out  # from the folder


def test_words_of_several_tokens_that_no_audited_method_moves_are_refused(run, folder) -> None:
    result = run("audit", "-m", folder, "--methods", "base,mixture", "--multi-token", "compose")
    assert result.status == 2
    assert "--multi-token compose has no effect on base, mixture: add one of EquiLM, R-EquiLM" in result.err
    other = run("audit", "-m", folder, "--multi-token", "whole")
    assert (other.status, "use one of 'compose', 'skip'" in other.err) == (2, True)
