"""Where on a crop the swapped face is painted."""
