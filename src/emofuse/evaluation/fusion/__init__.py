"""Comparing fusion strategies."""
