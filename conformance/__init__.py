"""Small cases that say what a measure is, and a runner for the implementations at hand."""
