"""Matrix products of this NumPy on this processor."""

from __future__ import annotations

from palpate.blas_check import check_blas
from palpate.errors import InputError
from palpate.machine_check.check_line import CheckLine, Verdict


def blas_facts() -> InputError | None:
    """Test matrix products; return what is wrong, None for nothing."""
    try:
        check_blas()
    except InputError as error:
        return error
    return None


def blas_line(fault: InputError | None) -> CheckLine:
    """Judge the test of matrix products.

    Args:
        fault: what is wrong; None for nothing.
    """
    if fault is None:
        return CheckLine("BLAS", "right matrix products on this processor")
    return CheckLine("BLAS", f"{fault.where}: {fault.found}", Verdict.MISSING, fault.advice)
