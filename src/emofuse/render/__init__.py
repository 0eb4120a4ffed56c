"""Results drawn into the medium: a copy of a film with boxes, names and bars."""
