"""Analyzes in the background."""
