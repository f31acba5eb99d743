"""Fetches a file with huggingface_hub from a server of its own, and prints its commit."""

import hashlib
import http.server
import json
import os
import sys
import threading

COMMIT = "15a82a2e0123456789abcdef0123456789abcdef"
CONTENT = b"some weights"


class Hub(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(CONTENT).hexdigest()}"')
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()

    def do_GET(self):
        self.do_HEAD()
        self.wfile.write(CONTENT)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}"
os.environ["HF_HUB_DISABLE_XET"] = "1"
os.environ.pop("HF_HUB_OFFLINE", None)

from huggingface_hub import hf_hub_download  # noqa: E402

hf_hub_download("nvidia/Cosmos-Predict2.5-2B", "base/model.pt", cache_dir=sys.argv[1])
print(json.dumps({"commit": COMMIT}))
