"""Where packets come from: files, images, text, and a prefetching wrapper."""
