"""serve - files of a directory over HTTP on loopback, for smoke and build-lib.

SPDX-License-Identifier: MIT

Usage: serve.py DIRECTORY; writes its port to standard output, and serves until
it is killed.
"""

import functools
import http.server
import sys

handler = functools.partial(http.server.SimpleHTTPRequestHandler,
                            directory=sys.argv[1])
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
print(server.server_port, flush=True)
server.serve_forever()
