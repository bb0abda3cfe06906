"""A kit for testing groups, actions, equivariant functions and environments, your own as well as this library's.

```python
>>> from hf_equi.groups import FiniteGroup
>>> from hf_equi.testing import assert_group
>>> assert_group(FiniteGroup.dihedral(4))

```
"""

from hf_equi.testing.actions import Action, assert_action
from hf_equi.testing.canonicalizers import assert_canonicalizer
from hf_equi.testing.environments import assert_environment_symmetric
from hf_equi.testing.equivariance import assert_equivariant, equivariance_error
from hf_equi.testing.groups import assert_group
from hf_equi.testing.tolerances import TOLERANCES

__all__ = [
    "TOLERANCES",
    "Action",
    "assert_action",
    "assert_canonicalizer",
    "assert_environment_symmetric",
    "assert_equivariant",
    "assert_group",
    "equivariance_error",
]
