"""A whole site on real servers whose parts are killed while customers have swaps made."""
