"""nginx as the bench's server: a configuration for the ordinary sites, and its count of connections."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.sites import Kind, Site, addresses, certificate
from glovebox.farm.identities import Identities
from glovebox.farm.pages import USUAL_HEADERS, front_page

PKI_ADDRESS: Final = "127.77.0.80"
WORKERS: Final = 2
_PROTOCOLS: Final = ("TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")


def program() -> str | None:
    """Where nginx is; Debian keeps it out of users' paths."""
    return shutil.which("nginx", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))


def version(nginx: str) -> str:
    said = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=True)
    return said.stderr.strip().removeprefix("nginx version: ").replace("/", " ")


def configure(folder: Path, chosen: list[Site], ports: tuple[int, int], identities: Identities) -> Path:
    """Write certificates, pages and the configuration; the path of the last."""
    root = folder / "www"
    root.mkdir()
    (root / "index.html").write_text(front_page("An ordinary site of the bench"))
    blocks = [
        block
        for number, (address, kind, names) in enumerate(addresses(chosen))
        for block in _server(folder, number, address, ports, kind, names, identities)
    ]
    for path, published in identities.publications().items():
        (root / path.lstrip("/")).write_bytes(published)
    blocks.append(f"server {{ listen {PKI_ADDRESS}:{ports[0]}; root {root}; }}")
    return write(folder, blocks)


def write(folder: Path, blocks: list[str]) -> Path:
    """The configuration with these server blocks; its path."""
    configuration = folder / "nginx.conf"
    configuration.write_text(_main(folder, blocks))
    return configuration


def connections(status_socket: str) -> int:
    """Connections accepted so far, this one included."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(status_socket)
        asking.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: asking.recv(4_096), b""))
    counted = re.search(rb"requests\s+(\d+)", answer)
    if counted is None:
        raise ValueError(f"nginx's status has no count: {answer!r}")
    return int(counted[1])


def _main(folder: Path, blocks: list[str]) -> str:
    user = "user root;" if os.geteuid() == 0 else ""
    temporary = "\n".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return "\n".join(
        [
            f"daemon off; {user} pid {folder}/nginx.pid; worker_processes {WORKERS};",
            "error_log stderr crit; events { worker_connections 4096; }",
            f"http {{ access_log off; server_tokens off; types {{ text/html html; }} {temporary}",
            f"server {{ listen unix:{folder}/status.sock; location / {{ stub_status; }} }}",
            *blocks,
            "}\n",
        ]
    )


def _server(
    folder: Path,
    number: int,
    address: str,
    ports: tuple[int, int],
    kind: Kind,
    names: list[str],
    identities: Identities,
) -> Iterator[str]:
    path = certificate(kind, names, identities).write(folder / f"{number}.pem")
    lowest, highest = (_PROTOCOLS.index(version) for version in kind.versions)
    protocols = " ".join(_PROTOCOLS[lowest : highest + 1]).replace("TLSv1.0", "TLSv1")
    headers = " ".join(f'add_header {name} "{value}";' for name, value in USUAL_HEADERS)
    yield f"server {{ listen {address}:{ports[0]}; return 301 https://$host$request_uri; }}"
    yield (
        f"server {{ listen {address}:{ports[1]} ssl; ssl_certificate {path}; ssl_certificate_key {path}; "
        f"ssl_protocols {protocols}; ssl_ciphers {kind.ciphers}:@SECLEVEL=0; ssl_prefer_server_ciphers on; "
        f"{headers} root {folder}/www; }}"
    )
