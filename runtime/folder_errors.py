"""Why a folder cannot be made or used, in a few words: the system says "File exists" of a link that leads nowhere."""

import errno
from pathlib import Path


def why_unusable(path: Path, error: OSError) -> str:
    """Why the system refused the folder, or a file in it."""
    if error.errno in (errno.EEXIST, errno.ENOENT, errno.ENOTDIR):
        for each in (path, *path.parents):
            if each.is_symlink() and not each.exists():
                return f"{each} is a symbolic link to {each.readlink()}, which leads nowhere"
            if error.errno == errno.EEXIST and each.exists() and not each.is_dir():
                return f"{each} is not a folder"
    return error.strerror or str(error)
