"""Who is who: faces that are one person's, voices that are one speaker's."""
