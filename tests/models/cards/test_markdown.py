from __future__ import annotations

import pytest

from hf_equi.models.cards.markdown import plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mit", "mit"),
        ("apache-2.0", "apache-2.0"),
        ("3.5 years", "3.5 years"),
        ("# a\n\n## b", r"\# a \#\# b"),
        ("- a", r"\- a"),
        ("---", r"\---"),
        ("12) a", r"12\) a"),
        ("1.", r"1\."),
        ("<!-- a", r"\<!-- a"),
        ("a_b*c`d`", r"a\_b\*c\`d\`"),
        ("[a](b) &lt; $x$ ~c~ \\ |", r"\[a\](b) \&lt; \$x\$ \~c\~ \\ \|"),
        ("mit \u202e\x1b[2J", r"mit \\u202e\\x1b\[2J"),
        (["mit", 2], r"\['mit', 2\]"),
    ],
)
def test_nothing_of_it_is_markup(text, shown):
    assert plain(text) == shown


def test_what_is_long_is_cut_before_it_is_escaped():
    assert plain("a" * 9, longest=9) == "a" * 9
    assert plain("####### more", longest=5) == r"\#\#\#\#\# ..."
