"""The pages that need no network: a start page, the API docs, and what the error codes mean."""

import re
from functools import cache
from html import escape
from importlib.resources import as_file, files
from string import Template

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from gradline.api.deps import ServicesDep
from gradline.api.errors import CODES

router = APIRouter(include_in_schema=False)
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'{styles}; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE_HEADERS = {"Content-Security-Policy": _CSP.format(styles="")}
# Swagger UI sets styles on its elements.
_DOCS_HEADERS = {"Content-Security-Policy": _CSP.format(styles=" 'unsafe-inline'")}


@router.get("/")
async def home(request: Request, services: ServicesDep) -> HTMLResponse:
    page = _template("home.html").substitute(
        mlflow_url=escape(services.settings.mlflow_ui_url),
        base_url=escape(str(request.base_url).rstrip("/")),
    )
    return HTMLResponse(page, headers=_PAGE_HEADERS)


@router.get("/docs")
async def docs() -> HTMLResponse:
    return HTMLResponse(_template("docs.html").template, headers=_DOCS_HEADERS)


@router.get("/docs/errors")
async def errors() -> HTMLResponse:
    codes = "\n".join(
        f'<dt id="{code}"><code>{code}</code></dt><dd>{_marked_up(said)}</dd>' for code, said in CODES.items()
    )
    return HTMLResponse(_template("errors.html").substitute(codes=codes), headers=_PAGE_HEADERS)


def _marked_up(said: str) -> str:
    """Text as HTML, with what stands between backticks as code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(said))


def static_files() -> StaticFiles:
    """What the pages load: ours, and Swagger UI as `manifest.json` describes it."""
    with as_file(files("gradline.api") / "static") as folder:
        return StaticFiles(directory=folder)


@cache
def _template(name: str) -> Template:
    return Template((files("gradline.api") / "static" / name).read_text())
