"""Patients drawn from a model of the twin's protocol, with measurements of several streams."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from palpate.twin.assimilation.course import Span, Transition, transitions
from palpate.twin.assimilation.joint_state import JointModel, Memory
from palpate.twin.assimilation.setup import AssimilationSetup
from palpate.twin.state_space.event import Event

type Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """Measurements of one stream.

    Attributes:
        stream: name of the stream.
        days: days of the measurements.
        std: standard deviation of the independent errors of each number.
        delay_days: time until a result is available.
    """

    stream: str
    days: tuple[float, ...]
    std: float
    delay_days: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedPatient:
    """Patient whose truth is known.

    Attributes:
        events: measurements.
        x: true state on the day of the last measurement, shape (states,).
        theta: true parameters on that day, shape (parameters,).
    """

    events: tuple[Event, ...]
    x: Values
    theta: Values


def patient_of[U](setup: AssimilationSetup[U], plans: tuple[StreamPlan, ...], number: int) -> SimulatedPatient:
    """Draw a patient from the priors, with noise, drifts and regimes of the setup, and measure it.

    Args:
        setup: setup of the assimilation, whose model is the truth.
        plans: measurements of each stream.
        number: number of the patient, on which alone the random numbers depend.
    """
    rng = np.random.default_rng([25, number])
    joint = JointModel(setup)
    z, at = joint.begin(rng.standard_normal((1, joint.parameters))), 0.0
    memory: Memory = ()
    events = []
    for day, plan in sorted(
        ((day, one) for one in plans for day in one.days), key=lambda dated: (dated[0], dated[1].stream)
    ):
        z, memory = _moved(joint, z, memory, (at, day), rng)
        at = day
        shown = joint.look(plan.stream, z)[0]
        value = shown + plan.std * rng.standard_normal(len(shown))
        events.append(Event(day, day + plan.delay_days, plan.stream, value, plan.std**2 * np.eye(len(shown))))
    x, theta = joint.split(z)
    return SimulatedPatient(tuple(events), x[0], theta[0])


def _moved[U](
    joint: JointModel[U], z: Values, memory: Memory, days: tuple[float, float], rng: np.random.Generator
) -> tuple[Values, Memory]:
    """Move the patient in steps of a day at most, in which neither noise nor drift is one jump."""
    for operation in transitions(joint.setup, *days):
        steps: list[Transition] = [operation]
        if isinstance(operation, Span):
            cuts = np.linspace(operation.begin, operation.end, int(np.ceil(operation.end - operation.begin)) + 1)
            steps = [Span(float(a), float(b)) for a, b in pairwise(cuts)]
        for step in steps:
            noise = rng.standard_normal((1, joint.noises(step, memory)))
            z, memory = joint.move(z, step, memory, noise), joint.remembered(step, memory)
    return z, memory
