"""The vendored files are those of their package, whole, and name no other place to load from."""

import hashlib
import json
import re
from importlib.resources import files

STATIC = files("gradline.api") / "static"


def test_the_vendored_files_are_those_of_the_manifest() -> None:
    manifest = json.loads((STATIC / "manifest.json").read_bytes())
    folder = STATIC / "swagger-ui"
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    assert found == manifest["sha256"]
    assert "LICENSE" in found


def test_our_pages_load_nothing_from_elsewhere() -> None:
    for name in ("home.html", "docs.html", "errors.html", "docs.js", "page.css"):
        text = (STATIC / name).read_text()
        assert not re.search(r"(src|href|url)\s*[=:(]\s*[\"']?(https?:)?//", text), name
