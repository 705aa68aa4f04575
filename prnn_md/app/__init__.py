"""The commands: their configuration, the run ledger, figures and comparison; nothing scientific."""
