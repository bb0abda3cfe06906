"""This checkpoint needs the package hf_equi: `pip install hf_equi`, then `import hf_equi` first."""

import sys
import warnings

if "hf_equi" not in sys.modules:
    warnings.warn(
        "This is a checkpoint of hf_equi: run `import hf_equi` before loading it, and trust_remote_code is not needed",
        stacklevel=2,
    )

try:
    from hf_equi import EquiForPointCloudClassification, EquiPointCloudClassificationConfig
except ModuleNotFoundError as error:
    raise ImportError("This checkpoint needs hf_equi: run `pip install hf_equi`, then `import hf_equi`") from error

__all__ = ["EquiForPointCloudClassification", "EquiPointCloudClassificationConfig"]
