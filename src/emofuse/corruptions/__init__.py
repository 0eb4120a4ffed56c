"""What rooms, microphones, cameras and keyboards do to media.

Pure functions of a medium, of strengths in stated units and, where something is random, of
a generator. Training augments with them and evaluation corrupts with them. None changes
the medium that it is given.
"""
