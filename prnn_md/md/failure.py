"""How an MD cell can fail to follow its strain, and what it says then."""

CONVERGED, NOT_CONVERGED, BROKEN_BOND, SMALL_BOX, NOT_FINITE, UNSTABLE, BAD_STRAIN = range(7)

REASONS = {
    NOT_CONVERGED: "the energy minimisation did not converge: raise max_evaluations or force_tolerance",
    BROKEN_BOND: "a bond broke: take smaller increments, smaller time steps if there are any, or a smaller amplitude",
    SMALL_BOX: "the box became narrower than twice the cutoff: use cells with more particles or a smaller strain",
    NOT_FINITE: "forces or stress became infinite or NaN, since particles overlap: take smaller increments",
    UNSTABLE: "the dynamics are unstable: take smaller time steps (timestep, or more steps per increment)",
    BAD_STRAIN: "the strain is not finite, or turns the box inside out: correct the path",
}


class CellFailure(RuntimeError):
    """An MD cell could not follow its strain path.

    `cell` is the sample, `path` the position in the batch, `increment` the point on the path, `reason` a sentence
    without its full stop. Whoever knows what the path is called says so, as `prnn_md.training.module` does.
    """

    def __init__(self, cell: int, path: int, increment: int, reason: str) -> None:
        super().__init__(cell, path, increment, reason)
        self.cell, self.path, self.increment, self.reason = cell, path, increment, reason

    def __str__(self) -> str:
        return f"MD cell {self.cell}, path {self.path}, increment {self.increment}: {self.reason}."
