"""The page in headless Chromium: it renders, is alone, sorts, follows dark mode, and prints."""

import base64
import json
import os
import re
import shutil
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mvkt_ray.delivery.report.report_json import plain_report
from mvkt_ray.delivery.write_report import write_report
from mvkt_ray.search.ledger.study_folder import StudyFolder
from tests.patience import PATIENCE_S

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
Keys = pytest.importorskip("selenium.webdriver.common.keys").Keys

Chrome = Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
CHROMEDRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None or CHROMEDRIVER is None,
    reason="no browser: `chromium` and `chromedriver` are not both on the path",
)


@pytest.fixture(scope="module")
def browser() -> Generator[Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    arguments = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage"]
    if os.geteuid() == 0:
        # Chromium refuses to run as root in its sandbox.
        arguments.append("--no-sandbox")
    for argument in arguments:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(CHROMEDRIVER))
    driver.set_page_load_timeout(PATIENCE_S)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def report_page(final_study: StudyFolder, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("browser") / "study"
    shutil.copytree(final_study.root.local_path, folder)
    study = StudyFolder(type(final_study.root)(str(folder)))
    plain_report(write_report(study))
    return study.report_page.local_path.as_uri()


def show(browser: Chrome, url: str, *, width: int = 1280, scheme: str = "light") -> None:
    """Open the page at a width, in light or dark."""
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    browser.get(url)


def test_the_page_renders_without_an_error_and_asks_nobody(
    browser: Chrome, report_page: str
) -> None:
    browser.get_log("browser")
    browser.get_log("performance")
    show(browser, report_page)
    assert browser.find_element("css selector", "h1").text
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    }
    assert report_page in asked
    assert {url for url in asked if not url.startswith("data:")} == {report_page}


def test_every_figure_has_a_size_and_cuts_no_text(browser: Chrome, report_page: str) -> None:
    show(browser, report_page)
    browser.execute_script("for (const d of document.querySelectorAll('details')) d.open = true;")
    figures: Sequence[dict[str, Any]] = browser.execute_script(
        """
        const places = (svg) => Array.from(svg.querySelectorAll("text"), (text) => {
          const box = text.getBoundingClientRect(), frame = svg.getBoundingClientRect();
          return {text: text.textContent, out: Math.max(frame.left - box.left,
            frame.top - box.top, box.right - frame.right, box.bottom - frame.bottom)};
        });
        return Array.from(document.querySelectorAll("svg.figure"), (svg) => {
          const box = svg.getBoundingClientRect();
          return {name: svg.querySelector("title").textContent, width: box.width,
            height: box.height, cut: places(svg).filter((one) => one.out > 2)};
        });
        """
    )
    assert len(figures) >= 12
    for figure in figures:
        assert figure["width"] > 300, figure
        assert figure["height"] > 60, figure
        assert figure["cut"] == [], figure


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_the_screen(browser: Chrome, report_page: str, width: int) -> None:
    show(browser, report_page, width=width)
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width
    # A table or figure that is wider than the screen scrolls by itself.
    outside = browser.execute_script(
        """
        const inScroller = (one) => one.closest(".scroll") !== null;
        return Array.from(document.querySelectorAll("main table, main svg.figure"))
          .filter((one) => !inScroller(one) && one.getBoundingClientRect().right > innerWidth + 1)
          .map((one) => one.outerHTML.slice(0, 120));
        """
    )
    assert outside == []


def rows_of(table: Any) -> list[list[str]]:
    rows = table.find_elements("css selector", "tbody tr")
    return [[cell.text for cell in row.find_elements("css selector", "th, td")] for row in rows]


@pytest.mark.parametrize("by", ["click", "keyboard"])
def test_tables_sort_by_click_and_by_keyboard(browser: Chrome, report_page: str, by: str) -> None:
    show(browser, report_page)
    table = browser.find_element("css selector", "#leads table.sortable")
    lead, score = table.find_elements("css selector", "thead th")[:2]

    def press(head: Any) -> str:
        button = head.find_element("css selector", "button")
        if by == "click":
            browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
            button.click()
        else:
            button.send_keys(Keys.ENTER)
        return head.get_attribute("aria-sort")

    before = sorted(rows_of(table))
    assert score.get_attribute("aria-sort") == "none"
    assert press(score) == "descending"
    values = [float(row[1]) for row in rows_of(table)]
    assert values == sorted(values, reverse=True)
    assert press(score) == "ascending"
    assert [float(row[1]) for row in rows_of(table)] == values[::-1]
    assert press(lead) == "ascending"
    assert score.get_attribute("aria-sort") == "none"
    names = [row[0].split()[0] for row in rows_of(table)]
    assert names == sorted(names)
    assert sorted(rows_of(table)) == before


def test_cells_without_a_number_stay_last(browser: Chrome, report_page: str) -> None:
    show(browser, report_page)
    table = browser.find_element("css selector", "#classes table.sortable")
    heads = table.find_elements("css selector", "thead th")
    column = next(position for position, head in enumerate(heads) if head.text.startswith("MI"))
    # One number is taken away; it must not come first in either order.
    browser.execute_script(
        "arguments[0].tBodies[0].rows[1].cells[arguments[1]].dataset.sort = ''", table, column
    )
    name = rows_of(table)[1][0]
    for _ in range(2):
        heads[column].find_element("css selector", "button").send_keys(Keys.SPACE)
        assert rows_of(table)[-1][0] == name


def luminance(colour: str) -> float:
    found = [float(part) / 255 for part in re.findall(r"[\d.]+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in found]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_light_and_dark_can_both_be_read(browser: Chrome, report_page: str) -> None:
    grounds: dict[str, str] = {}
    for scheme in ("light", "dark"):
        show(browser, report_page, scheme=scheme)
        colours = browser.execute_script(
            """
            const look = (one) => getComputedStyle(one);
            const all = (what) => Array.from(document.querySelectorAll(what));
            return {
              ground: look(document.body).backgroundColor,
              text: all("p, h1, h2, h3, figcaption, caption, dt, dd, nav a, summary")
                .map((one) => look(one).color),
              figures: all("svg.figure:not(.ecg) text").map((one) => look(one).fill),
            };
            """
        )
        grounds[scheme] = colours["ground"]
        assert len(colours["figures"]) > 100
        for colour in {*colours["text"], *colours["figures"]}:
            assert contrast(colour, colours["ground"]) >= 4.5, (scheme, colour)
    assert luminance(grounds["light"]) > 0.9
    assert luminance(grounds["dark"]) < 0.05


def test_the_page_prints_on_a_sane_number_of_pages(
    browser: Chrome, report_page: str, tmp_path: Path
) -> None:
    show(browser, report_page, scheme="dark")
    options = {"printBackground": True, "preferCSSPageSize": True}
    pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", options)["data"])
    (tmp_path / "report.pdf").write_bytes(pdf)
    assert pdf.startswith(b"%PDF-")
    n_pages = len(re.findall(rb"/Type\s*/Page\b", pdf))
    assert 5 <= n_pages <= 30
    a4 = re.search(rb"/MediaBox\s*\[0 0 ([\d.]+) ([\d.]+)\]", pdf)
    assert a4 is not None
    assert [round(float(side)) for side in a4.groups()] == [595, 842]
