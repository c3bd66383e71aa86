"""Is a log fit for unbiased learning: its quality, what identifies its bias, and what that bias is.

The module is the function too, `ultr.diagnose(lake)`: importing anything below a package puts the
package under its own name, over whatever stood there.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from ultr.diagnose.config import DiagnoseConfig
from ultr.diagnose.finding import Finding
from ultr.diagnose.output import write_diagnosis
from ultr.diagnose.result import Diagnosis
from ultr.diagnose.run import diagnose

__all__ = ["DiagnoseConfig", "Diagnosis", "Finding", "diagnose", "write_diagnosis"]


class _Diagnose(ModuleType):
    """This module, callable."""

    def __call__(self, *args: Any, **kwargs: Any) -> Diagnosis:
        return diagnose(*args, **kwargs)


sys.modules[__name__].__class__ = _Diagnose
