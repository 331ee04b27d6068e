"""A local AWS for Prowler: moto under AWS's own names, over TLS; run by the Python that has moto's server.

    python local_aws.py <address> <certificate> <key> <plain port> <journal>

The same account is on port 443 of the address, where the gateway comes in, and in plain on the loopback port,
where a test plants what is to be found.  The journal gets a line of JSON for each request over TLS.
"""

from __future__ import annotations

import json
import os
import ssl
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

# Read by moto when it is imported: thousand findings about public images say nothing about the planted ones.
os.environ |= {"MOTO_EC2_LOAD_DEFAULT_AMIS": "false", "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Quiet(WSGIRequestHandler):
    """Keeps connections, and says nothing on standard error."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's name
        pass


def main(address: str, certificate: str, key: str, plain_port: str, journal: str) -> None:
    """Until it is ended; says "ready" once both ports are open."""
    moto: Application = DomainDispatcherApplication(create_backend_app)
    lock = threading.Lock()
    with Path(journal).open("w", encoding="utf-8") as file:

        def journalled(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
            request = {"host": environ.get("HTTP_HOST", ""), "method": environ["REQUEST_METHOD"]}
            with lock:
                file.write(json.dumps(request | {"path": environ.get("PATH_INFO", "")}) + "\n")
                file.flush()
            return moto(environ, start)

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        options: dict[str, Any] = {"threaded": True, "request_handler": Quiet}
        planting = make_server("127.0.0.1", int(plain_port), moto, **options)
        serving = make_server(address, 443, journalled, ssl_context=context, **options)
        threading.Thread(target=planting.serve_forever, daemon=True).start()
        print("ready", flush=True)
        serving.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
