"""Datasets for other programs: CSV tables and NumPy archives."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from prnn_md.data.dataset import ARRAYS, ATTRIBUTES, StressStrainData
from prnn_md.data.strain_csv import StrainPath, write_stress_paths
from prnn_md.files import replaced_when_done
from prnn_md.mechanics import COMPONENTS


def write_csv(path: str | Path, data: StressStrainData, numbers: Sequence[int]) -> None:
    """Write strains and mean stresses as tensor components, which `prnn-md predict` and `dataset import csv` read.

    Columns: path, family, split, time, E_xx ... E_xy, T_xx ... T_xy, a row for each point. `numbers` are the places of
    the paths in their dataset, from which they have their names, such as cyclic_17. Replicas and standard errors are
    left out.
    """
    paths = [
        StrainPath(f"{family}_{number}", times, strain)
        for family, number, times, strain in zip(data.family, numbers, data.times, data.strain, strict=True)
    ]
    write_stress_paths(path, paths, list(data.stress), list(zip(data.family, data.split, strict=True)))


def write_npz(path: str | Path, data: StressStrainData) -> None:
    """Write all that a dataset holds as a NumPy archive, which `numpy.load` reads without pickle.

    strain, stress and standard_error (paths, T+1, 6), replicas (paths, R, T+1, 6), NaN where a path has fewer,
    replica_count (paths,), times (paths, T+1), stress_scale (6,); family and split (paths,) and label_ids (paths, R)
    are texts, and name, units, time_unit, stress_measure and provenance (JSON) one text each. Strains are Biot strains;
    the six components are those of Mandel notation (shear times sqrt 2), whose order is in components (6,).
    """
    arrays = {name: getattr(data, name).numpy() for name in (*ARRAYS, "stress_scale")}
    texts = {name: np.array(getattr(data, name), dtype=np.str_) for name in ("family", "split", *ATTRIBUTES)}
    texts["label_ids"] = np.array(data.label_ids, dtype=np.str_).reshape(data.replicas.shape[:2])
    texts |= {"components": np.array(COMPONENTS), "provenance": np.array(json.dumps(data.provenance))}
    with replaced_when_done(path) as temporary, temporary.open("xb") as file:
        np.savez_compressed(file, **arrays, **texts)  # type: ignore[arg-type]
