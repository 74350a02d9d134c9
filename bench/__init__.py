"""Runs systems against suites and says what the differences are worth."""
