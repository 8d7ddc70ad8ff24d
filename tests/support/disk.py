"""disk - small file systems to fill up, for tests that run as root.

SPDX-License-Identifier: MIT

A test program calls enter_mounts() before tap.main(): it is run once more in a
mount name space of its own, where that is allowed, so that nothing is left
mounted whatever happens.
"""

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys

import tap

INSIDE = "PFETCH_TEST_INSIDE"  # set: we have a mount name space of our own


def enter_mounts():
    """Runs this program again in a mount name space of its own, where that
    is allowed."""
    if os.geteuid() != 0 or os.environ.get(INSIDE) or not shutil.which(
            "unshare"):
        return
    probe = subprocess.run(
        ["unshare", "-m", "sh", "-c", "mount -t tmpfs none /mnt"],
        capture_output=True, check=False)
    if probe.returncode == 0:
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "-m", sys.executable,
                              str(pathlib.Path(sys.argv[0]).resolve()),
                              *sys.argv[1:]])


@contextlib.contextmanager
def small_disk(tmp, size="1m", options=""):
    """A tmpfs at tmp/disk, in a name space of our own."""
    if not os.environ.get(INSIDE):
        tap.skip("needs root and unshare(1) with permission to mount")
    disk = tmp / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}{options}",
                    "none", disk], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", disk], check=True)
