"""Training data: any suite, SQuAD's own JSON, pairs, or a data set of the hub, all as suites."""
