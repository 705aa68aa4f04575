"""The compiled loops of materials."""
