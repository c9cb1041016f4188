"""The site: a skeleton that MkDocs builds, filled from the journal and published by an atomic swap."""
