"""From an ONNX graph to TVM code: a plan of kernel calls, and the code of each kernel.

ONNX --planning, *_rules--> Plan of calls --kernel_code, tiling--> TIR --executable--> Relax
"""
