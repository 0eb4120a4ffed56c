"""The native window: `emofuse live`."""
