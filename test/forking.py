# A process that has imported the libraries of an environment once and forks for whoever connects: programs that run to their end, MLflow's servers.
import atexit
import fcntl
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import sys
import time
import traceback

LISTEN_SECONDS = 0.2
# Whoever started this may have died before connecting.
ALONE_SECONDS_MAX = 60


def run(asked):
    """In the forked process: what `python ARGS` does."""
    enter(asked)
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


def serve(asked):
    """In the forked process: what `mlflow server ARGS` does, with uvicorn here and not in one more process."""
    enter(asked)
    said = os.open(asked["stderr"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(said, 1)
    os.dup2(said, 2)
    import mlflow.cli
    import mlflow.server
    import uvicorn

    def command(words, extra_env=None, **_):
        os.environ.update(extra_env or {})
        # python -m uvicorn ARGUMENTS --workers 1
        uvicorn.main(args=words[3:], standalone_mode=False)

    mlflow.server._exec_cmd = command
    try:
        mlflow.cli.cli(args=["server", *asked["server"]])
    except BaseException:
        traceback.print_exc()
    return 1


def enter(asked):
    os.environ.clear()
    os.environ.update(asked["env"])
    os.chdir(asked["cwd"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)


def end(code):
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def lines(connection):
    text = b""
    while part := connection.recv(1 << 16):
        text += part
        while b"\n" in text:
            line, text = text.split(b"\n", 1)
            yield json.loads(line)


def answer(connection):
    """In a process for one connection: a line of JSON asks, a line answers; what it has started ends with it."""
    server, folder = 0, None
    for asked in lines(connection):
        if "server" in asked:
            # Whoever is killed is gone at once, without a parent that asks how.
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            connection.close()
            end(serve(asked) if "server" in asked else run(asked))
        if "server" in asked:
            server, folder = child, asked["cwd"]
            said = child
        else:
            said = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        connection.sendall(b"%d\n" % said)
    if server != 0:
        try:
            os.kill(server, signal.SIGKILL)
        except ProcessLookupError:
            pass
        # The server's own folder, which nobody else has.
        shutil.rmtree(folder, ignore_errors=True)


def main(place, names):
    lock = open(f"{place}.lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    if os.path.exists(place):
        os.unlink(place)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(place)
    listener.listen()
    for name in names:
        # What is not there the program misses itself.
        try:
            importlib.import_module(name)
        except ImportError:
            pass
    # A fork's collector need not look at what stays: it would copy each page that it marks.
    gc.collect()
    gc.freeze()
    connections = set()
    began = time.monotonic()
    is_used = False
    while connections or not is_used and time.monotonic() - began < ALONE_SECONDS_MAX:
        if select.select([listener], [], [], LISTEN_SECONDS)[0]:
            connection, _ = listener.accept()
            is_used = True
            child = os.fork()
            if child == 0:
                listener.close()
                lock.close()
                try:
                    answer(connection)
                except OSError:
                    pass
                os._exit(0)
            connection.close()
            connections.add(child)
        while connections and (gone := os.waitpid(-1, os.WNOHANG)[0]):
            connections.discard(gone)
    os.unlink(place)
    os.unlink(f"{place}.lock")


main(sys.argv[1], [name for name in sys.argv[2].split(",") if name])
