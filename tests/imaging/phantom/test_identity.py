"""Times that a phantom's images carry."""

from __future__ import annotations

from itertools import pairwise

from palpate.imaging.phantom.identity import Identity


def test_acquisition_times_rise_with_instance_numbers() -> None:
    """Readers order offsets by acquisition time before instance number: a time that starts again exchanges them."""
    identity = Identity("01", "01", "settings")
    times = [identity.image(7, number).AcquisitionTime for number in (1, 59, 60, 61, 119, 120, 3539, 3540, 7200, 20000)]
    assert all(earlier < later for earlier, later in pairwise(times))
    assert all(int(time[2:4]) < 60 and int(time[4:]) < 60 for time in times)
