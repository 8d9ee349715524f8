# ruff: noqa: E501  a program, or a row of a table, is easier to read on one line
"""The pictures: legible on their own, offline, in a sandboxed frame, and deaf to what a program's text would like to be."""

import os
import re
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from gradline.autograd.pictures import draw_graph, draw_page
from gradline.autograd.pictures.layout import lay_out
from gradline.programs import parse
from tests.unit.autograd.conftest import lesson

NOTES = """w = torch.tensor([1.], requires_grad=True)
x = torch.tensor([2.], requires_grad=True)
for i in range(4):
    a = torch.add(w, x)
    b = torch.add(w, 1)
    y = torch.mul(a, b)
    y.backward()
    print(w.grad)
"""
EVIL = """name = "</script><script>document.title='owned'</script><img src=x onerror=\\"document.title='owned'\\">{{script}}&lt;"
print(name)
w = torch.tensor(2., requires_grad=True)
y = w * 3
y.backward()
y.backward()  # </script><svg onload="document.title='owned'">
"""


def page_of(text: str) -> str:
    return draw_page(parse(text).text, lesson(text))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None and not os.environ.get("CI"):
        pytest.skip("no chromium on the PATH: on Debian, apt-get install chromium")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page without a network that fails the test when a script does."""
    context = browser.new_context(offline=True)
    page, problems = context.new_page(), list[str]()
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text))
    page.on("request", lambda request: None if request.url.startswith("file:") else problems.append(request.url))
    yield page
    context.close()
    assert problems == []


def test_the_page_steps_from_the_first_line_to_the_last(page: Page, tmp_path: Path) -> None:
    (tmp_path / "steps.html").write_text(page_of(NOTES))
    page.goto((tmp_path / "steps.html").as_uri())
    assert page.locator("li.now").count() == 0
    page.keyboard.press("ArrowRight")
    assert page.locator("li.now .code").inner_text() == "w = torch.tensor([1.], requires_grad=True)"
    assert "a leaf that requires grad" in page.locator("#changes").inner_text()
    page.keyboard.press("End")
    assert page.locator("#printed").inner_text().split() == [
        "tensor([5.])",
        "tensor([10.])",
        "tensor([15.])",
        "tensor([20.])",
    ]
    assert "Gradients against finite differences: 8 agree." in page.locator("#verdict").inner_text()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#printed").inner_text().split()[-1] == "tensor([15.])"
    page.keyboard.press("Home")
    assert page.locator("#printed").inner_text() == ""


def test_gradients_arrive_one_by_one_and_add_up_at_the_leaf(page: Page, tmp_path: Path) -> None:
    (tmp_path / "steps.html").write_text(page_of(NOTES))
    page.goto((tmp_path / "steps.html").as_uri())
    seen = []
    for _ in range(30):
        page.keyboard.press("ArrowRight")
        arriving = page.locator("g.arriving")
        seen += [arriving.text_content()] if arriving.count() else []
    assert seen[0].startswith("y = mul(a, b)")
    assert seen[0].endswith("grad [1]")
    assert any(text.startswith("w") and text.endswith("arriving [5]") for text in seen)
    leaf = page.locator("g.leaf", has_text="w").first.text_content()
    assert re.search(r"grad \[(10|15)\]$", leaf)


def test_play_moves_on_by_itself(page: Page, tmp_path: Path) -> None:
    (tmp_path / "steps.html").write_text(page_of("x = torch.ones(1, requires_grad=True)\ny = x * 2\ny.backward()"))
    page.goto((tmp_path / "steps.html").as_uri())
    page.keyboard.press(" ")
    page.locator("#count", has_text="step 2 of").wait_for(timeout=20_000)
    page.click("#play")
    assert "Play" in page.locator("#play").inner_text()


def test_an_error_is_shown_with_its_mend(page: Page, tmp_path: Path) -> None:
    (tmp_path / "steps.html").write_text(page_of(EVIL))
    page.goto((tmp_path / "steps.html").as_uri())
    page.keyboard.press("End")
    verdict = page.locator("#verdict").inner_text()
    assert "a second time" in verdict
    assert "y.backward(retain_graph=True)" in verdict
    assert page.locator("li.failed .number").inner_text() == "6"


def test_text_of_a_program_stays_text(page: Page, tmp_path: Path) -> None:
    (tmp_path / "steps.html").write_text(page_of(EVIL))
    page.goto((tmp_path / "steps.html").as_uri())
    page.keyboard.press("End")
    assert page.title() == "Autograd, step by step"
    assert page.locator("img").count() == 0
    assert "</script><script>" in page.locator("#printed").inner_text()


def test_the_page_works_in_a_sandboxed_frame(page: Page, tmp_path: Path) -> None:
    (tmp_path / "steps.html").write_text(page_of(NOTES))
    (tmp_path / "frame.html").write_text(
        '<iframe sandbox="allow-scripts" src="steps.html" width="1200" height="700"></iframe>'
    )
    page.goto((tmp_path / "frame.html").as_uri())
    frame = page.frame_locator("iframe")
    frame.locator("#last").click()
    assert "tensor([20.])" in frame.locator("#printed").inner_text()


def test_the_policy_allows_only_the_pages_own_script_and_style() -> None:
    text = page_of(NOTES)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy[1]
    assert not re.search(r"\b(src|href|onclick|style)=", text)
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")


@pytest.mark.parametrize(
    "text", [NOTES, EVIL, "x = 1", "x = torch.tensor([float('nan')], requires_grad=True)\n(x * 2).sum().backward()"]
)
def test_the_graph_is_well_formed_and_shows_values_and_gradients(text: str) -> None:
    svg = draw_graph(lesson(text))
    root = ElementTree.fromstring(svg)
    texts = ["".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "prefers-color-scheme:dark" in svg
    if text is NOTES:
        assert "y = mul(a, b)" in texts
        assert "grad [20]" in texts


def test_the_layout_keeps_boxes_apart_and_inputs_above() -> None:
    edges = [(f"n{i}", f"n{j}") for j in range(1, 25) for i in {j // 2, j // 3, j - 1} if i < j]
    layout = lay_out({f"n{i}": (80.0, 40.0) for i in range(25)}, edges)
    boxes = {key: node for key, node in layout.nodes.items() if "@" not in key}
    for a, b in edges:
        assert boxes[a].y < boxes[b].y
    for (_, a), (_, b) in combinations(boxes.items(), 2):
        assert abs(a.x - b.x) >= 79.9 or abs(a.y - b.y) >= 39.9
