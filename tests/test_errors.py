"""Errors reach whoever asked, also out of a process that did the work."""

import pickle

from emofuse.errors import MissingExtra


def test_a_missing_extra_is_told_by_a_worker() -> None:
    error = pickle.loads(pickle.dumps(MissingExtra("ass", "a subtitle file")))
    assert isinstance(error, MissingExtra)
    assert error.extra == "ass"
    assert str(error) == str(MissingExtra("ass", "a subtitle file"))
