# MLflow's own command line, which is imported once: a line on standard input forks a server, and the end of standard input ends it.
import os
import shutil
import signal
import sys

import uvicorn
import mlflow.cli
import mlflow.server
import mlflow.server.handlers
import mlflow.store.model_registry.sqlalchemy_store
import mlflow.store.tracking.sqlalchemy_store
import mlflow.store.db.utils
import alembic.command
import fastapi


def serve(arguments):
    """In the forked process: what `mlflow server` does, with uvicorn here and not in one more process."""

    def run(command, extra_env=None, **_):
        os.environ.update(extra_env or {})
        # python -m uvicorn ARGUMENTS --workers 1
        uvicorn.main(args=command[3:], standalone_mode=False)

    mlflow.server._exec_cmd = run
    mlflow.cli.cli(args=["server", *arguments])


def main():
    # Whoever is killed is gone at once, without a parent that asks how.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    child = 0
    # Unbuffered: what a forked process finds in a buffer it would read again.
    while os.read(0, 1):
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(2, 1)
            serve(sys.argv[1:])
            os._exit(1)
        os.write(1, f"{child}\n".encode())
    if child != 0:
        try:
            os.kill(child, signal.SIGKILL)
        except ProcessLookupError:
            pass
    # The server's own folder, which nobody else has.
    shutil.rmtree(os.getcwd(), ignore_errors=True)


main()
