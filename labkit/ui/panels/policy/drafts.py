"""A learner's draft of a manifest: kept with their progress, so that it is there again after a
restart or a reload.

Writing waits until nothing was typed for a moment: progress.py moves a whole new file into place
each time.
"""

from __future__ import annotations

import atexit
import contextlib
import datetime
import threading
from collections.abc import Callable

from labkit.errors import LabkitError, LessonError
from labkit.lessons import progress
from labkit.lessons.files import course_folder

PAUSE_S = 0.25


class Draft:
    """The draft of one manifest. `save` may be called at each key: it writes when there is a pause.

    >>> draft = Draft("03_load_balancing/random.yaml", "the published text")
    >>> draft.save("my text")
    """

    def __init__(
        self, key: str, published: str, on_error: Callable[[LabkitError], None] | None = None
    ) -> None:
        self.key = key
        self.published = published
        self.on_error = on_error
        self.waiting: str | None = None
        self.timer: threading.Timer | None = None
        self.lock = threading.Lock()
        self.writing = threading.Lock()  # of two writes the later text must win
        atexit.register(self.flush)

    def load(self) -> tuple[str, str]:
        """The text that is kept and when it was kept ("14:05"); the published text and "" where
        none is.
        """
        entry = progress.entry("drafts", self.key)
        text = entry.get("text")
        if not isinstance(text, str) or text == self.published:
            return self.published, ""
        return text, clock(str(entry.get("at", "")))

    @property
    def lasts(self) -> bool:
        """Whether it is kept in a file, and so is there again after a restart."""
        return progress.lasts()

    def save(self, text: str) -> None:
        """Keeps a text, soon."""
        with self.lock:
            self.waiting = text
            if self.timer is not None:
                self.timer.cancel()
            self.timer = threading.Timer(PAUSE_S, self.flush)
            self.timer.daemon = True
            self.timer.start()

    def flush(self) -> None:
        """Keeps it now. The published text is no draft: then none is kept."""
        with self.writing:
            with self.lock:
                text, self.waiting = self.waiting, None
                if self.timer is not None:
                    self.timer.cancel()
                    self.timer = None
            if text is None:
                return
            try:
                if text == self.published:
                    progress.update(lambda state: state["drafts"].pop(self.key, None))
                else:
                    progress.keep(self.key, text)
            except LabkitError as error:
                if self.on_error is not None:
                    self.on_error(error)

    def close(self) -> None:
        self.flush()
        atexit.unregister(self.flush)


def key_of(path: str) -> str:
    """The name under which the draft of a file is kept: its place in the course, the same in every
    copy of it.
    """
    with contextlib.suppress(ValueError, LessonError):
        from pathlib import Path

        return (
            Path(path).resolve().relative_to((course_folder() / "manifests").resolve()).as_posix()
        )
    return path


def clock(stamp: str) -> str:
    """An instant of the progress file on this machine's clock: "14:05", with the day where it is
    not today.
    """
    try:
        when = (
            datetime.datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ")
            .replace(tzinfo=datetime.UTC)
            .astimezone()
        )
    except ValueError:
        return "an earlier time"
    today = datetime.datetime.now().astimezone().date()
    return when.strftime("%H:%M") if when.date() == today else when.strftime("%d %B, %H:%M")
