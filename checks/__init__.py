"""Proofbook: the document is the check."""
