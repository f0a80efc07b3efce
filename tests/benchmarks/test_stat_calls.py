"""Counting of a program's calls from what strace wrote about each of its threads."""

from __future__ import annotations

from harness.stat_calls import count_calls

_STAT = 'newfstatat(AT_FDCWD, "a", {st_mode=S_IFREG|0644}, 0) = 0\n'


def test_calls_of_a_step_are_not_the_engines() -> None:
    """Threads count as the program that started them; a shell and what it runs do not, nor does a failed start."""
    engine = 'execve("/bin/snakemake", ["snakemake", "-n"], 0x7ffe) = 0\n'
    of_engine = f"{engine}{_STAT}clone3({{flags=CLONE_VM|CLONE_THREAD}}, 88) = 2\nvfork() = 3\n{_STAT}"
    shell = f'{_STAT}execve("/bin/sh", ["sh", "-c", "palpate"], 0x7ffe) = 0\n{_STAT}{_STAT}fork() = 4\n'
    tried = 'execve("/usr/bin/palpate", ["palpate"], 0x7ffe) = -1 ENOENT (No such file or directory)\n'
    traces = {1: of_engine, 2: _STAT * 3, 3: shell, 4: tried + _STAT}
    assert count_calls(traces, "snakemake") == 5
    assert count_calls(traces, '"sh"') == 4
