"""Matrix products of this NumPy on this processor."""

from __future__ import annotations

from palpate.blas_check import check_blas
from palpate.errors import InputError
from palpate.machine_check.check_line import CheckLine, Verdict


def blas_facts() -> InputError | None:
    """Test matrix products; return their fault, None without one."""
    try:
        check_blas()
    except InputError as error:
        return error
    return None


def blas_line(fault: InputError | None) -> CheckLine:
    """Judge the test of matrix products.

    Args:
        fault: fault of the products; None without one.
    """
    if fault is None:
        return CheckLine("BLAS", "right matrix products on this processor")
    return CheckLine("BLAS", f"{fault.where}: {fault.found}", Verdict.MISSING, fault.advice)
