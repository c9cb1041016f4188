"""What a result in a notebook's outputs may hold, as pydantic models at the border."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from checks.model import Status

Time = Annotated[AwareDatetime, AfterValidator(lambda time: time.astimezone(UTC))]
Text = Annotated[str, Field(max_length=10_000)]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ObservationPayload(_Closed):
    """A value that was measured; the fields are `checks.model.Observation`'s."""

    value: Annotated[float, Field(strict=True)]
    unit: Text
    measured_at: Time
    took: Annotated[float, Field(strict=True, ge=0)]
    source: Text
    detail: Text = ""
    samples: Annotated[int, Field(strict=True, ge=0)] | None = None


class BaselinePayload(_Closed):
    """The baseline that a result was judged by; the fields are `checks.model.BaselineUsed`'s."""

    value: Annotated[float, Field(strict=True)]
    unit: Text
    samples: Annotated[int, Field(strict=True, ge=0)]
    about: Text


class ResultPayload(_Closed):
    """One result, version 1; the fields are `checks.model.Result`'s, and the id of the run that it belongs to."""

    version: Literal[1]
    run: Annotated[str, Field(min_length=1, max_length=64)]
    system: Annotated[str, Field(min_length=1)]
    metric: Annotated[str, Field(min_length=1)]
    title: Text
    status: Status
    reason: Text
    judged_at: Time
    observation: ObservationPayload | None = None
    warning: Text | None = None
    critical: Text | None = None
    baseline: BaselinePayload | None = None

    @model_validator(mode="after")
    def _judged_means_measured(self) -> ResultPayload:
        if self.observation is None and self.status is not Status.UNKNOWN:
            raise ValueError(f"expected an observation beside the status {self.status.value}; nothing unmeasured is judged")
        return self
