"""Settings of the reading of a tumour's images over time."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from palpate.config.registration import RegistrationSettings

type Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class TumourSettings(RegistrationSettings):
    """Settings of the history on one grid, which is read from a tumour's images and treatments."""

    adc_water_mm2_s: Positive = 3.0e-3
    """ADC of free water at 37 degrees Celsius, where there are no cells, mm2/s."""

    adc_least_mm2_s: Positive = 0.6e-3
    """ADC where cells fill the tissue (cellularity 1), mm2/s. One value for all dates, so that changes stay changes."""

    adc_std_mm2_s: Positive = 0.25e-3
    """Standard deviation of ADC by voxel, mm2/s, where no sidecar states NoiseStd."""

    cellularity_std: Annotated[float, Field(gt=0, le=1)] = 0.15
    """Standard deviation of a cellularity map by voxel, where no sidecar states NoiseStd."""

    registration: Literal["auto", "never"] = "auto"
    """Whether later dates are registered to the first by their T1 images. auto: where both dates have one; never:
    not."""

    stiffness_draws: Annotated[int, Field(ge=2, le=1000)] = 40
    """Number of joint draws of the stiffness that are kept."""

    @model_validator(mode="after")
    def _water_diffuses_more(self) -> Self:
        if self.adc_least_mm2_s >= self.adc_water_mm2_s:
            raise ValueError("adc_least_mm2_s must be below adc_water_mm2_s")
        return self
