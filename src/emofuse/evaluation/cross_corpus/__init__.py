"""What the models say of people and recordings that none of them has met."""
