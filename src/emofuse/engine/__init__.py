"""The streaming engine: windows, alignment, smoothing, pipeline. It knows only the protocols."""
