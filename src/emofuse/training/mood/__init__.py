"""Teaches the default model of a group's mood, on photos composed of single faces."""
