"""Whether this host's SELinux would deny a container what is not labelled for it."""

from __future__ import annotations


def selinux_enforcing() -> bool:
    """Whether SELinux denies, rather than only reports."""
    try:
        with open("/sys/fs/selinux/enforce") as state:
            return state.read().strip() == "1"
    except OSError:
        return False
