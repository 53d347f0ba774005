"""A small OPTIMADE server on this machine: two entries a page, and the faults that real servers have."""

from __future__ import annotations

import gzip
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlparse

PAGE = 2


def entry(identifier: str, cell: float, sites: dict[str, list[list[float]]], **changes: Any) -> dict[str, Any]:
    """Return a cubic crystal; sites: element -> fractional positions."""
    symbols = [symbol for symbol, positions in sites.items() for _ in positions]
    attributes = {
        "lattice_vectors": [[cell, 0, 0], [0, cell, 0], [0, 0, cell]],
        "cartesian_site_positions": [
            [cell * x for x in position] for positions in sites.values() for position in positions
        ],
        # Not in the order of the sites, as the specification allows.
        "species": [
            {"name": symbol, "chemical_symbols": [symbol], "concentration": [1.0]} for symbol in sorted(set(symbols))
        ],
        "species_at_sites": symbols,
        "dimension_types": [1, 1, 1],
        **changes,
    }
    return {"id": identifier, "type": "structures", "attributes": attributes}


CSBR = {"Cs": [[0.0, 0.0, 0.0]], "Br": [[0.5, 0.5, 0.5]]}
SHARED_SITE = [
    {"name": "Br", "chemical_symbols": ["Br", "Cl"], "concentration": [0.5, 0.5]},
    {"name": "Cs", "chemical_symbols": ["Cs"], "concentration": [1.0]},
]


def energy(value: float) -> dict[str, Any]:
    """Return the field in which the Materials Project gives formation energies, one per functional."""
    return {
        "_mp_stability": {"gga_gga+u": {"formation_energy_per_atom": value}, "r2scan": {"formation_energy_per_atom": 9}}
    }


ENTRIES = [
    entry("mp-1", 6.0, {"Cs": [[0, 0, 0], [0.5, 0.5, 0.5]]}, **energy(0.0)),
    entry("mp-2", 4.29, CSBR, **energy(-2.0)),
    entry("mp-2/rocksalt", 5.2, CSBR, **energy(-1.9)),
    entry("mp-3", 4.29, CSBR, species=SHARED_SITE, **energy(-1.5)),
    entry("mp-4", 4.29, CSBR, dimension_types=[1, 1, 0], **energy(-1.0)),
    entry("mp-5", 4.29, CSBR, cartesian_site_positions=[[0, 0, 0], [0.1, 0, 0]], **energy(-1.0)),
    entry("mp-6", 4.29, CSBR, lattice_vectors=None, **energy(-1.0)),
    entry("mp-7", 4.29, CSBR, species=None, **energy(-1.0)),
    entry("mp-8", 4.29, {"Ag": [[0, 0, 0]], "Br": [[0.5, 0.5, 0.5]]}, **energy(-0.5)),
    entry("mp-9", 12.0, {"Cs": [[x / 50, 0, 0] for x in range(50)], "Br": [[0.5, 0.5, 0.5]]}, **energy(-1.0)),
]


class Handler(BaseHTTPRequestHandler):
    """Answers as an OPTIMADE server; below ``/NAME`` as one with the fault of that name."""

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        address = urlparse(self.path)
        fault = address.path.split("/")[1]
        query = {key: values[0] for key, values in parse_qs(address.query).items()}
        if address.path.endswith("/v1/info"):
            self._answer({"data": {}, "meta": {"provider": {"prefix": "test" if fault == "no-energies" else "mp"}}})
        elif fault == "refuses":
            self._answer({"errors": [{"status": "400", "title": "Bad Request", "detail": "no\nsuch filter"}]}, 400)
        elif fault == "broken":
            self._answer(None, 502)
        elif fault == "garbage":
            self._answer(None)
        elif fault == "list":
            self._answer([1, 2])
        elif fault == "no-data":
            self._answer({"data": "nothing"})
        elif fault == "circle":
            self._answer({"data": [], "links": {"next": self.path}})
        elif fault == "endless":
            page = int(query.get("page", 0)) + 1
            self._answer({"data": [], "links": {"next": f"{address.path}?page={page}"}})
        elif fault == "deep":
            self._answer(None, body=b"[" * 100_000)
        elif fault == "large":
            self._answer(None, body=gzip.compress(bytes(100 * 2**20)), headers={"Content-Encoding": "gzip"})
        elif fault == "huge-number":
            cell = [[10**400, 0, 0], [0, 1, 0], [0, 0, 1]]
            self._answer({"data": [entry("=1+1\x1b[2J", 6.0, {"Cs": [[0, 0, 0]]}, lattice_vectors=cell)]})
        elif fault == "slow":
            time.sleep(2)
        elif fault == "late":
            # The first page is well, the second is not.
            following = {"next": f"http://{self.headers['Host']}/garbage/v1/structures?page=2"}
            self._answer({"data": ENTRIES[:1], "links": following})
        else:
            self._structures(address.path, query)

    def _structures(self, path: str, query: dict[str, str]) -> None:
        elements, most = re.fullmatch(
            r"elements HAS ALL (.*) AND nelements=\d+ AND nsites<=(\d+)", query["filter"]
        ).groups()
        found = [
            item
            for item in ENTRIES
            if set(item["attributes"]["species_at_sites"]) == set(json.loads(f"[{elements}]"))
            and len(item["attributes"]["species_at_sites"]) <= int(most)
        ]
        start = int(query.get("page_offset", 0))
        wanted = query["response_fields"].split(",")
        data = [
            {**item, "attributes": {key: value for key, value in item["attributes"].items() if key in wanted}}
            for item in found[start : start + PAGE]
        ]
        following = f"{path}?{urlencode({**query, 'page_offset': start + PAGE})}"
        link = {"href": following} if start + PAGE < len(found) else None
        self._answer({"data": data, "links": {"next": link}, "meta": {"data_returned": len(found)}})

    def _answer(
        self, content: Any, status: int = 200, body: bytes = b"<html>not JSON", headers: dict[str, str] | None = None
    ) -> None:
        body = body if content is None else json.dumps(content).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serve() -> Iterator[str]:
    """Run the server; yield its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
