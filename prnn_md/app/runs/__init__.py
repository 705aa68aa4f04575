"""`prnn-md runs`: list, show, compare and delete runs by what their folders tell."""
