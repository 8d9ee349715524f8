"""Writes the OpenAPI document: `python -m gradline.api.write_openapi > docs/openapi.json`, which a test compares."""

import json
import sys

from gradline.api.main import create_app
from gradline.settings import Settings

if __name__ == "__main__":
    json.dump(create_app(Settings()).openapi(), sys.stdout, indent=2, sort_keys=True, ensure_ascii=False)
    sys.stdout.write("\n")
