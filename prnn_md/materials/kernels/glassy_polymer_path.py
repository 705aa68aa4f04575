"""The Eindhoven Glassy Polymer along paths, and back again, in compiled loops."""

import numpy as np

from prnn_md.compiled import Kernel
from prnn_md.materials.kernels.glassy_polymer_increment import BODY, MODE, NEXT, NOMINAL, NUMBERS, PLASTIC, respond
from prnn_md.materials.kernels.glassy_polymer_tangent import CHANGES, differentiate
from prnn_md.materials.kernels.tensors import matrix, vector


@Kernel
def follow(constants, moduli, viscosities, strains, durations, stresses, plastic, accumulated, valid, kept):
    """Fill stresses (items, T, 6) and, if it has room, the derivatives of each increment, (items, T, size, size).

    `durations` (items, T) are those of the increments; plastic (items, modes, 6) and accumulated (items,) go to the end
    of the path. `valid` (items,) is the number of points that are to be answered, and then of those that have been:
    from the first that is not possible all stresses are NaN, and nothing changes any more.
    """
    body, modes, changes = np.empty((BODY, 3, 3)), np.empty((len(moduli), MODE, 3, 3)), np.empty((CHANGES, 3, 3))
    principal, rates, b = np.empty((len(moduli), NUMBERS, 3)), np.empty(len(moduli)), np.empty((len(moduli), 3))
    for item in range(strains.shape[0]):
        t = 0
        while t < valid[item]:
            for m in range(len(moduli)):
                matrix(plastic[item, m], modes[m, PLASTIC])
            given = (strains[item, t], durations[item, t], accumulated[item])
            jacobian, y, increment = respond(constants, moduli, viscosities, *given, body, modes, principal, rates, b)
            vector(body[NOMINAL], stresses[item, t])
            if not (jacobian > 0.0 and np.abs(stresses[item, t]).max() < np.inf):
                break
            if kept.shape[0] > 0:
                found = (accumulated[item], jacobian, y, body, modes, principal, rates, b)
                differentiate(constants, moduli, *found, changes, kept[item, t])
            for m in range(len(moduli)):
                vector(modes[m, NEXT], plastic[item, m])
            accumulated[item] += increment
            t += 1
        valid[item] = t
        stresses[item, t:] = np.nan


@Kernel
def follow_back(kept, valid, of_stress, of_strain, of_plastic, of_accumulated):
    """Fill the gradients by the strains; those by the state go from the end to the beginning.

    Points that are not valid have none.
    """
    modes, size = of_plastic.shape[1], kept.shape[2]
    gradient, before = np.zeros(size), np.zeros(size)
    for item in range(kept.shape[0]):
        for m in range(modes):
            gradient[6 + 6 * m : 12 + 6 * m] = of_plastic[item, m]
        gradient[size - 1] = of_accumulated[item]
        of_strain[item, valid[item] :] = 0.0
        for t in range(valid[item] - 1, -1, -1):
            gradient[:6] = of_stress[item, t]
            before[:] = 0.0
            for i in range(size):
                for j in range(size):
                    before[j] += gradient[i] * kept[item, t, i, j]
            of_strain[item, t] = before[:6]
            gradient[6:] = before[6:]
        for m in range(modes):
            of_plastic[item, m] = gradient[6 + 6 * m : 12 + 6 * m]
        of_accumulated[item] = gradient[size - 1]
