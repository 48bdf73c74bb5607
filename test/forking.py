# Runs Python programs for tests, each in a fork of this process, which has imported their libraries once. A line of JSON asks, a line answers.
import atexit
import importlib
import json
import os
import runpy
import sys
import traceback


def run(asked):
    """In the forked process: what `python ARGS` does."""
    os.environ.clear()
    os.environ.update(asked["env"])
    os.chdir(asked["cwd"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for fd, name in [(1, "stdout"), (2, "stderr")]:
        os.dup2(os.open(asked[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), fd)
    first, *rest = asked["args"]
    try:
        if first == "-c":
            sys.argv = ["-c", *rest[1:]]
            exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
        else:
            sys.argv = [first, *rest]
            sys.path[0] = os.path.dirname(first)
            runpy.run_path(first, run_name="__main__")
        return 0
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1


def end(code):
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def lines():
    """Unbuffered: what a forked process finds in a buffer it would read again."""
    text = b""
    while part := os.read(0, 1 << 16):
        text += part
        while b"\n" in text:
            line, text = text.split(b"\n", 1)
            yield line


for name in sys.argv[1].split(","):
    # What is not there the program misses itself.
    try:
        importlib.import_module(name)
    except ImportError:
        pass
for line in lines():
    child = os.fork()
    if child == 0:
        end(run(json.loads(line)))
    _, status = os.waitpid(child, 0)
    os.write(1, b"%d\n" % os.waitstatus_to_exitcode(status))
