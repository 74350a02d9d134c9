"""Metadata and READMEs of a hub's models or datasets, as a folder that can be searched."""
