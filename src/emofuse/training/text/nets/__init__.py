"""Nets for text."""
