"""Dynamics of many cells at once in torch, for any energy, on the processor or on a GPU."""
