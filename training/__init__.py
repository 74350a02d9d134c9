"""Training: one readable script a recipe, on a loop that all share; `python -m training`."""
