"""Hybrid surrogates of molecular dynamics: physically recurrent neural networks with MD cells."""
