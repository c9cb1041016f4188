"""A runbook into evidence: reading, kernels, deadlines, redaction, recording.

Loaded in every kernel, so it loads nothing by itself: import from `checks.run.execution` and `checks.run.many`.
"""
