"""Did today's change make it worse? `decide` answers for one cell, the rest is around it."""
