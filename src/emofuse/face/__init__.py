"""Faces: find them, follow them, cut them out alike, say what they express."""
