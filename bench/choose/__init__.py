"""Which configuration to ship: the cheapest that is not shown to be worse than the best."""
