"""Files in and out: atomic writes, pictures, audio, suffixes and content types, downloads."""
