"""Resizes a picture with Pillow's LANCZOS."""

import json
import sys

from PIL import Image

source, target, width, height = sys.argv[1:]
with Image.open(source) as picture:
    picture.convert("RGB").resize((int(width), int(height)), Image.Resampling.LANCZOS).save(target)
print(json.dumps(None))
