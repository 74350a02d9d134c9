"""The saved record and what is drawn from it; imports none of the other packages."""
