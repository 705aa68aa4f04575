"""Expensive simulations as jobs that can be repeated, resumed and spread over processes."""
