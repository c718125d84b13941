"""From a job to its records: evaluation in one pass, ahead of the model, with provenance."""
