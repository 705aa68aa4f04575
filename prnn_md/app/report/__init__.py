"""The report: one HTML page that compares runs, made from their folders alone."""
