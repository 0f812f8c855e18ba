"""An event loop whose time passes only when nothing is left to do: hours within seconds.

While a thread works, the loop waits for it and its clock stands still; when every task sleeps, the
clock jumps to the next timer. So what happens depends on the order of events, never on the speed of
the machine.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Final

START: Final = 1024.0
"""Monotonic seconds at which each loop begins."""
LOOK_AGAIN: Final = 0.05
"""Real seconds after which a working thread is checked again."""
STUCK_AFTER: Final = 60.0
"""Real seconds after which a thread that should work counts as stuck."""


class StuckError(RuntimeError):
    """Nothing will ever happen again: no timer, no thread, nothing to do."""


def _where_threads_are() -> str:
    """Return the innermost lines of all threads but this one."""
    mine = threading.get_ident()
    others = {ident: frame for ident, frame in sys._current_frames().items() if ident != mine}
    return "; ".join(
        " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in reversed(stack[-4:]))
        for stack in map(traceback.extract_stack, others.values())
    )


class _Selector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.loop: VirtualLoop | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; else wait for a thread, else let the clock jump."""
        events = super().select(0)
        waited = 0.0
        while not events and (timeout is None or timeout > 0):
            assert self.loop is not None
            if not self.loop.busy:
                if timeout is None:
                    raise StuckError("no timer is set and no thread works")
                self.loop.advance(timeout)
                break
            events = super().select(LOOK_AGAIN)
            waited += LOOK_AGAIN
            if waited > STUCK_AFTER:
                raise StuckError(f"a thread does not end: {_where_threads_are()}")
        return events


class _Job:
    """One call in a thread of ``pool``, for which it waits if the pool is full.

    ``joins`` is a pool whose end the call waits for.
    """

    def __init__(self, pool: Executor | None, func: Callable[..., Any]) -> None:
        self.pool = pool
        owner = getattr(func, "__self__", None)
        self.joins = owner if isinstance(owner, Executor) and func == owner.shutdown else None
        self.begun = False
        self.over = False


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs like any other loop, on a clock of its own."""

    def __init__(self) -> None:
        """Begin at ``START``."""
        self._virtual = START
        self._working: set[_Job] = set()
        self._standing: set[_Job] = set()
        self._paused: dict[str, list[Callable[[], None]]] = {}
        self._thread = threading.local()
        selector = _Selector()
        super().__init__(selector)
        selector.loop = self

    def time(self) -> float:
        """The loop's monotonic seconds; may be read from any thread."""
        return self._virtual

    def advance(self, seconds: float) -> None:
        """Let the clock jump forward."""
        self._virtual += seconds

    @property
    def busy(self) -> bool:
        """Whether a thread is working rather than standing in ``pause``."""
        standing = {job.pool for job in self._standing}
        waiting = {job for job in self._working if job.begun and job.joins in standing}
        blocked = Counter(job.pool for job in self._standing | waiting)
        return any(
            job.begun or blocked[job.pool] < self._threads(job.pool)
            for job in self._working - waiting
        )

    def _threads(self, pool: Executor | None) -> int:
        return getattr(pool or self._default_executor, "_max_workers", 1)  # type: ignore[attr-defined]

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Run ``func`` in a thread, as every loop does, and stop the clock while it runs.

        A call whose caller no longer waits for it does not stop the clock either.
        """
        job = _Job(executor, func)

        def work() -> Any:
            job.begun = True
            self._thread.job = job
            return func(*args)

        def ended(_: object) -> None:
            job.over = True
            self._working.discard(job)

        future = super().run_in_executor(executor, work)
        self._working.add(job)
        future.add_done_callback(ended)
        return future

    async def shutdown_default_executor(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of asyncio
    ) -> None:
        """Wait for the threads of the default executor; core's way would let the clock run on."""
        self.release()
        if self._default_executor is not None:  # type: ignore[attr-defined]
            self._default_executor.shutdown(wait=True)  # type: ignore[attr-defined]

    def pause(self, seconds: float | None = None, group: str = "") -> None:
        """Take this long on the loop's clock, in a thread; None hangs until ``release(group)``."""
        job: _Job = self._thread.job
        done = threading.Event()

        def resume() -> None:
            if not done.is_set():
                self._standing.discard(job)
                if not job.over:
                    self._working.add(job)
                done.set()

        def begin() -> None:
            self._working.discard(job)
            self._standing.add(job)
            self._paused.setdefault(group, []).append(resume)
            if seconds is not None:
                self.call_later(seconds, resume)

        self.call_soon_threadsafe(begin)
        done.wait()

    def release(self, group: str | None = None) -> None:
        """Let the threads in ``pause`` continue: those of a group, or all of them."""
        for name in list(self._paused) if group is None else [group]:
            for resume in self._paused.pop(name, ()):
                resume()


class InlineLoop(VirtualLoop):
    """Does the cameras' work itself, instead of waking a thread for each picture.

    For long runs in which no thread hangs: what a picture costs is then the work, and not the time
    until a busy machine lets the other thread run.
    """

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Run ``func`` at once if it belongs to a camera's own thread."""
        if not getattr(executor, "_thread_name_prefix", "").startswith("face_lock"):
            return super().run_in_executor(executor, func, *args)
        future: asyncio.Future[Any] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it is the caller's
            future.set_exception(error)
        return future
