"""Corruptions of text do what their names say."""

import numpy as np

from emofuse.corruptions import text


def test_words_are_corrupted() -> None:
    written = "I can't believe it, this is SO good! [NAME]"
    assert text.as_spoken(written) == "i can't believe it this is so good [name]"
    assert text.as_spoken("?!") == "?!"
    typed = text.swap_letters(written * 20, 0.1, np.random.default_rng(0))
    assert sorted(typed) == sorted(written * 20)
    assert 0.05 < np.mean([a != b for a, b in zip(typed, written * 20, strict=True)]) < 0.25
    kept = text.drop_words(" ".join(map(str, range(1000))), 0.3, np.random.default_rng(0)).split()
    assert 650 < len(kept) < 750
    assert text.drop_words("hello", 0.999, np.random.default_rng(0)) == "hello"
