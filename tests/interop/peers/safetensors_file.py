"""Prints shape and sum of every tensor of a safetensors file."""

import json
import sys

from safetensors.numpy import load_file

tensors = load_file(sys.argv[1])
print(json.dumps({name: {"shape": list(value.shape), "sum": float(value.astype("f8").sum())} for name, value in tensors.items()}))
