"""A worker process seen from outside: requests with a time limit, however the library behaves."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Session:
    """One worker.

    Parameters
    ----------
    python : Path
        Interpreter that runs it.
    memory : int
        Limit on its address space in bytes, 0 for none.
    """

    def __init__(self, python: Path, memory: int = 0):
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `close`
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            [str(python), "-m", "benchmarks.tabular.worker", str(memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        self._answers: queue.Queue[str] = queue.Queue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def ask(self, do: str, limit: float, **request: Any) -> dict[str, Any]:
        """Send a request and wait for the answer.

        Parameters
        ----------
        do : str
            What to do: the name of a method of `benchmarks.tabular.worker.Worker`.
        limit : float
            Seconds; a worker that takes longer is killed.
        **request
            The arguments of that method.

        Returns
        -------
        dict
            The answer, with ``error`` when there is none: "time" or "died".
        """
        if self._process.poll() is not None:
            return {"error": "died", "detail": "the process had ended already"}
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **request}) + "\n")
            self._process.stdin.flush()
            line = self._answers.get(timeout=limit)
        except queue.Empty:
            self.close()
            return {"error": "time", "detail": f"more than {limit:g} s"}
        except BrokenPipeError:
            line = ""
        if line:
            return json.loads(line)
        self._process.wait()
        self._log.seek(0)
        tail = self._log.read()[-300:].decode(errors="replace").strip()
        code = self._process.returncode
        # ended by the system, or by the library when it got no memory
        return {"error": "died", "detail": f"exit code {code}: {tail}"}

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._listener.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):  # a request that nobody read
                    pipe.close()
        self._log.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")
