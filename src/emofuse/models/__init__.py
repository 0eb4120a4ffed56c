"""Cards, weights and the runtime: everything about models, nothing about a modality."""
