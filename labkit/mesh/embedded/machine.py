"""What this machine refuses, in words: a full disk, no more files or processes, a folder that can't
be written.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from labkit.errors import MORE_FILES, NO_MORE_FILES, MeshError

FULL = {errno.ENOSPC, errno.EDQUOT}
READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST}
PROCESSES = {errno.EAGAIN, errno.ENOMEM}


@contextlib.contextmanager
def in_words(folder: Path) -> Iterator[None]:
    """Raises MeshError in place of an OSError; `folder` is where meshes keep their files."""
    try:
        yield
    except OSError as error:
        raise refusal(error, folder) from error


def refusal(error: OSError, folder: Path) -> MeshError:
    """What the system's refusal means, and what helps."""
    if error.errno in FULL:
        what = "The disk is full, so nothing was changed"
        fix = f"make room where {folder} is (df -h {folder}), then do it again"
    elif error.errno in NO_MORE_FILES:
        what = "No more files can be opened, so this can't be done"
        fix = MORE_FILES
    elif error.errno in READ_ONLY:
        what = "A folder of the mesh can't be written"
        fix = "set LABKIT_STATE to a folder of your own, with a short name, and open the mesh again"
    elif error.errno in PROCESSES:
        what = "The system gives no more processes or no more memory"
        fix = "close other meshes (labkit status shows them), or other programs"
    else:
        what, fix = "The system refuses what the mesh needs", "labkit doctor"
    return MeshError(what, seen=str(error), try_next=fix)
