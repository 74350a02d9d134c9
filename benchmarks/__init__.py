"""Our speed beside that of others, in one process and by turns: `python -m benchmarks`."""
