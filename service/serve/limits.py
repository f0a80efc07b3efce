"""Limits of one worker: requests of one person in a second, and questions that it computes and lets wait."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from palpate.service.serve.refusals import RequestRefusal, busy

_MOST_PERSONS: Final = 10_000


class RateLimit:
    """Bucket of requests for each person or address, filled at an even pace.

    Args:
        per_second: requests that come back in a second.
        clock: clock, seconds.
    """

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._pace, self._most, self._clock = per_second, max(1.0, 2.0 * per_second), clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> None:
        """Take one request out of a bucket.

        Args:
            name: person or address.

        Raises:
            RequestRefusal: the bucket is empty.
        """
        now = self._clock()
        left, seen = self._buckets.pop(name, (self._most, now))
        left = min(self._most, left + (now - seen) * self._pace)
        self._buckets[name] = (max(left - 1.0, 0.0), now)
        while len(self._buckets) > _MOST_PERSONS:
            self._buckets.popitem(last=False)
        if left < 1.0:
            raise RequestRefusal(
                429,
                "the requests",
                found="more requests than one person may make",
                expected=f"at most {self._pace:g} in a second",
                advice="Wait a moment.",
                headers={"Retry-After": "1"},
            )


class WorkPool:
    """Threads that compute answers, with a bounded number of questions that wait.

    Args:
        threads: questions that are computed at a time.
        waiting: questions that wait.
        timeout_s: time after which nobody waits for an answer, seconds.
    """

    def __init__(self, threads: int, waiting: int, timeout_s: float) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="answer")
        self._most, self._inside, self._timeout_s = threads + waiting, 0, timeout_s
        self._large = asyncio.Semaphore(1)

    async def run[T](self, work: Callable[[], T]) -> T:
        """Return what a function returns in one of the threads.

        Args:
            work: function without arguments.

        Raises:
            RequestRefusal: too many questions wait, or this one took too long.
        """
        if self._inside >= self._most:
            raise busy("more questions than this worker can hold")
        self._inside += 1
        future = self._pool.submit(work)
        # A question that nobody waits for any more still has its place until its thread is free.
        future.add_done_callback(partial(_at_end, asyncio.get_running_loop(), self._leave))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self._timeout_s)
        except TimeoutError:
            raise busy(f"an answer that takes more than {self._timeout_s:g} s") from None

    async def run_large[T](self, work: Callable[[], T]) -> T:
        """Return what a function returns that takes much memory: one at a time.

        Args:
            work: function without arguments.

        Raises:
            RequestRefusal: another one is at work for too long, or this one took too long.
        """
        try:
            await asyncio.wait_for(self._large.acquire(), self._timeout_s)
        except TimeoutError:
            raise busy("another large question") from None
        try:
            return await self.run(work)
        finally:
            self._large.release()

    def close(self) -> None:
        """End the threads; questions that wait are dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _leave(self) -> None:
        self._inside -= 1


def _at_end(loop: asyncio.AbstractEventLoop, leave: Callable[[], None], _: object) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(leave)
