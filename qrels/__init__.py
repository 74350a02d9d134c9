"""Corpora, queries, judgements and runs: the words every other package speaks."""
