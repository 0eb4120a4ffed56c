"""Measuring fusion."""
