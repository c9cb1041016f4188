"""The journal's schema, step by step; run by ``checks.journal._migrate``."""
