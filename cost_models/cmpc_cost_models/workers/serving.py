"""What a worker process does: load TVM once, then answer one request after the other.

A compiled candidate can crash, and LLVM can run for ever on one. Both happen here, in a process
that its parent may kill (``process``). It speaks length-prefixed JSON over its standard streams
(``messages``), and ends when its input ends and when its parent is gone.

    {"verb": NAME, ...arguments} -> {"result"}, {"error"} or {"machine_fault"}
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from cmpc_base.errors import CmpcError
from cmpc_base.machine_faults import machine_fault
from cmpc_cost_models.workers.messages import read_message, write_message

__all__ = ["Document", "Verb", "serve"]

MAX_ERROR_LENGTH = 1000

Document = dict[str, Any]  # JSON values
Verb = Callable[..., Document]


def serve(verbs: Mapping[str, Verb]) -> None:
    """Answer requests for ``verbs`` until the input ends; TVM is loaded first."""
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints must not end up between the messages
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    import onnxruntime  # noqa: F401
    import tvm

    write_message(answers, {"ready": {"tvm": tvm.__version__}})
    while (request := read_message(0)) is not None:
        write_message(answers, _answer(verbs, request))


def _answer(verbs: Mapping[str, Verb], request: Document) -> Document:
    """Do what ``request`` asks; an error is an answer too, and so is a fault of the machine."""
    verb = request.pop("verb")
    try:
        return {"result": verbs[verb](**request)}
    # Whatever TVM or ONNX Runtime raise is about this candidate; the next one may do better.
    except Exception as error:
        if fault := machine_fault(error):
            return {"machine_fault": f"{verb} failed: {fault}"[:MAX_ERROR_LENGTH]}
        if isinstance(error, CmpcError):
            return {"error": str(error)}
        return {"error": f"{verb} failed: {type(error).__name__}: {error}"[:MAX_ERROR_LENGTH]}


def _end_with_parent(parent: int) -> None:
    """End this process and what it started soon after its parent, even while a compiler loops."""
    while os.getppid() == parent:
        time.sleep(1.0)
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)
