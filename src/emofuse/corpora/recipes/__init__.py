"""One module a corpus: how its files and labels become a manifest."""
