"""What rooms, microphones, cameras and keyboards do to samples."""
