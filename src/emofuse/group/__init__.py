"""How a group as a whole feels: from its faces, its voices, its motion and the scene."""
