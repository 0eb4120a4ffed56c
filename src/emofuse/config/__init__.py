"""Settings: one loader from YAML, TOML or JSON to frozen dataclasses."""
