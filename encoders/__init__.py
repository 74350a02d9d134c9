"""Encoders by name: `minilm` (embedded), `hashing` (tests), or a sentence-transformers id or path."""
