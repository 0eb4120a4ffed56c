"""Files in and out: atomic writes, images, audio, suffixes and content types, downloads."""
