"""Named studies: their jobs, the line that each leaves, and what all lines say together."""
