"""Searches over weights, rerank depths and parameters, each from work that is done once."""
