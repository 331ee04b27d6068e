"""`python -I -S bench/launch.py FD PROGRAM ARGUMENT...`: run one program and say what it used.

Linux counts the memory of whoever starts a program as the program's own, up to its first
instruction.  So a program is started from here, where there is next to nothing.  Writes to the
file descriptor FD: exit code, processor seconds, and kilobytes at most.
"""

import os
import sys


def main(descriptor: int, command: list[str]) -> None:
    os.set_inheritable(descriptor, False)
    child = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    os.write(descriptor, f"{code} {usage.ru_utime + usage.ru_stime} {usage.ru_maxrss}".encode())


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
