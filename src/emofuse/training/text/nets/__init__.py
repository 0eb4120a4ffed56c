"""Nets for text: each name with the module and attribute of its `NetKind`."""

KINDS: dict[str, str] = {
    "bigru": "bigru:BIGRU",
    "distilbert": "encoder:DISTILBERT",
    "minilm": "encoder:MINILM",
    "tfidf": "tfidf:TFIDF",
}
