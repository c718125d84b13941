"""From words to jobs: choices, sweeps, building, identity, plans; nothing here reads data or loads a model."""
