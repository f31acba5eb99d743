"""Prints the bits of numpy's normal numbers of a seed, as float32."""

import json
import sys

import numpy

seed, count = map(int, sys.argv[1:])
numbers = numpy.random.RandomState(seed).standard_normal(count).astype(numpy.float32)
print(json.dumps(numbers.view(numpy.uint32).tolist()))
