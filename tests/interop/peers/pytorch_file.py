"""Prints shape and sum of every tensor of a PyTorch file, read with Python's own zip and pickle.

PyTorch itself is a download of gigabytes. Its format is a zip with one pickle, whose storages are files beside it.
"""

import json
import pickle
import sys
import zipfile

import numpy


class Storage:
    """Stands for one of PyTorch's classes of storage."""

    def __init__(self, name):
        self.name = name


def rebuild_tensor(storage, offset, size, stride, requires_grad, hooks, metadata=None):
    """Takes the place of torch._utils._rebuild_tensor_v2."""
    count = int(numpy.prod(size)) if size else 1
    expected = [int(numpy.prod(size[axis + 1 :])) for axis in range(len(size))]
    assert list(stride) == expected, "tensors are stored row by row"
    return storage[offset : offset + count].reshape(size)


class Reader(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return rebuild_tensor
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        if module == "torch" and name.endswith("Storage"):
            return Storage(name)
        raise pickle.UnpicklingError(f"{module}.{name} is none of PyTorch's own")

    def persistent_load(self, identity):
        kind, storage, key, _, count = identity
        assert kind == "storage"
        raw = archive.read(f"{root}/data/{key}")
        if storage.name == "BFloat16Storage":
            values = (numpy.frombuffer(raw, "<u2").astype("u4") << 16).view("f4")
        else:
            values = numpy.frombuffer(raw, {"FloatStorage": "<f4", "HalfStorage": "<f2"}[storage.name])
        assert len(values) == count
        return values


with zipfile.ZipFile(sys.argv[1]) as archive:
    assert archive.testzip() is None
    (pickled,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    root = pickled.removesuffix("/data.pkl")
    with archive.open(pickled) as file:
        tensors = Reader(file).load()
found = {name: {"shape": list(value.shape), "sum": float(value.astype("f8").sum())} for name, value in tensors.items()}
print(json.dumps(found))
