"""Where labels are computed: in this process, in others beside it, or on a cluster."""
