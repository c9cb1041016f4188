"""A runbook into evidence: reading, kernels, deadlines, redaction, recording."""
