"""Prints what Pillow sees in an animation."""

import json
import sys

from PIL import Image, ImageSequence

with Image.open(sys.argv[1]) as animation:
    frames = [(frame.info["duration"], frame.convert("RGB").getpixel((3, 3))[0]) for frame in ImageSequence.Iterator(animation)]
    found = {
        "size": list(animation.size),
        "milliseconds": [duration for duration, _ in frames],
        "brightness": [brightness for _, brightness in frames],
    }
print(json.dumps(found))
